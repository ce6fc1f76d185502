"""The page: a template, a style and a script, and the explanations between them, written as they come."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from importlib.metadata import version
from importlib.resources import files
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

from pysmdl import disk
from pysmdl.errors import need
from pysmdl.reporting.entries import entry, index_row
from pysmdl.reporting.sources import explanations_of

if TYPE_CHECKING:
    from jinja2 import Template

TITLE = "What made the model decide"


class Written(NamedTuple):
    """What a page came to: how many explanations it shows, and a line for each file that it could not."""

    shown: int
    skipped: list[str]


def write(explanations: Any, path: str | PathLike[str], title: str | None = None) -> Written:
    """Write the page; arguments and errors are those of :func:`pysmdl.report`. Only one explanation is held at a time:
    the template asks for the next when the last is on the disk.
    """
    template = _template()
    rows: list[dict[str, Any]] = []
    skipped: list[str] = []
    style, script = _own("page.css"), _own("page.js")
    pieces = template.generate(
        title=TITLE if title is None else title,
        version=version("pysmdl"),
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        entries=_entries(explanations, rows, skipped),
        index=rows,
        skipped=skipped,
    )
    with disk.written(path) as file:
        for piece in pieces:
            file.write(piece.encode(errors="backslashreplace"))  # of names whose bytes are no text
        if not rows:
            raise ValueError("explanations must hold at least one that can be read; " + ("; ".join(skipped) or "none"))
    return Written(len(rows), skipped)


def _entries(explanations: Any, rows: list[dict[str, Any]], skipped: list[str]) -> Iterator[dict[str, Any]]:
    """The entries one by one; each leaves its row in the index."""
    for number, explanation in enumerate(explanations_of(explanations, skipped)):
        found = entry(explanation, number)
        rows.append(index_row(found))
        yield found


def _template() -> Template:
    try:
        from jinja2 import Environment
    except ImportError:
        raise need("Jinja2", "a report", "pysmdl[report]") from None
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_function"] = _json
    return environment.from_string(_own("page.html"))


def _json(value: Any, **_: Any) -> str:
    """Compact; the filter that calls it escapes what HTML would read."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _own(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """By which the page's own rules let this text run and no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
