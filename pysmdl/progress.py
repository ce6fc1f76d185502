"""Progress of a run: a small record for callbacks, and a bar on the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace


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
    elif progress and (sys.stderr.isatty() or "ipykernel" in sys.modules):
        with bar() as report:
            yield report
    else:
        yield None


@contextmanager
def bar() -> Iterator[Report]:
    """A Rich progress bar on standard error: evaluations, rate, time left."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Rich

    columns = (
        TextColumn("{task.fields[inputs]}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} evaluations, {task.fields[rate]:.0f}/s"),
        TimeRemainingColumn(),
    )
    with Rich(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=1, inputs="", rate=0.0)

        def report(state: Progress) -> None:
            shown.update(
                task,
                completed=state.evaluations,
                total=max(state.expected, state.evaluations),
                inputs=f"{state.finished}/{state.inputs} explained",
                rate=state.rate,
            )

        yield report
