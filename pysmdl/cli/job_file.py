"""A job.toml: the inputs and the options of `pysmdl run`, in a file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

G = TypeVar("G")
WORDS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def of_file(path: Path, groups: Mapping[str, Any], said_here: Collection[str] = ()) -> tuple[list[str], dict[str, Any]]:
    """A job.toml: inputs, and any option by its name. What the command line says itself goes before.

    Args:
        path: The file.
        groups: Groups of options, as the command line has them.
        said_here: Those that it says itself.

    Raises:
        ValueError: it is no TOML, has a word that is no option, or an option has another type.
        OSError: it cannot be read.
    """
    try:
        tomllib = import_module("tomllib")  # since Python 3.11
    except ImportError:
        raise ValueError("a job.toml needs Python 3.11: give the options on the command line") from None
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path} is no TOML: {error}") from None
    said = {name.replace("-", "_"): each for name, each in read.items()}
    inputs = _as("inputs", said.pop("inputs", []), list[str])
    known = {each.name for group in groups.values() for each in fields(group)}
    unknown = sorted(set(said) - known)
    if unknown:
        raise ValueError(f"{path} has no setting {unknown[0]!r}; there is inputs, {', '.join(sorted(known))}")
    said = {name: each for name, each in said.items() if name not in said_here}
    return inputs, {name: _filled(group, said) for name, group in groups.items()}


def _filled(group: G, said: Mapping[str, Any]) -> G:
    """With what a file says."""
    kinds = get_type_hints(type(group))
    mine = {each.name: said[each.name] for each in fields(group) if each.name in said}  # type: ignore[arg-type]
    return replace(group, **{name: _as(name, each, kinds[name]) for name, each in mine.items()})  # type: ignore[type-var]


def _as(name: str, given: Any, kind: Any) -> Any:
    """What a file says, as the command line has it: numbers and lists are words where an option takes these.

    Raises:
        ValueError: it is of another type.
    """
    if get_origin(kind) not in (None, list):  # of an option that may be None
        kind = get_args(kind)[0]
    if get_origin(kind) is list:
        several = given if isinstance(given, list) else [given]
        return [_as(name, each, *get_args(kind)) for each in several]
    if kind in (str, Path):
        words = given if isinstance(given, list) else [given]
        if all(isinstance(each, (str, int, float)) and not isinstance(each, bool) for each in words):
            return kind(",".join(map(str, words)))
        kind = str
    elif isinstance(given, (int, float) if kind is float else kind) and isinstance(given, bool) == (kind is bool):
        return kind(given)
    raise ValueError(f"{name} must be {WORDS[kind]}; got {given!r}")
