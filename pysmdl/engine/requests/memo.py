"""Memo: what is known of one input's subsets. Rows are numbered as they are wanted, sent and answered in that order."""

from __future__ import annotations

import numpy as np

from pysmdl.engine.requests.subsets import subset_cache
from pysmdl.types import Floats, Ints


class Memo:
    """A table of answers by subset number; nothing is ever sent twice.

    Attributes:
        sent, answered: How many rows have been handed out, and how many answers have come back.
    """

    def __init__(self, words: int) -> None:
        self._cache = subset_cache(words)
        self._values: Floats = np.empty((0, 0), np.float32)
        self._wanted = 0  # len(self._cache), kept at hand
        self.sent = self.answered = 0

    def __len__(self) -> int:
        return self._wanted

    def want(self, rows: Ints) -> Ints:
        """Numbers of these bit rows [a, W]; those that are new will be handed out."""
        ids = self._cache.intern(rows)
        self._wanted = len(self._cache)
        return ids

    def find(self, rows: Ints) -> Ints:
        """Numbers of these rows, -1 where no answer is known."""
        ids = self._cache.find(rows)
        return np.where(ids < self.answered, ids, np.int32(-1))

    def new(self, rows: Ints) -> int:
        """How many of these rows were never wanted."""
        return int((self._cache.find(rows) < 0).sum())

    @property
    def waiting(self) -> int:
        """Rows that nobody has sent yet."""
        return self._wanted - self.sent

    @property
    def complete(self) -> bool:
        """Whether every row that was wanted has been answered."""
        return self.answered == self._wanted

    def take(self, room: int) -> tuple[int, int]:
        """Hand out the next rows, at most `room`: numbers start..stop-1."""
        start = self.sent
        self.sent = min(self._wanted, start + room)
        return start, self.sent

    def rows(self, start: int, stop: int) -> Ints:
        """The bit rows of these numbers."""
        return self._cache.rows(start, stop)

    def answer(self, values: Floats) -> tuple[int, int]:
        """Take the answers [b, V] to the rows handed out longest ago; returns their numbers, first and last + 1."""
        first, last = self.answered, self.answered + len(values)
        if last > len(self._values):
            grown = np.empty((max(last, self._wanted, 2 * len(self._values)), values.shape[1]), np.float32)
            grown[:first] = self._values[:first] if first else 0
            self._values = grown
        self._values[first:last] = values
        self.answered = last
        return first, last

    def values(self, ids: Ints) -> Floats:
        """Answers by number. [a, V]."""
        return self._values[ids]
