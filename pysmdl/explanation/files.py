"""Explanations as files and plain values: a compressed .npz, and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from io import BytesIO
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl import disk
from pysmdl.explanation import thumbnails, views
from pysmdl.explanation.data import ExplanationData
from pysmdl.explanation.stored_meta import SCHEMA
from pysmdl.explanation.stored_parts import arrays_of, texts_of

META = (
    "id", "index", "target", "evaluations", "asked", "seconds", "violations", "notes", "names", "size", "frame",
    "provenance", "players", "groups", "modality", "rate", "cover",
)  # fmt: skip


def to_dict(explanation: ExplanationData) -> dict[str, Any]:
    """Everything but the pixels, as plain values. NaN becomes None. Of labels its shape, and its runs in rows, one
    after another: label, points, label, points ...
    """
    found: dict[str, Any] = {"schema": SCHEMA, **meta_of(explanation), "n": explanation.n}
    found |= {name: array for name, array in _arrays(explanation).items() if name not in ("labels", "covers")}
    for each, own in zip(found["inputs"], explanation.inputs.values(), strict=True):
        each["labels"] = {"shape": list(own.labels.shape), "runs": runs(own.labels)}
    found |= {"insertion_auc": explanation.insertion_auc, "deletion_auc": explanation.deletion_auc}
    found["values"] = explanation.values()
    found["labels"] = {"shape": list(explanation.labels.shape), "runs": runs(explanation.labels)}
    return {name: plain(value) for name, value in found.items()}


def to_json(explanation: ExplanationData, indent: int | None = None) -> str:
    """:func:`to_dict` as JSON. Where it is indented, each list stands on one line."""
    values = to_dict(explanation)
    if indent is None:
        return json.dumps(values, allow_nan=False)
    lines = (f"{json.dumps(name)}: {json.dumps(value, allow_nan=False)}" for name, value in values.items())
    between = ",\n" + indent * " "
    return "{\n" + indent * " " + between.join(lines) + "\n}"


def runs(labels: NDArray[Any]) -> NDArray[np.int64]:
    """A label map [*grid] as label, points, label, points ..., in the order of its rows."""
    flat = labels.ravel()
    starts = np.concatenate(([0], np.flatnonzero(np.diff(flat)) + 1))
    counts = np.diff(np.append(starts, flat.size))
    return np.stack((flat[starts].astype(np.int64), counts), 1).ravel()


def write(explanation: ExplanationData, path: str | PathLike[str], picture: bool = True) -> None:
    """Write a compressed .npz, whole or not at all: arrays and one JSON text, no pickle."""
    disk.write(path, packed(explanation, picture))


def packed(explanation: ExplanationData, picture: bool = True) -> bytes:
    """What :func:`write` writes."""
    meta = json.dumps(plain({"schema": SCHEMA, **meta_of(explanation)}), allow_nan=False)
    arrays: dict[str, Any] = {"meta": np.array(meta), **_arrays(explanation)}
    if picture and explanation.pixels is not None:
        arrays["picture"] = np.frombuffer(thumbnails.encode(explanation.pixels), np.uint8)
    arrays |= arrays_of(explanation.inputs, picture)
    if picture and explanation.shown is not None:
        arrays["shown"] = views.small(explanation.shown)
    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def meta_of(explanation: ExplanationData) -> dict[str, Any]:
    """What is no array."""
    found = {name: getattr(explanation, name) for name in META} | {"inputs": texts_of(explanation.inputs)}
    if explanation.size is None and explanation.pixels is not None:  # what is read back has a smaller picture
        found["size"] = explanation.pixels.shape[:2]
    return found


def _arrays(explanation: ExplanationData) -> dict[str, NDArray[Any]]:
    names = ("order", "score", "insertion", "deletion", "area")
    arrays: dict[str, NDArray[Any]] = {name: getattr(explanation, name) for name in names}
    arrays["order"] = small(arrays["order"])
    arrays["labels"] = small(explanation.labels)
    if explanation.predicted is not None:
        arrays["predicted"] = small(explanation.predicted)
    if explanation.attribution is not None:
        arrays["attribution"] = explanation.attribution
    if explanation.covers is not None:
        arrays["covers"] = explanation.covers
    for group in ("terms", "traced", "reading"):
        arrays |= {f"{group}.{name}": values for name, values in getattr(explanation, group).items()}
    return arrays


def small(values: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers in the smallest type that holds them."""
    largest = int(values.max(initial=1))
    return values.astype(
        next(kind for kind in (np.int8, np.int16, np.int32, np.int64) if largest <= np.iinfo(kind).max)
    )


def plain(value: Any) -> Any:
    """A value as JSON has it: dicts, lists, text and numbers; None for NaN and infinity.

    Raises:
        TypeError: it holds anything else.
    """
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {_key(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    raise TypeError(f"notes must hold plain values; got {type(value).__name__}")


def _key(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(plain(key))
