"""Budget: which asks of a search an input can still afford, so that the curves of its answer are always measured."""

from __future__ import annotations

import numpy as np

from pysmdl import bitrows
from pysmdl.engine.known import Known
from pysmdl.engine.plan import Plan
from pysmdl.types import Ask, Ints


class Budget:
    """Of one input of n regions, k of which are to be ordered; reads what is known of it and wanted.

    Raises:
        ValueError: it does not even pay for the curves.
    """

    def __init__(self, plan: Plan, n: int, k: int, known: Known) -> None:
        self._plan, self._n, self._k, self._known = plan, n, k, known
        self._rows = plan.budget(n)
        least = 2 * n if k == n else 2 * (k + 1)
        if plan.objective.needs("regions"):
            least += n - 1  # single regions; the first of the order is a curve point
        if self._rows is not None and self._rows < least:
            raise ValueError(
                f"evaluations must be at least {least} to measure the curves of {k} of {n} regions; got {self._rows}"
            )

    @property
    def of_search(self) -> int | None:
        """What the search may take: less the single regions' features, which most do not ask for by themselves."""
        if self._rows is None or not self._plan.objective.needs("regions"):
            return self._rows
        return self._rows - self._n

    def affords(self, ask: Ask) -> bool:
        """Whether the ask still leaves enough to measure the curves of any order it may lead to."""
        if self._rows is None or ask.free:
            return True
        rows = ask.rows(self._n)
        views = [rows] if ask.score_only else list(self._plan.views(rows, self._n).values())
        if ask.settled:
            views += self._curve_rows(ask)
        if ask.recheck is None:
            memo = self._known.exact if ask.score_only else self._known.memo
            new = memo.new(np.unique(np.concatenate(views), axis=0))
        else:
            new = sum(self._known.exact.new(view[ask.recheck]) for view in views)
        if self._plan.objective.needs("regions") and not len(self._known.features.ids):
            new += self._n
        return self._known.wanted + new + (0 if ask.settled else self._reserve(ask)) <= self._rows

    def _curve_rows(self, ask: Ask) -> tuple[Ints, Ints]:
        """Both views of each prefix of the best order known while this is asked."""
        rows = bitrows.prefixes(np.array(ask.so_far, np.int32), self._n)[: self._k + 1]
        return rows, bitrows.complement(rows, self._n)

    def _reserve(self, ask: Ask) -> int:
        """Rows that the curves may still cost: both views of a prefix that is not settled, or settled but unknown."""
        front, back = len(ask.front), len(ask.back)
        unknown = sum((self._known.exact.find(rows) < 0).astype(int) for rows in self._curve_rows(ask))
        size = np.arange(self._k + 1)
        settled = (size <= front) | (size >= self._n - back)
        return int(np.where(settled, unknown, 2).sum())
