"""Explanations as files and plain values: a compressed .npz, and JSON."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.errors import StoreError
from pysmdl.explanation.data import ExplanationData

SCHEMA = 1


def to_dict(explanation: ExplanationData) -> dict[str, Any]:
    """Everything but the label map and the pixels, as plain values. NaN becomes None."""
    plain: dict[str, Any] = {"schema": SCHEMA, **_meta(explanation), "n": explanation.n}
    for name, array in _arrays(explanation).items():
        if name != "labels":
            plain[name] = _plain(array)
    areas = {"insertion_auc": explanation.insertion_auc, "deletion_auc": explanation.deletion_auc}
    return plain | {name: _plain(value) for name, value in areas.items()}


def to_json(explanation: ExplanationData, indent: int | None = None) -> str:
    """:func:`to_dict` as JSON."""
    return json.dumps(to_dict(explanation), indent=indent, default=_number)


def write(explanation: ExplanationData, path: str | PathLike[str]) -> None:
    """Write a compressed .npz: arrays and one JSON text, no pickle. Pixels are left out."""
    meta = json.dumps({"schema": SCHEMA, **_meta(explanation)}, default=_number)
    with Path(path).open("wb") as file:
        arrays: dict[str, Any] = {"meta": np.array(meta), **_arrays(explanation)}
        np.savez_compressed(file, **arrays)


def read(path: str | PathLike[str]) -> dict[str, Any]:
    """The fields of an explanation that :func:`write` wrote.

    Raises:
        StoreError: not such a file, damaged, or of a newer schema.
    """
    try:
        with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = dict(file)
            meta = json.loads(str(arrays.pop("meta")))
        schema = meta.pop("schema")
    except FileNotFoundError:
        raise
    except Exception as error:
        raise StoreError(f"{path} is not a saved explanation: {error}") from error
    if schema > SCHEMA:
        raise StoreError(f"{path} was written by a newer pysmdl: this one reads schema {SCHEMA} at most")
    try:
        return _fields(arrays, meta)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path} is not a whole explanation: {error}") from error


def _fields(arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"terms": {}, "traced": {}, "reading": {}, **meta}
    for name, array in arrays.items():
        group, dot, key = name.partition(".")
        if dot:
            found[group][int(key) if group == "traced" else key] = array
        else:
            found[name] = array
    found["labels"] = found["labels"].astype(np.int32)
    return found


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


def _number(value: Any) -> Any:
    """A NumPy number as Python's, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"notes must hold plain values; got {type(value).__name__}")


def _plain(value: Any) -> Any:
    """Arrays and floats as JSON has them: lists, and None for NaN."""
    if isinstance(value, np.ndarray):
        return [_plain(each) for each in value.tolist()]
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
