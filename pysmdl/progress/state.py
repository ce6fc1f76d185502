"""How far a run is: what callbacks are given."""

from __future__ import annotations

import time
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
