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
from pysmdl.explanation.data import ExplanationData
from pysmdl.explanation.stored import SCHEMA


def to_dict(explanation: ExplanationData) -> dict[str, Any]:
    """Everything but the label map and the pixels, as plain values. NaN becomes None."""
    found: dict[str, Any] = {"schema": SCHEMA, **_meta(explanation), "n": explanation.n}
    found |= {name: array for name, array in _arrays(explanation).items() if name != "labels"}
    found |= {"insertion_auc": explanation.insertion_auc, "deletion_auc": explanation.deletion_auc}
    return {name: plain(value) for name, value in found.items()}


def to_json(explanation: ExplanationData, indent: int | None = None) -> str:
    """:func:`to_dict` as JSON."""
    return json.dumps(to_dict(explanation), indent=indent, allow_nan=False)


def write(explanation: ExplanationData, path: str | PathLike[str]) -> None:
    """Write a compressed .npz, whole or not at all: arrays and one JSON text, no pickle. Pixels are left out."""
    disk.write(path, packed(explanation))


def packed(explanation: ExplanationData) -> bytes:
    """What :func:`write` writes."""
    meta = json.dumps(plain({"schema": SCHEMA, **_meta(explanation)}), allow_nan=False)
    arrays: dict[str, Any] = {"meta": np.array(meta), **_arrays(explanation)}
    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _meta(explanation: ExplanationData) -> dict[str, Any]:
    names = ("id", "index", "target", "evaluations", "asked", "seconds", "violations", "notes")
    return {name: getattr(explanation, name) for name in names}


def _arrays(explanation: ExplanationData) -> dict[str, NDArray[Any]]:
    small = np.int16 if explanation.n < 1 << 15 else np.int32
    names = ("order", "score", "insertion", "deletion", "area")
    arrays: dict[str, NDArray[Any]] = {name: getattr(explanation, name) for name in names}
    arrays["labels"] = explanation.labels.astype(small)
    optional = {"predicted": explanation.predicted, "attribution": explanation.attribution}
    arrays |= {name: values for name, values in optional.items() if values is not None}
    for group in ("terms", "traced", "reading"):
        arrays |= {f"{group}.{name}": values for name, values in getattr(explanation, group).items()}
    return arrays


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
