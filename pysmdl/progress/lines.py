"""A run told in lines: of a log file, one every so often; of a notebook, one that changes."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from typing import Any

from pysmdl.progress.state import Progress

NOTEBOOK, LOG = 0.5, 30.0  # seconds between two states of a notebook's line, and two lines of a log file, at least


def line(state: Progress) -> str:
    """A state in words."""
    left = state.seconds_left
    time_left = f", {clock(left)} left" if left < float("inf") else ""
    of = max(state.expected, state.evaluations)
    return (
        f"{state.finished}/{state.inputs} explained, {state.evaluations}/{of} evaluations, "
        f"{state.rate:.0f}/s, {clock(state.seconds)} gone{time_left}"
    )


def clock(seconds: float) -> str:
    """Seconds as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Shown(ABC):
    """What tells of a run every so often. Once it cannot, the run goes on without."""

    interval = LOG

    def __init__(self) -> None:
        self._told = time.perf_counter()  # when; infinity once it is broken
        self._last: Progress | None = None

    def __enter__(self) -> Shown:
        return self

    def __call__(self, state: Progress) -> None:
        self._last = state
        if time.perf_counter() - self._told >= self.interval:
            self._tell(state)

    def __exit__(self, *_: object) -> None:
        if self._last is not None and self._told < float("inf"):
            self._tell(self._last)

    def _tell(self, state: Progress) -> None:
        try:
            self._told = time.perf_counter()
            self.tell(line(state))
        except Exception:
            self._told = float("inf")

    @abstractmethod
    def tell(self, text: str) -> None:
        """Show it."""


class Lines(Shown):
    """Lines on standard error, for log files. A run that is shorter than 30 seconds has none."""

    def __exit__(self, *_: object) -> None:
        pass

    def tell(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201


class Notebook(Shown):
    """One line below a notebook's cell, which changes."""

    interval = NOTEBOOK

    def __init__(self) -> None:
        super().__init__()
        self._handle: Any = None

    def tell(self, text: str) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(_Plain(text), display_id=True)
        else:
            self._handle.update(_Plain(text))


class _Plain:
    """Text that a notebook shows as it is."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text
