"""A job.toml: the inputs and the options of `pysmdl run`, in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

G = TypeVar("G")


def of_file(path: Path, groups: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """A job.toml: inputs, and any option by its name. What the command line says itself goes before.

    Raises:
        ValueError: it is no TOML, or has a word that is no option.
        OSError: it cannot be read.
    """
    try:
        tomllib = import_module("tomllib")  # since Python 3.11
    except ImportError:
        raise ValueError("a job.toml needs Python 3.11: give the options on the command line") from None
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no TOML: {error}") from None
    inputs = said.pop("inputs", [])
    known = {each.name for group in groups.values() for each in fields(group)}
    unknown = sorted(set(said) - known)
    if unknown:
        raise ValueError(f"{path} has no setting {unknown[0]!r}; there is inputs, {', '.join(sorted(known))}")
    merged = {name: _filled(group, said) for name, group in groups.items()}
    return [inputs] if isinstance(inputs, str) else list(inputs), merged


def _filled(group: G, said: Mapping[str, Any]) -> G:
    """Fields that are as they are by default take what a file says."""
    usual = {each.name: each.default for each in fields(group)}  # type: ignore[arg-type]
    mine = {name: each for name, each in said.items() if name in usual and getattr(group, name) == usual[name]}
    mine = {name: Path(each) if name == "names" else each for name, each in mine.items()}
    return replace(group, **mine)  # type: ignore[type-var]
