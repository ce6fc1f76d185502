"""Features of single regions, which pairwise terms need: collected as they come, priced when all are there."""

from __future__ import annotations

import numpy as np

from pysmdl import bitrows
from pysmdl.engine.requests.memo import Memo
from pysmdl.errors import ScorerError
from pysmdl.objective import Objective, Pairwise, numbers_of
from pysmdl.search.vocabulary import Ask
from pysmdl.types import Bools, Floats, Ints

NONE: Ints = np.empty(0, np.int32)


class RegionFeatures:
    """Which of a memo's rows the model's features are wanted of, what it gave, and the terms over them.

    Attributes:
        ids: Numbers of the rows whose features are wanted.
        last: The largest of them; -1 where none are.
        found: Their features [len(ids), D], in the order of ids; None before the first came.
    """

    def __init__(self, n: int, objective: Objective, backend: str) -> None:
        self._n, self._objective, self._backend = n, objective, backend
        self.ids: Ints = NONE
        self.last = -1
        self.found: Floats | None = None
        self._terms: dict[str, Pairwise] | None = None

    def want_all(self, memo: Memo) -> int:
        """Once: have every single-region view evaluated with features; returns the rows this adds.

        In the first round of greedy they all are evaluated anyway.
        """
        if len(self.ids):
            return 0
        known = memo.wanted
        self.ids = memo.want(bitrows.singles(self._n))
        self.last = int(self.ids.max())
        return memo.wanted - known

    def want_one(self, ids: Ints) -> None:
        """Have the features of one row already wanted, and of no other; with no ids, forget it again."""
        self.ids, self.found, self.last = ids, None, int(ids.max(initial=-1))

    def of_rows(self, start: int, stop: int) -> Ints:
        """Which of the rows start..stop-1 features are wanted of, as offsets from start, ascending."""
        return np.sort(self.ids[(self.ids >= start) & (self.ids < stop)]) - start

    def keep(self, first: int, last: int, features: Floats) -> None:
        """Take the features of those of the rows first..last-1 that were wanted, in row order."""
        if self.found is None:
            self.found = np.zeros((len(self.ids), features.shape[1]), np.float32)
        if features.shape[1] != self.found.shape[1]:
            wide = f"{self.found.shape[1]} features a row, now {features.shape[1]}"
            raise ScorerError(f"features must be of one width for all rows of an input; there were {wide}")
        here = np.flatnonzero((self.ids >= first) & (self.ids < last))
        self.found[here[np.argsort(self.ids[here])]] = features

    def complete(self, memo: Memo) -> bool:
        """Whether all that are wanted have come."""
        return len(self.ids) > 0 and memo.answered > self.last

    def of_ask(self, ask: Ask) -> dict[str, Floats]:
        """Each pairwise term of an ask's subsets, by name. [a] each."""
        return {name: numbers_of(name, term.of(ask, self._n), len(ask)) for name, term in self._priced().items()}

    def of_subsets(self, member: Bools) -> dict[str, Floats]:
        """Each pairwise term of any subsets [a, n], by name. [a] each."""
        return {name: numbers_of(name, term.of_subsets(member), len(member)) for name, term in self._priced().items()}

    def _priced(self) -> dict[str, Pairwise]:
        """The terms over these features; made once."""
        if self._terms is None:
            # One region may be seen before its features are wanted; it has no neighbour, so any features will do.
            features = np.zeros((1, 1), np.float32) if self._n == 1 else self.found
            assert features is not None
            terms = ((term.name, term.pairwise) for term in self._objective.pairwise)
            self._terms = {name: make(features, self._backend) for name, make in terms if make is not None}
        return self._terms
