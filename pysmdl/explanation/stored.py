"""Stored explanations, read back: each field is checked, as a file may come from anywhere.

Names, kinds of numbers and sizes are known from the arrays' headers, and must be those of an explanation before
anything is unpacked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.disk import opened
from pysmdl.errors import StoreError
from pysmdl.explanation import thumbnails
from pysmdl.explanation.archive import Archive, Header
from pysmdl.explanation.stored_meta import check_meta, demand
from pysmdl.explanation.stored_parts import check_header, parts_from

LIMIT = 1 << 28  # bytes: the label map of an image of 40 megapixels and more

PLAIN = (
    "order",
    "score",
    "insertion",
    "deletion",
    "area",
    "labels",
    "predicted",
    "attribution",
    "picture",
    "shown",
    "covers",
)
OPTIONAL = ("predicted", "attribution", "picture", "shown", "covers")
GROUPS = ("terms", "traced", "reading", "inputs")
KINDS = {
    "order": "iu",
    "predicted": "iu",
    "labels": "iu",
    "reading": "fiub",
    "picture": "u",
    "covers": "b",
}  # of numbers; of all others:
NUMBERS = "fiu"
PICTURE = 1 << 20  # bytes


def read(path: str | PathLike[str], limit_bytes: int = LIMIT) -> dict[str, Any]:
    """The fields of an explanation in a file, by name.

    Raises:
        FileNotFoundError: there is no such file.
        StoreError: it is no saved explanation, damaged, of a newer schema, or unpacks to more than the limit.
    """
    try:
        with opened(path) as file:
            return unpacked(path, file, limit_bytes)
    except (FileNotFoundError, StoreError):
        raise
    except Exception as error:  # of many types, as the file is damaged
        raise StoreError(f"{path} is not a saved explanation: {error or type(error).__name__}") from error


def unpacked(path: str | PathLike[str], file: IO[bytes], limit_bytes: int = LIMIT) -> dict[str, Any]:
    """Likewise of an open file. Raises whatever its damage leads to."""
    archive = Archive(file)
    _check_size(archive.headers, limit_bytes)
    meta = json.loads(str(archive.array("meta")))
    check_meta(path, meta)
    headers = {name: header for name, header in archive.headers.items() if name != "meta"}
    _check_headers(headers)
    return {**meta, **_fields({name: archive.array(name) for name in headers}, meta)}


def checked(path: str | PathLike[str], meta: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The fields of an explanation from its text and its arrays, however they were kept; checked as a file's are.

    Raises:
        StoreError, ValueError: they are none of an explanation; `path` names where they are from.
    """
    check_meta(path, meta)
    _check_headers({name: Header(array.shape, array.dtype) for name, array in arrays.items()})
    return {**meta, **_fields(arrays, meta)}


def _check_size(headers: Mapping[str, Header], limit_bytes: int) -> None:
    unpacked = sum(header.nbytes for header in headers.values())
    unpacked += sum(4 * header.size for name, header in headers.items() if name.endswith("labels"))  # as int32
    if "meta" in headers:
        unpacked = max(unpacked, 16 * headers["meta"].nbytes)  # text becomes objects, which are larger
    demand(unpacked <= limit_bytes, f"it unpacks to {unpacked} bytes; if you trust it, raise limit_bytes")


def _check_headers(headers: Mapping[str, Header]) -> None:
    """Names, kinds and sizes of the arrays."""
    missing = [name for name in PLAIN if name not in headers and name not in OPTIONAL]
    demand(not missing, f"it lacks {', '.join(missing)}")
    order, labels = headers["order"].shape, headers["labels"]
    demand(len(order) == 1 and labels.size >= max(1, order[0]), f"an order of {list(order)} regions on {labels.shape}")
    k = order[0]
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("order", "score", "terms"), (k,))
    shapes |= dict.fromkeys(("predicted", "traced", "reading"), (2, k + 1))
    for name, header in headers.items():
        group, dot, key = name.partition(".")
        demand(group in (GROUPS if dot else PLAIN) and bool(key) == bool(dot), f"it must not hold {name!r}")
        if group == "inputs":
            check_header(name, header.dtype.kind, header.nbytes)
            continue
        demand(header.dtype.kind in KINDS.get(group, NUMBERS), f"{name} must hold numbers; got {header.dtype}")
        if group == "traced":
            demand(key.isascii() and key.isdecimal() and len(key) < 11, f"traced must name classes; got {key!r}")
        if group == "shown":
            demand(header.nbytes <= PICTURE, f"shown must be of at most {PICTURE} bytes; got {header.nbytes}")
            continue
        if group == "covers":
            demand(header.shape[1:] == labels.shape, f"covers must be [n, *grid]; got {list(header.shape)}")
            continue
        if group in ("labels", "attribution"):
            continue  # of any shape; of a number a region: see _fields
        if group == "picture":
            demand(len(header.shape) == 1 and header.nbytes <= PICTURE, f"picture must be bytes; got {header.shape}")
            continue
        shape = header.shape[:2] if group == "reading" else header.shape
        right = shapes.get(group, (k + 1,))
        demand(shape == right, f"{name} must be {list(right)}; got {list(header.shape)}")


def _fields(arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays as an explanation holds them, their values checked, also against what has a text for each region."""
    found: dict[str, Any] = {group: {} for group in GROUPS}
    for name, array in arrays.items():
        group, dot, key = name.partition(".")
        if dot:
            found[group][int(key) if group == "traced" else key] = array
        else:
            found[name] = array
    labels, order, area = found["labels"], found["order"], found["area"]
    low, high = int(labels.min()), int(labels.max())
    demand(low >= -1 and 0 <= high < labels.size, f"labels must be -1 or regions from 0; got {low} to {high}")
    named, groups = len(meta["players"]), len(meta["groups"])
    demand(named == 0 or named > high, f"players must be one a region, {high + 1} at least; got {named}")
    high = named - 1 if named else high  # of regions that overlap one may have no point of its own
    demand(groups in (0, high + 1), f"groups must be {high + 1}, one a region; got {groups}")
    demand(len(np.unique(order)) == len(order), "order must name each region once")
    demand(len(order) == 0 or (order.min() >= 0 and order.max() <= high), f"order must name regions from 0 to {high}")
    grows = (np.diff(area) >= 0).all() and area[0] >= 0 and area[-1] <= 1 + 1e-3  # float32 sums
    demand(grows, "area must grow from 0 to 1 at most")
    demand("predicted" not in found or found["predicted"].min() >= -1, "predicted must be -1 or classes from 0")
    shape = np.shape(found.get("attribution", labels))
    demand("attribution" not in found or shape == (high + 1,), f"attribution must be [{high + 1}]; got {list(shape)}")
    layers = len(found.get("covers", ()))
    demand(layers in (0, high + 1), f"covers must be of {high + 1} regions; got {layers}")
    picture = found.pop("picture", None)
    found["pixels"] = None if picture is None else thumbnails.decode(picture.tobytes())
    found["inputs"] = parts_from(meta["inputs"], found["inputs"], high + 1)
    found["labels"], found["order"] = labels.astype(np.int32), order.astype(np.int64)
    return found
