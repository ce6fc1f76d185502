"""Memo: what is known of one input's subsets. Rows are numbered as they are wanted, sent and answered in that order.

So what is known is a table with a high-water mark, and nothing is ever sent twice.
"""

from __future__ import annotations

import numpy as np

from pysmdl.engine.requests.subsets import subset_cache
from pysmdl.types import Bools, Floats, Ints


class Memo:
    """A table of answers by subset number.

    Attributes:
        wanted, sent, answered: How many rows were asked for, have been handed out, and have come back with an answer.
        waiting: How many of those wanted nobody has sent yet.
    """

    def __init__(self, words: int) -> None:
        self._cache = subset_cache(words)
        self._values: Floats = np.empty((0, 0), np.float32)
        self.wanted = self.sent = self.answered = self.waiting = 0

    def want(self, rows: Ints) -> Ints:
        """Numbers of these bit rows [a, W]; those that are new will be handed out."""
        ids = self._cache.intern(rows)
        self.wanted = len(self._cache)
        self.waiting = self.wanted - self.sent
        return ids

    def find(self, rows: Ints) -> Ints:
        """Numbers of these rows, -1 where no answer is known."""
        ids = self._cache.find(rows)
        return np.where(ids < self.answered, ids, np.int32(-1))

    def knows(self, rows: Ints) -> Bools:
        """Which of these rows were wanted before. [a]."""
        known: Bools = self._cache.find(rows) >= 0
        return known

    def new(self, rows: Ints) -> int:
        """How many of these rows were never wanted."""
        return int((~self.knows(rows)).sum())

    def take(self, room: int) -> tuple[int, Ints]:
        """Hand out the next rows, at most `room`: the number of the first, and their bits. [r, W]."""
        start = self.sent
        self.sent = min(self.wanted, start + room)
        self.waiting = self.wanted - self.sent
        return start, self._cache.rows(start, self.sent)

    def answer(self, values: Floats) -> tuple[int, int]:
        """Take the answers [b, V] to the rows handed out longest ago; returns their numbers, first and last + 1."""
        first, last = self.answered, self.answered + len(values)
        if last > len(self._values):
            grown = np.empty((max(last, self.wanted, 2 * len(self._values)), values.shape[1]), np.float32)
            grown[:first] = self._values[:first] if first else 0
            self._values = grown
        self._values[first:last] = values
        self.answered = last
        return first, last

    def values(self, ids: Ints) -> Floats:
        """Answers by number. [a, V]."""
        return self._values[ids]
