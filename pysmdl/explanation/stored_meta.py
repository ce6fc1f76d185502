"""The text of a stored explanation, read back: each field is checked, as a file may come from anywhere."""

from __future__ import annotations

from os import PathLike
from typing import Any

from pysmdl.errors import StoreError

SCHEMA = 4
COUNTS = ("index", "evaluations", "asked", "violations")
SINCE_2 = ("names", "size", "frame", "provenance")
SINCE_3 = ("players", "groups", "modality", "rate")
SINCE_4 = ("cover", "inputs")
OF_EACH = {"name", "modality", "size", "frame", "rate"}  # of several inputs


def demand(holds: object, must: str) -> None:
    """A ValueError that says what must be, where it is not."""
    if not holds:
        raise ValueError(must)


def check_meta(path: str | PathLike[str], meta: Any) -> None:
    """What is no array. The schema, which is checked first, is taken out; names get classes for keys.

    Raises:
        StoreError: the schema is a newer one.
        ValueError: anything else is not as it must be.
    """
    demand(isinstance(meta, dict) and "target" in meta, "meta must be a dict with schema, target ...")
    schema = meta.pop("schema", None)
    demand(_whole(schema, 1), f"schema must be a whole number of at least 1; got {schema!r}")
    if schema > SCHEMA:
        raise StoreError(f"{path} was written by a newer pysmdl: this one reads schema {SCHEMA} at most")
    known = {"id", "target", "seconds", "notes", *COUNTS}
    known |= {*(SINCE_2 if schema > 1 else ()), *(SINCE_3 if schema > 2 else ()), *(SINCE_4 if schema > 3 else ())}
    unknown = set(meta) - known
    demand(not unknown, f"meta must not hold {sorted(unknown)}")
    for name in COUNTS:
        demand(_whole(meta.get(name, 0)), f"{name} must be a whole number of at least 0; got {meta.get(name)!r}")
    seconds, notes, id = meta.get("seconds", 0.0), meta.get("notes", {}), meta.get("id")
    demand(_number(seconds) and seconds >= 0, f"seconds must be a number of at least 0; got {seconds!r}")
    demand(isinstance(notes, dict), f"notes must be a dict; got {type(notes).__name__}")
    demand(id is None or isinstance(id, str), f"id must be text or null; got {type(id).__name__}")
    demand(_is_target(meta["target"]), f"target must be a class, a box, tokens or features; got {meta['target']!r}")
    _check_picture(meta)
    _check_players(meta)
    _check_inputs(meta)


def _check_picture(meta: dict[str, Any]) -> None:
    """What schema 2 added."""
    size, frame, names = meta.get("size"), meta.get("frame"), meta.get("names", {})
    _check_place(meta)
    named = isinstance(names, dict) and all(
        key.isascii() and key.isdecimal() and len(key) < 11 and isinstance(name, str) for key, name in names.items()
    )
    demand(named, "names must be text by class")
    demand(isinstance(meta.get("provenance", {}), dict), "provenance must be a dict")
    meta["names"] = {int(key): name for key, name in names.items()}
    meta["size"] = tuple(size) if size else None
    meta["frame"] = tuple(frame) if frame else None


def _check_players(meta: dict[str, Any]) -> None:
    """What schema 3 added."""
    for name in ("players", "groups"):
        given = meta.get(name, [])
        texts = isinstance(given, list) and all(isinstance(each, str) for each in given)
        demand(texts, f"{name} must be text, one a region; got {type(given).__name__}")
        meta[name] = tuple(given)
    _check_kind(meta)


def _check_inputs(meta: dict[str, Any]) -> None:
    """What schema 4 added."""
    cover, inputs = meta.setdefault("cover", "any"), meta.setdefault("inputs", [])
    demand(cover in ("any", "all"), f"cover must be any or all; got {cover!r}")
    named = isinstance(inputs, list) and all(isinstance(each, dict) and set(each) == OF_EACH for each in inputs)
    demand(named, f"inputs must each have {', '.join(sorted(OF_EACH))}")
    names = [each["name"] for each in inputs]
    demand(all(isinstance(name, str) for name in names) and len(set(names)) == len(names), "inputs must have names")
    for each in inputs:
        _check_place(each)
        _check_kind(each)


def _check_place(meta: dict[str, Any]) -> None:
    size, frame = meta.get("size"), meta.get("frame")
    sides = isinstance(size, list) and len(size) == 2 and all(_whole(side, 1) for side in size)
    demand(size is None or sides, f"size must be [height, width] or null; got {size!r}")
    demand(frame is None or _is_frame(frame), f"frame must be shares x0, y0, x1, y1 or null; got {frame!r}")


def _check_kind(meta: dict[str, Any]) -> None:
    modality, rate = meta.get("modality", "image"), meta.get("rate")
    demand(isinstance(modality, str), f"modality must be text; got {type(modality).__name__}")
    demand(rate is None or (_number(rate) and rate > 0), f"rate must be a number above 0 or null; got {rate!r}")


def _is_frame(frame: Any) -> bool:
    if not isinstance(frame, list) or len(frame) != 4 or not all(map(_number, frame)):
        return False
    x0, y0, x1, y1 = frame
    return bool(0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1)


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


def _whole(value: Any, least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 1 << 63


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
