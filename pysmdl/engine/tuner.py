"""Tuner: finds the batch size the device wants, on the real rows of the run. No row is spent on warming up."""

from __future__ import annotations

GAIN = 0.97  # a larger batch must cost at most this much of the smaller one's time per row
SAMPLES = 2  # timed batches of a size, after one that warms it up


class Tuner:
    """Doubles the batch while that makes a row cheaper, then stays with the best size.

    Attributes:
        rows: Rows of the next batch.
        settled: Whether the search for a size is over.
    """

    def __init__(self, start: int = 8, most: int = 1024) -> None:
        self.rows = min(start, most)
        self.settled = start >= most
        self._most = most
        self._seen: dict[int, list[float]] = {}  # seconds a row by batch size, the warm-up first

    def record(self, rows: int, seconds: float) -> None:
        """Take the time of a batch; only full ones of the size under test count."""
        if self.settled or rows != self.rows:
            return
        times = self._seen.setdefault(rows, [])
        times.append(seconds / rows)
        if len(times) > SAMPLES:
            self._decide()

    def limit(self, most: int) -> None:
        """Never again beyond `most` rows: memory ran out there."""
        self._most = most
        if self.rows > most:
            self.rows, self.settled = most, True

    def _decide(self) -> None:
        best = min(self._seen, key=self._cost)
        if best == self.rows and self._improved() and 2 * self.rows <= self._most:
            self.rows *= 2
        else:
            self.rows, self.settled = best, True

    def _improved(self) -> bool:
        before = self.rows // 2
        return before not in self._seen or self._cost(self.rows) <= GAIN * self._cost(before)

    def _cost(self, rows: int) -> float:
        return min(self._seen[rows][1:], default=float("inf"))
