"""Known: what the model has said of one input's subsets, and what F is by that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pysmdl import bitrows
from pysmdl.engine.plan import Item, Plan
from pysmdl.engine.requests.features import RegionFeatures
from pysmdl.engine.requests.memo import Memo
from pysmdl.errors import ScorerError
from pysmdl.search.vocabulary import Ask, Evaluation
from pysmdl.types import Floats, Ints, Reading

MARGIN = 3.0  # times the largest difference seen between F in bfloat16 and F: two of them can part, and some to spare


class Known:
    """The memos of one input, and the features of its regions.

    Attributes:
        target: Row of Scorer.encode; resolved by the request where it is still to be read off the full input.
        exact: Answers in the model's own precision.
        memo: Answers that candidates are judged by: in mixed precision those in bfloat16, else the same memo.
    """

    def __init__(self, plan: Plan, item: Item) -> None:
        self._plan, self._n = plan, item.regions.n
        self.target = item.target
        self.exact = Memo(bitrows.words(self._n))
        self.memo = Memo(bitrows.words(self._n)) if plan.mixed else self.exact
        self.features = RegionFeatures(self._n)
        self._margin = np.inf if plan.mixed else 0.0  # how far F in bfloat16 may be from F, twice over

    @property
    def waiting(self) -> Memo | None:
        """The memo that has rows nobody has sent yet."""
        return self.exact if self.exact.waiting else self.memo if self.memo.waiting else None

    @property
    def complete(self) -> bool:
        """Whether every row that was wanted has been answered."""
        return self.exact.complete and self.memo.complete

    @property
    def evaluations(self) -> int:
        """Rows answered so far."""
        return self.exact.answered + (self.memo.answered if self._plan.mixed else 0)

    @property
    def wanted(self) -> int:
        """Rows wanted so far."""
        return len(self.exact) + (len(self.memo) if self._plan.mixed else 0)

    def read(self, values: Floats) -> Reading:
        """What the scorer's values [a, V] say of the target."""
        return self._plan.scorer.read(values, self.target)

    def of(self, rows: Ints) -> Reading:
        """Exact readings of these rows, NaN where a row was never answered."""
        ids = self.exact.find(rows)
        known = ids >= 0
        if not self.exact.answered:
            raise ScorerError("the model has not answered a single row of this input")
        reading = self.read(self.exact.values(np.where(known, ids, 0)))
        return {name: np.where(known.reshape(-1, *[1] * (v.ndim - 1)), v, np.nan) for name, v in reading.items()}

    def evaluation(self, ask: Ask, views: dict[str, Ints], ids: dict[str, Ints]) -> Evaluation:
        """F of an ask's subsets, all answered: the rows of each view and their numbers in the memo.

        In mixed precision exact values go first, and the rest has a margin.
        """
        effectiveness = None
        if self._plan.objective.needs("regions"):
            effectiveness = self.features.effectiveness(self._plan.backend).of(ask, self._n)
        fast = {name: self.memo.values(each) for name, each in ids.items()}
        if not self._plan.mixed:
            return self._sound(self._weigh(fast, effectiveness))
        best_known = {name: values.copy() for name, values in fast.items()}
        sure: Any = True
        for name, rows in views.items():
            exact = self.exact.find(rows)
            known = exact >= 0
            if known.any():
                best_known[name][known] = self.exact.values(exact[known])
            sure = known & sure
        found, rough = self._weigh(best_known, effectiveness), self._weigh(fast, effectiveness)
        if np.any(sure) and len(found.total):
            seen = float(np.abs(found.total - rough.total)[sure].max())
            self._margin = max(MARGIN * seen, 0.0 if np.isinf(self._margin) else self._margin)
        return self._sound(replace(found, margin=self._margin, exact=np.broadcast_to(sure, found.total.shape)))

    def _sound(self, found: Evaluation) -> Evaluation:
        """The same, unless a term of the caller's own gave what nobody can choose by."""
        if not np.isfinite(found.total).all():
            terms = [name for name, values in found.terms.items() if not np.isfinite(values).all()]
            names = ", ".join(terms) or "the sum of its terms"
            raise ScorerError(f"objective {self._plan.objective.name!r} gave NaN or infinity: {names}")
        return found

    def _weigh(self, values: dict[str, Floats], effectiveness: Floats | None) -> Evaluation:
        readings = {name: self.read(each) for name, each in values.items()}
        return self._plan.objective.evaluate(readings.get("kept"), readings.get("removed"), effectiveness)

    def along(self, order: Ints) -> tuple[Evaluation, Reading, Reading]:
        """F along an order, and both curves: readings with its first 0, 1, ... regions kept, and removed."""
        rows = bitrows.prefixes(order, self._n)
        kept, removed = self.of(rows), self.of(bitrows.complement(rows, self._n))
        effectiveness = None
        if self._plan.objective.needs("regions") and self.features.complete(self.exact):
            effectiveness = self.features.effectiveness(self._plan.backend).of_subsets(bitrows.unpack(rows, self._n))
        return self._plan.objective.evaluate(kept, removed, effectiveness), kept, removed
