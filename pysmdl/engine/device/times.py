"""Seconds of a batch by its rows, as far as a run has shown them: what a few rows more would cost."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from math import inf, log2

RECENT = 4  # batches of about one size that are remembered
STEPS = 4  # sizes told apart between one and its double


class Times:
    """What batches took. Of each size the least of the last few counts, and never the first, which warms up."""

    def __init__(self) -> None:
        self._seen: dict[int, deque[tuple[int, float]]] = {}
        self._points: list[tuple[int, float]] = []  # rows and seconds, both ascending

    def record(self, rows: int, seconds: float) -> None:
        """Take the time of a batch."""
        size = round(STEPS * log2(rows))
        if size not in self._seen:
            self._seen[size] = deque(maxlen=RECENT)
            return
        self._seen[size].append((rows, seconds))
        points: list[tuple[int, float]] = []
        least = 0.0
        for each in sorted(min(seen, key=lambda pair: pair[1] / pair[0]) for seen in self._seen.values() if seen):
            least = max(least, each[1])
            points.append((each[0], least))
        self._points = points

    def of(self, rows: int, bold: bool = False) -> float:
        """Seconds of a batch of so many rows; infinite beyond twice the largest that was seen.

        Args:
            bold: Take for granted that a larger batch costs no more, where only one size was ever seen.
        """
        points = self._points
        if not points or rows > 2 * points[-1][0]:
            return inf
        at = bisect_left(points, (rows, 0.0))
        if at == 0:
            return points[0][1] * rows / points[0][0]
        if at == len(points) == 1:
            return points[0][1] * (1.0 if bold else rows / points[0][0])
        (fewer, low), (more, high) = points[at - 1 : at + 1] if at < len(points) else points[-2:]
        return low + (high - low) * (rows - fewer) / (more - fewer)
