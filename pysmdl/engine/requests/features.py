"""Features of single regions, which the effectiveness term needs: collected as they come, priced when all are there."""

from __future__ import annotations

import numpy as np

from pysmdl import bitrows
from pysmdl.engine.requests.memo import Memo
from pysmdl.objective.effectiveness import Effectiveness
from pysmdl.types import Floats, Ints

NONE: Ints = np.empty(0, np.int32)


class RegionFeatures:
    """Which of a memo's rows the model's features are wanted of, and what it gave.

    Attributes:
        ids: Numbers of the rows whose features are wanted.
        found: Their features [len(ids), D], in the order of ids; None before the first came.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.ids: Ints = NONE
        self.found: Floats | None = None
        self._last = -1  # of ids
        self._effectiveness: Effectiveness | None = None

    def want_all(self, memo: Memo) -> int:
        """Once: have every single-region view evaluated with features; returns the rows this adds.

        In the first round of greedy they all are evaluated anyway.
        """
        if len(self.ids):
            return 0
        known = len(memo)
        self.ids = memo.want(bitrows.singles(self.n))
        self._last = int(self.ids.max())
        return len(memo) - known

    def want_one(self, ids: Ints) -> None:
        """Have the features of one row already wanted, and of no other; with no ids, forget it again."""
        self.ids, self.found, self._last = ids, None, int(ids.max(initial=-1))

    def of_rows(self, start: int, stop: int) -> Ints:
        """Which of the rows start..stop-1 features are wanted of, as offsets from start, ascending."""
        if start > self._last:
            return NONE
        return np.sort(self.ids[(self.ids >= start) & (self.ids < stop)]) - start

    def keep(self, first: int, last: int, features: Floats) -> None:
        """Take the features of those of the rows first..last-1 that were wanted, in row order."""
        if self.found is None:
            self.found = np.zeros((len(self.ids), features.shape[1]), np.float32)
        here = np.flatnonzero((self.ids >= first) & (self.ids < last))
        self.found[here[np.argsort(self.ids[here])]] = features

    def complete(self, memo: Memo) -> bool:
        """Whether all that are wanted have come."""
        return len(self.ids) > 0 and memo.answered > self._last

    def effectiveness(self, backend: str) -> Effectiveness:
        """The effectiveness term over these features; made once."""
        if self._effectiveness is None:
            # One region may be seen before its features are wanted; it has no neighbour, so any features will do.
            features = np.zeros((1, 1), np.float32) if self.n == 1 else self.found
            assert features is not None
            self._effectiveness = Effectiveness(features, backend)
        return self._effectiveness
