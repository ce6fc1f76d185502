"""Models of libraries from text: Hugging Face's folders (hf:FOLDER), timm's names (timm:NAME, timm:NAME:FILE)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from pysmdl.adapters import adapt
from pysmdl.adapters.families import answering_family, text_family
from pysmdl.errors import described, need
from pysmdl.scorers import Scorer


def hugging_face(
    folder: str,
    device: str | None,
    prompts: Sequence[str] | None,
    prompt: str | None = None,
    answer: str | None = None,
    **input: Any,
) -> Scorer:
    """The model that a folder holds as save_pretrained writes it, safetensors alone, with its processor or tokenizer.

    Raises:
        ValueError: there is no such folder, its model or its processor cannot be loaded, or as :func:`pysmdl.adapt`.
        MissingPackageError: transformers is not installed.
    """
    try:
        transformers: Any = import_module("transformers")
    except ImportError:
        raise need("transformers", "a model hf:FOLDER", "transformers") from None
    if not Path(folder).is_dir():
        raise ValueError(f"model hf:FOLDER needs a folder that save_pretrained has written; got {folder!r}")
    here: dict[str, Any] = {"local_files_only": True}
    try:
        named = (transformers.AutoConfig.from_pretrained(folder, **here).architectures or [""])[0]
        kind = getattr(transformers, named, None)
        if kind is None:
            raise ValueError(f"its config.json names the architecture {named!r}, which transformers has not")
        model = kind.from_pretrained(folder, use_safetensors=True, **here).eval()
        if text_family(model) is not None:
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **here)
            return adapt(_placed(model, device), tokenizer=tokenizer, prompt=prompt, answer=answer, **input)
        answers = answering_family(model) is not None
        reader = transformers.AutoProcessor if prompts or answers else transformers.AutoImageProcessor
        processor = None if input and not answers else reader.from_pretrained(folder, **here)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **here) if prompts and input else None
    except Exception as error:  # of many types
        raise ValueError(f"cannot load the model in {folder}: {described(error)}") from error
    words: dict[str, Any] = {
        "processor": processor,
        "tokenizer": tokenizer,
        "prompts": prompts,
        "prompt": prompt,
        "answer": answer,
    }
    return adapt(_placed(model, device), **words, **input)


def timm(spec: str, device: str | None, **input: Any) -> Scorer:
    """timm's network of a name, with the weights of a file, safetensors or torch's, else those that timm has or loads.

    Raises:
        ValueError: there is no such name, the weights are not found or do not fit, or as :func:`pysmdl.adapt`.
        MissingPackageError: timm is not installed.
    """
    try:
        library: Any = import_module("timm")
    except ImportError:
        raise need("timm", "a model timm:NAME", "timm") from None
    name, _, file = spec.partition(":")
    try:
        model = library.create_model(name, pretrained=not file)
        if file:
            model.load_state_dict(_weights(Path(file)))
    except Exception as error:  # of many types
        raise ValueError(f"cannot load timm's {name!r}: {described(error)}") from error
    return adapt(_placed(model.eval(), device), **input)


def _weights(path: Path) -> dict[str, torch.Tensor]:
    """A state dict, read as data alone; of a training's checkpoint its part of that name."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    found = torch.load(path, map_location="cpu", weights_only=True)
    return found.get("state_dict", found)  # type: ignore[no-any-return]


def _placed(model: Any, device: str | None) -> Any:
    return model if device is None else model.to(device)
