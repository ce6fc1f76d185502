"""Progress of a run: a small record for callbacks; a bar on the terminal, a line in a notebook, lines in a log file."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pysmdl.progress.bar import Bar, terminal
from pysmdl.progress.lines import Lines, Notebook
from pysmdl.progress.state import Progress

__all__ = ["Progress", "Report", "reporting"]

SHOWN = threading.Lock()  # held while a bar is shown: two would write over each other

log = logging.getLogger("pysmdl")

Report = Callable[[Progress], None]


@contextmanager
def reporting(progress: bool | Report, lines: bool = False) -> Iterator[Report | None]:
    """The callback to give the engine: the caller's own; a bar on a terminal, a line in a notebook; or None.

    Args:
        progress: The callback, or whether there is to be any.
        lines: Whether a standard error that is neither, a log file say, gets a line every 30 seconds.
    """
    if callable(progress):
        yield progress
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
