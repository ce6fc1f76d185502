"""Progress of a run: a small record for callbacks; a bar on the terminal, a line in a notebook, lines in a log file."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pysmdl.errors import yes_or_no
from pysmdl.progress.bar import Bar, terminal
from pysmdl.progress.lines import Lines, Notebook
from pysmdl.progress.state import Progress

__all__ = ["Progress", "Report", "reporting"]

SHOWN = threading.Lock()  # held while a bar is shown: two would write over each other

log = logging.getLogger("pysmdl")

Report = Callable[[Progress], None]


def checked(progress: Any) -> bool | Report:
    """A setting of progress as it is.

    Raises:
        ValueError: it is none.
    """
    if callable(progress):
        return progress  # type: ignore[no-any-return]
    try:
        return yes_or_no("progress", progress)
    except ValueError:
        raise ValueError(
            f"progress must be True, False, or a function that is given a pysmdl.progress.Progress; got {progress!r}"
        ) from None


@contextmanager
def reporting(progress: bool | Report, lines: bool = False) -> Iterator[Report | None]:
    """The callback to give the engine: the caller's own; a bar on a terminal, a line in a notebook; or None.

    Args:
        progress: The callback, or whether there is to be any.
        lines: Whether a standard error that is neither, a log file say, gets a line every 30 seconds.
    """
    if callable(checked(progress)):
        yield progress  # type: ignore[misc]
        return
    kind = Notebook if "ipykernel" in sys.modules else Bar if terminal(sys.stderr) else Lines if lines else None
    if not progress or kind is None or not SHOWN.acquire(blocking=False):
        yield None
        return
    try:
        with kind() as shown:
            yield shown
    finally:
        SHOWN.release()


def _heard(_: logging.LogRecord) -> bool:
    """Whether a record reaches anybody. Where nobody handles it Python writes it to standard error, and raises in the
    middle of a run where that is closed.
    """
    return log.hasHandlers() or not getattr(sys.stderr, "closed", False)


log.addFilter(_heard)
