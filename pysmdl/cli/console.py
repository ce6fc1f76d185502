"""What the commands say: text as it is, on standard streams that may be anything, or not there."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any, cast

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pysmdl.errors import escaped

NUMBER = 16  # columns that a cell with a number takes at most; longer names go on below
WIDE = 10_000  # columns of what is no terminal: nothing is cut or wrapped there
ODD = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class Stream:
    """A standard stream as it is at the moment. Missing (None), closed, or with nobody reading: nothing is written."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def encoding(self) -> str:
        """Of the stream, for Rich, which draws with what it can hold."""
        return getattr(getattr(sys, self._name), "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Characters that the stream's encoding lacks are written as escapes."""
        shown = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
        self._tried("write", shown)
        return len(text)

    def flush(self) -> None:
        """Where the stream can."""
        self._tried("flush")

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return bool(self._tried("isatty"))

    def fileno(self) -> int:
        """As the stream says."""
        return int(getattr(sys, self._name).fileno())

    def _tried(self, method: str, *given: Any) -> Any:
        called: Callable[..., Any] | None = getattr(getattr(sys, self._name), method, None)
        if called is None:
            return None
        try:
            return called(*given)
        except ValueError:  # closed
            return None
        except BrokenPipeError:  # `| head` has seen enough: let Python find nothing to complain of at the end, either
            with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), self.fileno())
            return None


def console(stderr: bool) -> Console:
    """For text as it is: names of files and messages of models are no markup."""
    stream = cast(IO[str], Stream("stderr" if stderr else "stdout"))
    made = Console(file=stream, markup=False, emoji=False, highlight=False)
    if not stream.isatty():
        made.width = WIDE
    return made


out, err = console(stderr=False), console(stderr=True)


def printable(text: object) -> str:
    """Text that any stream, table or file takes: bytes of a name that are not UTF-8, and control characters, become
    escapes (``caf\\xe9.png``).
    """
    return ODD.sub(escaped, str(text))


def tell(table: Table, on: Console) -> None:
    """Print a table; where a terminal is too narrow for what its cells hold, a line a row, so that no number is cut."""
    for column in table.columns:
        whole = [*str(column.header).split(), *map(str, column.cells)]
        column.min_width, column.overflow = min(NUMBER, max(map(cell_len, whole), default=0)), "fold"
    if sum((column.min_width or 0) + 3 for column in table.columns) < on.width:
        on.print(table)
        return
    names = [str(column.header) for column in table.columns]
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        said = ", ".join(f"{name} {cell}" for name, cell in zip(names[1:], cells[1:], strict=True))
        on.print(f"{cells[0]}: {said}", soft_wrap=True)


def say(level: str, text: str) -> None:
    """A line on standard error, begun by what it is: error, warning ..."""
    colour = {"warning": "yellow"}.get(level, "red")
    err.print(Text.assemble((f"{level}:", colour), " ", printable(text)), soft_wrap=True)


class Lines(logging.Handler):
    """Each record as a line on standard error, as a command's own errors are."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say it."""
        say(record.levelname.lower(), record.getMessage())
