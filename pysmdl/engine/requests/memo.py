"""Memo: what is known of one input's subsets. Rows are numbered as they are wanted, sent and answered in that order.

So what is known is a table with a high-water mark, and nothing is ever sent twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl import bitrows
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

    def new(self, views: Sequence[NDArray[Any]]) -> int:
        """How many rows of these, counted once, were never wanted."""
        if not views:
            return 0
        rows = np.unique(np.concatenate([self.words(each) for each in views]), axis=0)
        return int((self._cache.find(rows) < 0).sum())

    def words(self, rows: NDArray[Any]) -> Ints:
        """Rows as they are kept. [a, W]."""
        return rows

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


class SoftMemo(Memo):
    """The same of soft subsets: a row has a word for each region, the bits of its weight as a float32. What it is asked
    of is weights [a, n], or bit rows, which are weights of 0 and 1.
    """

    def __init__(self, n: int) -> None:
        super().__init__(n)
        self._n = n

    def words(self, rows: NDArray[Any]) -> Ints:
        weights = rows if rows.dtype == np.float32 else bitrows.unpack(rows, self._n)
        words: Ints = np.abs(weights.astype(np.float32)).view(np.int32)  # -0.0 is 0.0
        return words

    def want(self, rows: NDArray[Any]) -> Ints:
        return super().want(self.words(rows))

    def find(self, rows: NDArray[Any]) -> Ints:
        return super().find(self.words(rows))

    def knows(self, rows: NDArray[Any]) -> Bools:
        return super().knows(self.words(rows))
