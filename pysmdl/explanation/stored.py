"""Stored explanations, read back: each field is checked, as a file may come from anywhere.

Names, kinds of numbers and sizes are known from the arrays' headers, and must be those of an explanation before
anything is unpacked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.disk import opened
from pysmdl.errors import StoreError
from pysmdl.explanation.archive import Archive, Header

SCHEMA = 1
LIMIT = 1 << 28  # bytes: the label map of an image of 40 megapixels and more

PLAIN = ("order", "score", "insertion", "deletion", "area", "labels", "predicted", "attribution")
OPTIONAL = ("predicted", "attribution")
GROUPS = ("terms", "traced", "reading")
KINDS = {"order": "iu", "predicted": "iu", "labels": "iu", "reading": "fiub"}  # of numbers; of all others:
NUMBERS = "fiu"
COUNTS = ("index", "evaluations", "asked", "violations")


def read(path: str | PathLike[str], limit_bytes: int = LIMIT) -> dict[str, Any]:
    """The fields of an explanation in a file, by name.

    Raises:
        FileNotFoundError: there is no such file.
        StoreError: it is no saved explanation, damaged, of a newer schema, or unpacks to more than the limit.
    """
    try:
        with opened(path) as file:
            archive = Archive(file)
            _check_size(archive.headers, limit_bytes)
            meta = json.loads(str(archive.array("meta")))
            _check_meta(path, meta)
            headers = {name: header for name, header in archive.headers.items() if name != "meta"}
            _check_headers(headers)
            fields = _fields({name: archive.array(name) for name in headers})
    except (FileNotFoundError, StoreError):
        raise
    except Exception as error:  # of many types, as the file is damaged
        raise StoreError(f"{path} is not a saved explanation: {error or type(error).__name__}") from error
    return {**meta, **fields}


def _demand(holds: object, must: str) -> None:
    if not holds:
        raise ValueError(must)


def _check_size(headers: Mapping[str, Header], limit_bytes: int) -> None:
    unpacked = sum(header.bytes for header in headers.values())
    unpacked += 4 * headers["labels"].size if "labels" in headers else 0  # as int32
    if "meta" in headers:
        unpacked = max(unpacked, 16 * headers["meta"].bytes)  # text becomes objects, which are larger
    _demand(
        unpacked <= limit_bytes, f"it unpacks to {unpacked} bytes; if you trust it, raise limit_bytes={limit_bytes}"
    )


def _check_meta(path: str | PathLike[str], meta: Any) -> None:
    """What is no array. The schema, which is checked first, is taken out."""
    _demand(isinstance(meta, dict) and "target" in meta, "meta must be a dict with schema, target ...")
    schema = meta.pop("schema", None)
    _demand(_whole(schema, 1), f"schema must be a whole number of at least 1; got {schema!r}")
    if schema > SCHEMA:
        raise StoreError(f"{path} was written by a newer pysmdl: this one reads schema {SCHEMA} at most")
    unknown = set(meta) - {"id", "target", "seconds", "notes", *COUNTS}
    _demand(not unknown, f"meta must not hold {sorted(unknown)}")
    for name in COUNTS:
        _demand(_whole(meta.get(name, 0)), f"{name} must be a whole number of at least 0; got {meta.get(name)!r}")
    seconds, notes, id = meta.get("seconds", 0.0), meta.get("notes", {}), meta.get("id")
    _demand(_number(seconds) and seconds >= 0, f"seconds must be a number of at least 0; got {seconds!r}")
    _demand(isinstance(notes, dict), f"notes must be a dict; got {type(notes).__name__}")
    _demand(id is None or isinstance(id, str), f"id must be text or null; got {type(id).__name__}")
    _demand(_is_target(meta["target"]), f"target must be a class, a box, tokens or features; got {meta['target']!r}")


def _is_target(target: Any) -> bool:
    """A class, what Box, Tokens and Features say of themselves, or what a scorer of somebody's own says of its own."""
    if isinstance(target, list):
        return all(each is None or _number(each) for each in target)
    if not isinstance(target, dict):
        return isinstance(target, (str, float)) or _whole(target)
    lists = {name: target.get(name) for name in ("xyxy", "labels", "positions", "ids")}
    if any(each is not None and not isinstance(each, list) for each in lists.values()):
        return False
    corners = lists["xyxy"]
    return (corners is None or (len(corners) == 4 and all(map(_number, corners)))) and all(
        _whole(each) for name in ("labels", "positions", "ids") for each in lists[name] or ()
    )


def _check_headers(headers: Mapping[str, Header]) -> None:
    """Names, kinds and sizes of the arrays."""
    missing = [name for name in PLAIN if name not in headers and name not in OPTIONAL]
    _demand(not missing, f"it lacks {', '.join(missing)}")
    order, labels = headers["order"].shape, headers["labels"]
    _demand(len(order) == 1 and labels.size >= max(1, order[0]), f"an order of {list(order)} regions on {labels.shape}")
    k = order[0]
    shapes = {"predicted": (2, k + 1), "traced": (2, k + 1), "terms": (k,), "score": (k,), "order": (k,)}
    for name, header in headers.items():
        group, dot, key = name.partition(".")
        _demand(group in (GROUPS if dot else PLAIN) and bool(key) == bool(dot), f"it must not hold {name!r}")
        _demand(header.dtype.kind in KINDS.get(group, NUMBERS), f"{name} must hold numbers; got {header.dtype}")
        if group == "traced":
            _demand(key.isascii() and key.isdecimal() and len(key) < 11, f"traced must name classes; got {key!r}")
        if group not in (
            "labels",
            "attribution",
        ):  # of the first any shape is right, of the other the number of regions
            shape = header.shape[:2] if group == "reading" else header.shape
            right = shapes.get(group, (2, k + 1) if group == "reading" else (k + 1,))
            _demand(shape == right, f"{name} must be {list(right)}; got {list(header.shape)}")


def _fields(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The arrays as an explanation holds them, their values checked."""
    found: dict[str, Any] = {group: {} for group in GROUPS}
    for name, array in arrays.items():
        group, dot, key = name.partition(".")
        if dot:
            found[group][int(key) if group == "traced" else key] = array
        else:
            found[name] = array
    labels, order, area = found["labels"], found["order"], found["area"]
    low, high = int(labels.min()), int(labels.max())
    _demand(low >= -1 and 0 <= high < labels.size, f"labels must be -1 or regions from 0; got {low} to {high}")
    _demand(len(np.unique(order)) == len(order), "order must name each region once")
    _demand(len(order) == 0 or (order.min() >= 0 and order.max() <= high), f"order must name regions from 0 to {high}")
    grows = (np.diff(area) >= 0).all() and area[0] >= 0 and area[-1] <= 1 + 1e-3  # float32 sums
    _demand(grows, "area must grow from 0 to 1 at most")
    _demand("predicted" not in found or found["predicted"].min() >= -1, "predicted must be -1 or classes from 0")
    shape = np.shape(found.get("attribution", labels))
    _demand("attribution" not in found or shape == (high + 1,), f"attribution must be [{high + 1}]; got {list(shape)}")
    found["labels"], found["order"] = labels.astype(np.int32), order.astype(np.int64)
    return found


def _whole(value: Any, least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 1 << 63


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
