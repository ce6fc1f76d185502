"""How rows get into the tables of results/: one at a time, each with the commit of the code that made it."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any


def append(path: Path, names: Sequence[str], row: Mapping[str, Any]) -> None:
    """Append a row to a table, which begins with its names."""
    path.parent.mkdir(exist_ok=True)
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        if not file.tell():
            writer.writeheader()
        writer.writerow(row)


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table; none where there is no table yet."""
    return list(csv.DictReader(path.read_text().splitlines())) if path.exists() else []


@cache
def commit() -> str:
    """Of the code that runs, as it was when the first row was written."""
    return said(["git", "rev-parse", "--short", "HEAD"], "")


def said(command: Sequence[str], otherwise: str) -> str:
    """What a command prints, run beside this file; `otherwise` where there is none, or it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, check=True)
    except (OSError, subprocess.CalledProcessError):
        return otherwise
    return done.stdout.strip()
