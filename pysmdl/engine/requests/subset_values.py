"""What the model has said of one input's subsets, and what F is by that."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl import bitrows
from pysmdl.engine.plan import Plan
from pysmdl.engine.requests.features import RegionFeatures
from pysmdl.engine.requests.memo import Memo, SoftMemo
from pysmdl.errors import ScorerError
from pysmdl.search.vocabulary import Ask, Evaluation
from pysmdl.types import Bools, Floats, Ints, Reading

MARGIN = 2.0  # times the furthest that two errors of one round were apart: in this round and in the last few
ROUNDS = 4  # these few; errors grow and shrink with the slope of the scores, from round to round


class SubsetValues:
    """The memos of one input, and the features of its regions.

    Attributes:
        target: Row of Scorer.encode; resolved by the request where it is still to be read off the full input.
        exact: Answers in the model's own precision.
        memo: Answers that candidates are judged by: in mixed precision those in bfloat16, else the same memo.
    """

    def __init__(self, plan: Plan, n: int, target: NDArray[Any]) -> None:
        self._plan, self._n = plan, n
        self.target = target
        self.exact = SoftMemo(n) if plan.search.soft else Memo(bitrows.words(n))
        self.memo = Memo(bitrows.words(n)) if plan.mixed else self.exact
        self.features = RegionFeatures(n, plan.objective, plan.backend)
        self._apart: deque[float] = deque(maxlen=ROUNDS)  # how far two errors of one round were, in the last rounds
        self._seen = False  # whether the present round is among them

    @property
    def answered(self) -> bool:
        """Whether every row that was wanted has been answered."""
        exact, memo = self.exact, self.memo
        return exact.answered == exact.wanted and memo.answered == memo.wanted

    @property
    def evaluations(self) -> int:
        """Rows answered so far."""
        return self.exact.answered + (self.memo.answered if self._plan.mixed else 0)

    @property
    def wanted(self) -> int:
        """Rows wanted so far."""
        return self.exact.wanted + (self.memo.wanted if self._plan.mixed else 0)

    def read(self, values: Floats) -> Reading:
        """What the scorer's values [a, V] say of the target."""
        found = self._plan.scorer.read(values, self.target)
        if not isinstance(found, Reading):
            raise TypeError(f"a scorer's read() must return a pysmdl.scorers.Reading; got {type(found).__name__}")
        return found

    def of(self, rows: Ints) -> Reading:
        """Exact readings of these rows, NaN where a row was never answered."""
        ids = self.exact.find(rows)
        known = ids >= 0
        if not self.exact.answered:
            raise ScorerError("the model has not answered a single row of this input")
        return self.read(self.exact.values(np.where(known, ids, 0))).where(known)

    def evaluation(self, ask: Ask, views: dict[str, Ints], ids: dict[str, Ints]) -> Evaluation:
        """F of an ask's subsets, all answered: the rows of each view and their numbers in the memo."""
        regions = self.features.of_ask(ask) if self._plan.objective.pairwise else {}
        if self._plan.mixed:
            found = self._mixed(ask, views, ids, regions)
        else:
            found = self._weigh({name: self.memo.values(each) for name, each in ids.items()}, regions)
        if not np.isfinite(found.total).all():
            self._refuse(found)
        return found

    def _mixed(self, ask: Ask, views: dict[str, Ints], ids: dict[str, Ints], regions: dict[str, Floats]) -> Evaluation:
        """In mixed precision exact values go first; the rest is moved by what those showed, and has a margin.

        The subsets of a round have nearly all in common, and most of their error too: what can swap two of them is how
        far their errors are apart.
        """
        fast = {name: self.memo.values(each) for name, each in ids.items()}
        best_known = {name: values.copy() for name, values in fast.items()}
        sure: Any = True
        for name, rows in views.items():
            numbers = self.exact.find(rows)
            known = numbers >= 0
            if known.any():
                best_known[name][known] = self.exact.values(numbers[known])
            sure = known & sure
        found, rough = self._weigh(best_known, regions), self._weigh(fast, regions)
        exact: Bools = np.broadcast_to(sure, found.total.shape)
        self._seen &= ask.recheck is not None
        errors = (found.total - rough.total)[exact] if views else found.total[:0]
        if len(errors) > 1:
            self._learn(float(np.ptp(errors)))
        offset = np.where(exact, np.float32(0), errors.mean() if len(errors) else np.float32(0))
        return replace(found, margin=MARGIN * max(self._apart, default=np.inf), offset=offset, exact=exact)

    def _learn(self, apart: float) -> None:
        """Keep how far two errors of the round are apart, in place of what fewer of them had shown."""
        if self._seen:
            self._apart.pop()
        self._apart.append(apart)
        self._seen = True

    def _refuse(self, found: Evaluation) -> None:
        """A term of the caller's own gave what nobody can choose by."""
        terms = [name for name, values in found.terms.items() if not np.isfinite(values).all()]
        names = ", ".join(terms) or "the sum of its terms"
        raise ScorerError(f"objective {self._plan.objective.name!r} gave NaN or infinity: {names}")

    def _weigh(self, values: dict[str, Floats], regions: dict[str, Floats]) -> Evaluation:
        kept, removed = values.get("kept"), values.get("removed")
        return self._plan.objective.evaluate(
            None if kept is None else self.read(kept), None if removed is None else self.read(removed), regions
        )

    def along(self, order: Ints) -> tuple[Evaluation, Reading, Reading]:
        """F along an order, and both curves: readings with its first 0, 1, ... regions kept, and removed."""
        rows = bitrows.prefixes(order, self._n)
        kept, removed = self.of(rows), self.of(bitrows.complement(rows, self._n))
        regions = {}
        if self._plan.objective.pairwise and self.features.complete(self.exact):
            regions = self.features.of_subsets(bitrows.unpack(rows, self._n))
        return self._plan.objective.evaluate(kept, removed, regions), kept, removed
