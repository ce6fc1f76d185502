"""Tuner: how many rows a batch should have. No row is spent on warming up."""

from __future__ import annotations

import threading

from pysmdl.engine.device.times import Times

GAIN = 0.97  # a larger batch must cost at most this much of the smaller one's time per row
SAMPLES = 3  # timed batches of each size, after one that warms it up
FEW, BRIEF = 16, 5e-3  # rows, seconds: fewer that are over sooner are doubled at once, as the host's time is felt
PATIENCE = 64  # full batches after memory ran out before twice their size is tried again; then twice as many


class Tuner:
    """Doubles the batch while that makes a row cheaper. Both sizes take turns: a machine's slow moments hit both.

    Calls with one scorer from several threads share it.

    Attributes:
        rows: Rows of the next batch.
        tuned: Whether the search for a size is over.
        times: What batches took, where somebody wants to know.
    """

    def __init__(self, start: int = 8, most: int = 1024, steady: bool = False) -> None:
        self._lock = threading.Lock()
        self.times = Times()
        self._bound = self._most = most  # as given; as memory allows at present
        self._fixed = start >= most  # by the caller
        self._steady = steady  # a limit stays: what one moment's shortage does must not depend on when it is over
        self._wait, self._patience = 0, PATIENCE
        self.rows = self._best = min(start, most)
        self.tuned = 2 * self._best > most
        self._seen: dict[int, list[float]] = {}  # seconds a row by batch size, the warm-up first

    def record(self, rows: int, seconds: float) -> None:
        """Take the time of a batch; only full ones of the size under test count."""
        with self._lock:
            if rows != self.rows:
                return
            if self._most < self._bound:
                self._try_again()
            if not self.tuned:
                self._take(rows, seconds)

    def keep(self, rows: int, seconds: float) -> None:
        """Take the time of any batch into `times`."""
        with self._lock:
            self.times.record(rows, seconds)

    def limit(self, most: int) -> None:
        """Memory ran out beyond `most` rows: no more than these, until it is tried again."""
        with self._lock:
            self._most, self._wait = most, self._patience
            self._patience *= 2
            self._start_from(min(self._best, most))

    def _try_again(self) -> None:
        """The shortage may have been another's, and over by now."""
        self._wait -= 1
        if self._wait > 0 or self._steady:
            return
        self._most, self._wait = min(self._bound, 2 * self._most), self._patience
        if self._fixed:
            self._start_from(self._most)
        self.tuned = 2 * self._best > self._most

    def _take(self, rows: int, seconds: float) -> None:
        self._seen.setdefault(rows, []).append(seconds / rows)
        if rows < FEW and seconds < BRIEF and len(self._seen[rows]) > 1:
            self._start_from(2 * rows)
        elif rows == self._best:
            self.rows = 2 * rows
        elif len(self._seen[rows]) <= SAMPLES:
            self.rows = self._best
        else:
            self._decide()

    def _start_from(self, best: int) -> None:
        self.rows = self._best = best
        self.tuned = 2 * best > self._most
        self._seen.clear()

    def _decide(self) -> None:
        smaller, larger = (min(self._seen[rows][1:]) for rows in (self._best, self.rows))
        if larger > GAIN * smaller:
            self.rows, self.tuned = self._best, True
        else:
            self._start_from(self.rows)
