"""Rows of a table from the command line: a CSV file with a line of names, or one of its rows, FILE.csv:NUMBER."""

from __future__ import annotations

import csv
from pathlib import Path

from pysmdl import disk

LONGEST = 1 << 28  # bytes


def is_table(given: str) -> bool:
    """Whether it names a CSV file, or a row of one."""
    return _parts(given)[0].lower().endswith(".csv")


def rows_of(given: str) -> list[tuple[str, dict[str, str]]]:
    """The rows that are meant, each with a name; cells by their column, as text.

    Raises:
        ValueError: there is no such row, or it is no table.
        OSError: the file cannot be read.
    """
    name, number = _parts(given)
    with disk.opened(name) as file:
        content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise ValueError(f"a table must be {LONGEST >> 20} MiB at most; got {name}")
    try:
        rows = list(csv.DictReader(content.decode("utf-8-sig").splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{name} is no CSV in UTF-8: {error}") from None
    wanted = range(len(rows)) if number is None else [number]
    if not rows or wanted[-1] >= len(rows):
        raise ValueError(f"rows of {name} are 0 to {len(rows) - 1}, below a line of names; got {given}")
    return [(f"{Path(name).stem}-{i}", rows[i]) for i in wanted]


def _parts(given: str) -> tuple[str, int | None]:
    name, _, number = given.rpartition(":")
    return (name, int(number)) if name and number.isdecimal() else (given, None)
