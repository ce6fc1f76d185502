"""Models and class names from what a command line or a configuration file can say."""

from __future__ import annotations

import codecs
import math
from pathlib import Path
from typing import Any

from pysmdl import disk
from pysmdl.adapters import adapt, resolve
from pysmdl.cli import libraries
from pysmdl.cli.importing import import_beside
from pysmdl.models.files import load_file
from pysmdl.models.inspect import device_here
from pysmdl.models.remote import is_url
from pysmdl.scorers import Model, Scorer, classifier, endpoint
from pysmdl.scorers.estimators import answers_rows
from pysmdl.targets import Box

LONGEST = 1 << 26  # bytes of a file of class names


def load_model(
    spec: str,
    device: str | None = None,
    mean: str | None = None,
    std: str | None = None,
    size: str | None = None,
    channel_order: str | None = None,
    mask_at: str | None = None,
    crop: float | None = None,
    frames: int | None = None,
    prompts: list[str] | None = None,
    prompt: str | None = None,
    answer: str | None = None,
) -> Scorer:
    """A scorer from text.

    Args:
        spec: "builtin:NAME"; "hf:FOLDER", "timm:NAME" or "timm:NAME:FILE"; "package.module:attribute" (a scorer, a
            module or any callable); a file: TorchScript, a program of torch.export (.pt2), or ONNX (.onnx); or the URL
            of an endpoint.
        device: Where it runs; None: where it is, else the CPU.
        mean, std, size, channel_order, mask_at, crop, frames: Input of models that do not bring their own.
        prompts: Texts that images are compared with, for models with a text tower.
        prompt, answer: For models that answer a picture with words.

    Raises:
        ValueError: nothing by that name, no such device here, a file that holds no model, or input settings for a model
            that has its own.
    """
    if device is not None:
        device_here(device)
    settings: dict[str, Any] = {}
    if channel_order is not None:
        settings["channel_order"] = channel_order
    if mask_at is not None:
        settings["mask_at"] = mask_at
    if crop is not None:
        settings["crop"] = crop
    if frames is not None:
        settings["frames"] = frames
    if mean is not None:
        settings["mean"] = _numbers("mean", mean)
    if std is not None:
        settings["std"] = _numbers("std", std)
    if size is not None:
        settings["size"] = size_of(size)
    if spec.startswith("builtin:"):
        from pysmdl import builtin

        found: Any = builtin.load(spec.removeprefix("builtin:"), device)
    elif is_url(spec):
        for name, said in (("device", device), ("prompts", prompts)):
            if said:
                raise ValueError(f"{name} is for a model here; {spec} is a server, which has its own; got {said!r}")
        return endpoint(spec, **settings)
    elif Path(spec).is_file():
        found = load_file(Path(spec), device)
    elif spec.startswith("hf:"):
        return libraries.hugging_face(spec.removeprefix("hf:"), device, prompts, prompt, answer, **settings)
    elif spec.startswith("timm:"):
        found = libraries.timm(spec.removeprefix("timm:"), device, **settings)
        settings = {}
    else:
        found = _attribute(spec)
    texts = {"prompts": prompts or None, "prompt": prompt, "answer": answer}
    settings |= {name: text for name, text in texts.items() if text is not None}
    if not isinstance(found, Scorer):
        if isinstance(found, Model) and not any(texts.values()):  # of a file, which says itself where it runs
            return classifier(found, **settings)
        return adapt(found, device=device, **settings) if settings else resolve(found, device)
    if settings:
        raise ValueError(f"model {spec} has its own input settings; drop {', '.join(settings)}")
    return found


def target(class_: str | None, box: str | None, labels: list[int] | None) -> int | str | Box | None:
    """A target from what the command line says: a class by number or name, a box with its labels, or neither.

    Raises:
        ValueError: a class and a box, a box without labels or labels without a box.
    """
    if box is None and not labels:
        return None if class_ is None else class_of(class_)
    if box is None or not labels or class_ is not None:
        raise ValueError("give --target for a class, or --box together with --label for a detector")
    return Box(_numbers("box", box), labels)


def class_of(text: str) -> int | str:
    """A class by its number, or its name."""
    return int(text) if text.strip().isdecimal() else text


def class_names(spec: str, file: Path | None) -> tuple[str, ...] | None:
    """Names from a file, a line each, for the classes of a model; None: those that it brings, if any. A class with an
    empty line has none.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not text in UTF-8, or UTF-16 with a byte order mark.
    """
    if file is None:
        return None
    try:
        return _lines(file)
    except ValueError as error:
        raise ValueError(f"{error} (names of the classes of {spec})") from error


def _lines(path: Path) -> tuple[str, ...]:
    with disk.opened(path) as file:
        content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise ValueError(f"names must be text of {LONGEST >> 20} MiB at most; got {path}")
    utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if utf_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"names must be text in UTF-8; line {line} of {path} is not: {error.reason}") from error
    lines = [line.strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return tuple(lines)


def _attribute(spec: str) -> Any:
    module_name, colon, attribute = spec.partition(":")
    if not colon or not module_name or not attribute:
        raise ValueError(
            "model must be builtin:NAME, hf:FOLDER, timm:NAME, package.module:attribute, a URL or a file that exists; "
            f"got {spec!r}"
        )
    try:
        found: Any = import_beside(module_name)
    except ValueError as error:
        raise ValueError(f"model {spec!r}: {error}") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ValueError(f"model {spec!r}: {module_name} has no {attribute}")
        found = getattr(found, part)
    if not callable(found) and not isinstance(found, Scorer) and not answers_rows(found):
        raise ValueError(f"model {spec!r} must be a scorer, an estimator or callable; got {type(found).__name__}")
    return found


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(map(math.isfinite, found)):
        raise ValueError(f"{name} must be numbers separated by commas; got {text!r}")
    return found


def size_of(text: str) -> tuple[int, int]:
    """(height, width), of a number or HEIGHTxWIDTH."""
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ValueError(f"a size must be a number or HEIGHTxWIDTH; got {text!r}")
    return int(parts[0]), int(parts[-1])
