"""Progress of a run: a small record for callbacks, and a bar on the terminal."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

INTERVAL = 0.1  # seconds between two drawings of a bar, at least
SHOWN = threading.Lock()  # held while a bar is shown: two would write over each other

log = logging.getLogger("pysmdl")


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        evaluations: Rows the model has seen.
        expected: Rows the inputs admitted so far will take at most; a memo may save some.
        finished: Inputs done.
        inputs: Inputs admitted so far.
        started: time.perf_counter() at the start.
        seconds: Since then.
    """

    evaluations: int = 0
    expected: int = 0
    finished: int = 0
    inputs: int = 0
    started: float = 0.0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Evaluations a second."""
        return self.evaluations / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float:
        """At the present rate, for the inputs admitted so far."""
        return max(0, self.expected - self.evaluations) / self.rate if self.rate > 0 else float("inf")

    def now(self) -> Progress:
        """A copy with the time filled in."""
        return replace(self, seconds=time.perf_counter() - self.started)


Report = Callable[[Progress], None]


@contextmanager
def reporting(progress: bool | Report) -> Iterator[Report | None]:
    """The callback to give the engine: the caller's own, a bar where a terminal or notebook shows one, or None."""
    if callable(progress):
        yield progress
    elif progress and (_terminal(sys.stderr) or "ipykernel" in sys.modules) and SHOWN.acquire(blocking=False):
        try:
            with Bar() as bar:
                yield bar
        finally:
            SHOWN.release()
    else:
        yield None


class Bar:
    """A Rich progress bar on standard error: evaluations, rate, time left.

    Once it cannot be drawn (the terminal is gone, say) it stops; the run it tells of goes on. Drawn by the run's own
    thread: one of Rich's would fail where nobody can catch it.
    """

    def __init__(self) -> None:
        self._drawn = float("-inf")  # when; infinity once it is broken

    def __enter__(self) -> Bar:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Rich

        class Terminal(Console):
            def on_broken_pipe(self) -> None:
                raise BrokenPipeError  # Rich would end the process

        columns = (
            TextColumn("{task.fields[inputs]}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} evaluations, {task.fields[rate]:.0f}/s"),
            TimeRemainingColumn(),
        )
        self._rich = Rich(
            *columns,
            console=Terminal(stderr=True),
            auto_refresh=False,
            transient=True,
            redirect_stdout=_terminal(sys.stdout),  # what is printed above the bar; else it goes to its file
        )
        self._task = self._rich.add_task("", total=1, inputs="", rate=0.0)
        self._draw(self._rich.start)
        return self

    def __call__(self, state: Progress) -> None:
        if time.perf_counter() - self._drawn < INTERVAL:
            return
        self._drawn = time.perf_counter()
        self._draw(
            partial(
                self._rich.update,
                self._task,
                completed=state.evaluations,
                total=max(state.expected, state.evaluations),
                inputs=f"{state.finished}/{state.inputs} explained",
                rate=state.rate,
                refresh=True,
            )
        )

    def __exit__(self, *_: object) -> None:
        self._draw(self._rich.stop)  # in any case: it also gives back sys.stdout and sys.stderr

    def _draw(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception:
            self._drawn = float("inf")


def _terminal(stream: Any) -> bool:
    """Whether it is a terminal's. A program may have no standard error, a closed one, or one that only writes."""
    try:
        return bool(stream.isatty())
    except Exception:
        return False


def _heard(_: logging.LogRecord) -> bool:
    """Whether a record reaches anybody. Where nobody handles it Python writes it to standard error, and raises in the
    middle of a run where that is closed.
    """
    return log.hasHandlers() or not getattr(sys.stderr, "closed", False)


log.addFilter(_heard)
