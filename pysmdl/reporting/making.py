"""What made an explanation, as lines of text: its search, its model, its versions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from pysmdl.explanation import Explanation

MOST = 6_000  # bytes of all lines as JSON
WORDS = 160  # characters of a name or a value


def made_by(explanation: Explanation) -> list[tuple[str, str]]:
    """Names and values, those of the notes first. Of a file its name alone: a page is shown to others."""
    notes = {name: value for name, value in explanation.notes.items() if name != "profile"}
    made = dict(explanation.provenance)
    if isinstance(made.get("source"), str):
        made["source"] = PurePath(made["source"]).name
    if isinstance(made.get("model"), str):
        made["model"] = "".join(parts_of(made["model"]))
    found, spent = [], 0
    for line in (*_lines("", notes), *_lines("", made)):
        cut = (line[0][:WORDS], line[1][:WORDS])
        spent += len(json.dumps(cut))
        if spent <= MOST:
            found.append(cut)
    return found


def parts_of(model: str) -> tuple[str, str]:
    """A model's name in code, and " (where its weights are from)" where that is told: of a folder its name alone."""
    code, opened, rest = model.partition(" (")
    path = PurePath(rest.removesuffix(")"))
    return code, f" ({path.name})" if path.is_absolute() else opened + rest


def _lines(above: str, given: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    """Whatever is in it, at any depth; nothing of what is not set."""
    for key, value in given.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping):
            yield from _lines(f"{name}.", value)
        elif value is not None and not (isinstance(value, (list, tuple)) and not value):
            yield name, _spoken(value)


def _spoken(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_spoken, value[:20]))
    return str(value)
