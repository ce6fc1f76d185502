"""Budget: which asks of a search an input can still afford, so that the curves of its answer are always measured."""

from __future__ import annotations

import numpy as np

from pysmdl import bitrows
from pysmdl.engine.plan import Plan
from pysmdl.engine.requests.memo import Memo
from pysmdl.engine.requests.subset_values import SubsetValues
from pysmdl.search.vocabulary import Ask
from pysmdl.types import Ints


class Budget:
    """Of one input of n regions, k of which are to be ordered; reads what is known of it and wanted.

    Attributes:
        rows: Evaluations in all; None: as many as it takes.

    Raises:
        ValueError: it does not even pay for the curves.
    """

    def __init__(self, plan: Plan, n: int, k: int, values: SubsetValues) -> None:
        self._plan, self._n, self._k, self._values = plan, n, k, values
        self.rows = plan.budget(n)
        least = 2 * n if k == n else 2 * (k + 1)
        if plan.objective.pairwise:
            least += n - 1 if k < n - 1 else max(0, n - 2)  # single regions; the first, and the last, is a curve point
        if self.rows is not None and self.rows < least:
            raise ValueError(
                f"evaluations must be at least {least} to measure the curves of {k} of {n} regions; got {self.rows}"
            )

    @property
    def of_search(self) -> int | None:
        """What the search may take: less the single regions' features, which most do not ask for by themselves."""
        if self.rows is None or not self._plan.objective.pairwise:
            return self.rows
        return self.rows - self._n

    def affords(self, ask: Ask) -> bool:
        """Whether the ask still leaves enough to measure the curves of any order it may lead to."""
        if self.rows is None or ask.free:
            return True
        rows = ask.rows(self._n)
        views = [rows] if ask.score_only else self._plan.views(rows, self._n)
        memo, exact = self._values.memo, self._values.exact
        curves, later = self._curves(ask, views)
        if ask.recheck is not None:
            new = _new(exact, [view[ask.recheck] for view in views]) + _new(exact, curves)
        elif ask.score_only or not self._plan.mixed:
            new = _new(exact, [*views, *curves])
            if not self._plan.search.soft:
                later = min(later, 2**self._n - exact.wanted - new)  # there are no more subsets than that
        else:
            new = _new(memo, views) + _new(exact, curves)
        if self._plan.objective.pairwise and not len(self._values.features.ids):
            new += self._n
        return self._values.wanted + new + later <= self.rows

    def _curves(self, ask: Ask, views: list[Ints]) -> tuple[list[Ints], int]:
        """What the curves of any order that the ask may lead to take: the rows that are certain, and how many others.

        A prefix of the order so far that is settled (at either end) will be a curve point, in both views; of another
        nobody knows yet what it holds. The one that this ask settles is among its own rows.
        """
        claim = ask.claim
        n, front, back = self._n, len(claim.front), len(claim.back)
        order, size = np.array(claim.order, np.int32), np.arange(self._k + 1)
        settled = size <= front
        if len(order) == n:  # else the ask does not say what may follow
            settled |= (size >= n - back) | claim.final
        rows = bitrows.prefixes(order, n, size[settled & (size <= len(order))])
        cost = np.where(settled, 0, 2)
        if claim.settles and claim.front != claim.back and ask.recheck is None and not self._plan.mixed:
            base = tuple(ask.base.tolist())
            covered = front + 1 if base == claim.front else n - back - 1 if base == claim.back else None
            if covered is not None and covered <= self._k:
                cost[covered] = min(cost[covered], 2 - len(views))
        ends = [each for each in {1, n - 1} if each <= self._k and not settled[each]]
        if ends:
            cost[ends] = np.minimum(cost[ends], self._single(ask, views))
        return [rows, bitrows.complement(rows, n)], int(cost.sum())

    def _single(self, ask: Ask, views: list[Ints]) -> int:
        """What both views of one region that is still open cost at most: a search's first round may measure them all.

        They are those of the prefix that holds it alone, and of the one that lacks it alone.
        """
        if not ask.claim.rest:
            return 2
        single = bitrows.singles(self._n)[np.array(ask.claim.rest, np.int32)]
        both = np.concatenate((single, bitrows.complement(single, self._n)))
        unknown = self._values.exact.find(both) < 0
        if unknown.any() and not self._plan.mixed:
            own = {row.tobytes() for view in views for row in view}
            unknown &= [row.tobytes() not in own for row in both]
        return int(unknown.reshape(2, -1).sum(0).max())


def _new(memo: Memo, views: list[Ints]) -> int:
    """How many rows of these views, counted once, were never wanted."""
    return memo.new(views)
