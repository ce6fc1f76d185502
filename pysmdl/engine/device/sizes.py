"""Tuner: finds the batch size the device wants, on the real rows of the run. No row is spent on warming up."""

from __future__ import annotations

GAIN = 0.97  # a larger batch must cost at most this much of the smaller one's time per row
SAMPLES = 3  # timed batches of each size, after one that warms it up


class Tuner:
    """Doubles the batch while that makes a row cheaper. Both sizes take turns: a machine's slow moments hit both.

    Attributes:
        rows: Rows of the next batch.
        settled: Whether the search for a size is over.
    """

    def __init__(self, start: int = 8, most: int = 1024) -> None:
        self.rows = self._best = min(start, most)
        self.settled = 2 * self._best > most
        self._most = most
        self._seen: dict[int, list[float]] = {}  # seconds a row by batch size, the warm-up first

    def record(self, rows: int, seconds: float) -> None:
        """Take the time of a batch; only full ones of the size under test count."""
        if self.settled or rows != self.rows:
            return
        self._seen.setdefault(rows, []).append(seconds / rows)
        if rows == self._best:
            self.rows = 2 * rows
        elif len(self._seen[rows]) <= SAMPLES:
            self.rows = self._best
        else:
            self._decide()

    def limit(self, most: int) -> None:
        """Never again beyond `most` rows: memory ran out there."""
        self._most = most
        self._start_from(min(self._best, most))

    def _start_from(self, best: int) -> None:
        self.rows = self._best = best
        self.settled = 2 * best > self._most
        self._seen.clear()

    def _decide(self) -> None:
        smaller, larger = (min(self._seen[rows][1:]) for rows in (self._best, self.rows))
        if larger > GAIN * smaller:
            self.rows, self.settled = self._best, True
        else:
            self._start_from(self.rows)
