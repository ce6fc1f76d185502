"""A run told by a bar on the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from pysmdl.progress.state import Progress

INTERVAL = 0.1  # seconds between two drawings, at least


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
            redirect_stdout=terminal(sys.stdout),  # what is printed above the bar; else it goes to its file
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


def terminal(stream: Any) -> bool:
    """Whether it is a terminal's. A program may have no standard error, a closed one, or one that only writes."""
    try:
        return bool(stream.isatty())
    except Exception:
        return False
