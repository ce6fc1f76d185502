"""Request: one input's search. It asks for subsets, remembers what the model said of each, and explains in the end."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl import bitrows
from pysmdl.engine.budget import Budget
from pysmdl.engine.features import NONE, RegionFeatures
from pysmdl.engine.gains import GainRecord
from pysmdl.engine.memo import Memo
from pysmdl.engine.plan import Item, Plan
from pysmdl.errors import ScorerError
from pysmdl.profiling import count
from pysmdl.result import Explanation
from pysmdl.types import Ask, Bools, Evaluation, Floats, Ints, Reading, Task

MARGIN = 3.0  # times the largest difference seen between F in bfloat16 and F: two of them can part, and some to spare


class Request:
    """A coroutine: it wants rows, waits until all of them are answered, and goes on.

    With mixed precision there are two memos: one of answers in bfloat16, and an exact one for what decides.
    """

    def __init__(self, item: Item, plan: Plan, index: int = 0) -> None:
        self.item, self.plan, self.index = item, plan, index
        self.n = item.regions.n
        self.k = min(plan.k or self.n, self.n)
        self.target = item.target
        self.exact = Memo(bitrows.words(self.n))
        self.memo = Memo(bitrows.words(self.n)) if plan.mixed else self.exact
        self.features = RegionFeatures(self.n)
        self._budget = Budget(plan, self.n, self.k, self.exact, self.memo, self.features)
        self.asked = self.ahead = 0  # rows asked for; rows that went along before they were
        self.result: Any = None  # an Explanation, once it is done
        self._margin = np.inf if plan.mixed else 0.0  # how far F in bfloat16 may be from F, twice over
        self._gains = GainRecord()
        self._ask = Ask(rest=range(self.n))
        self._began = time.perf_counter()
        self._life = self._live()
        self._advance()

    # The engine's side: give answers, look at what is settled.

    @property
    def waiting(self) -> Memo | None:
        """The memo that has rows nobody has sent yet."""
        return self.exact if self.exact.waiting else self.memo if self.memo.waiting else None

    @property
    def evaluations(self) -> int:
        """Rows answered so far."""
        return self.exact.answered + (self.memo.answered if self.plan.mixed else 0)

    def complete(self, memo: Memo, values: Floats, features: Floats | None) -> None:
        """Take the answer to the rows of a memo handed out longest ago; go on once nothing is missing."""
        first, last = memo.answer(values)
        if features is not None and len(features):
            self.features.keep(first, last, features)
        if self.exact.complete and self.memo.complete:
            self._advance()

    @property
    def settled(self) -> tuple[int, ...]:
        """Regions whose place at the start of the order is settled."""
        return self._ask.front[: self.k]

    def view(self, regions: tuple[int, ...]) -> tuple[float, float]:
        """Target score with these regions kept, and with them removed; NaN where not measured."""
        row = bitrows.of(np.array(regions, np.int32), self.n)[None]
        kept, removed = self._read_known(np.concatenate((row, bitrows.complement(row, self.n))))["score"]
        return float(kept), float(removed)

    def partial(self, why: str) -> Explanation | None:
        """What is settled so far, without another evaluation; curve points never measured are NaN.

        None where the model has answered nothing yet in full precision.
        """
        return self._explain(np.array(self.settled, np.int32), {"stopped": why}) if self.exact.answered else None

    def _advance(self) -> None:
        try:
            while self.exact.complete and self.memo.complete:
                next(self._life)
        except StopIteration as done:
            self.result = done.value

    # Its own life: resolve the target, search, measure the curves, explain.

    def _live(self) -> Generator[None, None, Any]:
        if self.plan.scorer.unresolved(self.target):
            yield from self._resolve_target()
        order, notes, attribution = yield from self._search()
        yield from self._measure_curves(order)
        if self.plan.until == "decided":
            order = self._until_decided(order)
        explanation = self._explain(order, notes)
        explanation.attribution = attribution
        return explanation

    def _resolve_target(self) -> Generator[None, None, None]:
        ids = self.exact.want(bitrows.full(self.n)[None])
        self.features.want_one(ids)
        self._count(1, 1)
        yield
        full = self._read(self.exact.values(ids))
        self.target = self.plan.scorer.resolve(self.target, full, self.features.found)
        self.features.want_one(NONE)

    def _search(self) -> Generator[None, None, tuple[Ints, dict[str, Any], Floats | None]]:
        rounds = self.plan.search.start(Task(self.n, self.k, self._budget.of_search, self.plan.seed))
        found: Any = None  # what starts a generator
        while True:
            try:
                ask = rounds.send(found)
            except StopIteration as done:
                ranking = done.value
                return np.array(ranking.order, np.int32), dict(ranking.notes), ranking.attribution
            if self._decided(ask):
                return np.array(ask.front[: self.k], np.int32), {"stopped": "decided"}, None
            if not self._budget.affords(ask):
                return np.array(ask.so_far[: self.k], np.int32), {"stopped": "budget"}, None
            self._ask = ask
            found = yield from self._evaluate(ask)
            self._gains.add(ask, found)

    def _evaluate(self, ask: Ask) -> Generator[None, None, Evaluation]:
        if ask.score_only:
            self._want_features()
            score = (yield from self._answers(ask.rows(self.n)))["score"]
            return Evaluation({"score": score}, {"score": 1.0}, insertion=score)
        objective = self.plan.objective
        views = {} if ask.free else self.plan.views(ask.rows(self.n), self.n)
        known = len(self.memo)
        ids = {name: self.memo.want(view) for name, view in views.items()}
        if ask.recheck is None:
            self._count(sum(map(len, views.values())), len(self.memo) - known)
            self._want_ahead(ask)
        else:
            for view in views.values():
                self.exact.want(view[ask.recheck])
        if not ask.free:
            self._want_features()  # no more rows where round 1 has just asked for them
        if not self.memo.complete or not self.exact.complete:
            yield
        effectiveness = None
        if objective.needs("regions"):
            effectiveness = self.features.effectiveness(self.plan.backend).of(ask, self.n)
        values = {name: self.memo.values(each) for name, each in ids.items()}
        return self._weighed(views, values, effectiveness)

    def _weighed(self, views: dict[str, Ints], fast: dict[str, Floats], effectiveness: Floats | None) -> Evaluation:
        """F from the values of each view; in mixed precision exact values go first, and the rest has a margin."""

        def weigh(values: dict[str, Floats]) -> Evaluation:
            readings = {name: self._read(each) for name, each in values.items()}
            return self.plan.objective.evaluate(readings.get("kept"), readings.get("removed"), effectiveness)

        if not self.plan.mixed:
            return weigh(fast)
        best_known = {name: values.copy() for name, values in fast.items()}
        sure: Any = True
        for name, rows in views.items():
            ids = self.exact.find(rows)
            known = ids >= 0
            if known.any():
                best_known[name][known] = self.exact.values(ids[known])
            sure = known & sure
        found, rough = weigh(best_known), weigh(fast)
        if np.any(sure) and len(found.total):
            seen = float(np.abs(found.total - rough.total)[sure].max())
            self._margin = max(MARGIN * seen, 0.0 if np.isinf(self._margin) else self._margin)
        return replace(found, margin=self._margin, exact=np.broadcast_to(sure, found.total.shape))

    def _answers(self, rows: Ints) -> Generator[None, None, Reading]:
        """What the scorer says of these rows; waits for those that are new."""
        known = len(self.exact)
        ids = self.exact.want(rows)
        self._count(len(rows), len(self.exact) - known)
        if not self.exact.complete:
            yield
        return self._read(self.exact.values(ids))

    def _measure_curves(self, order: Ints) -> Generator[None, None, None]:
        rows = bitrows.prefixes(order, self.n)
        known = len(self.exact)
        self.exact.want(rows)
        self.exact.want(bitrows.complement(rows, self.n))
        added = len(self.exact) - known
        self._count(added, added)
        self._want_features()
        if not self.exact.complete:
            yield

    def _want_features(self) -> None:
        """With the first rows that are asked for: a row answered before has no features any more."""
        if self.plan.objective.needs("regions"):
            added = self.features.want_all(self.exact)
            self._count(added, added)

    def _want_ahead(self, ask: Ask) -> None:
        """What is asked next goes along, unless there is a budget, in which each row counts."""
        if self.plan.ahead and ask.ahead is not None and self.plan.budget(self.n) is None:
            known = len(self.memo)
            for view in self.plan.views(ask.ahead.rows(self.n), self.n).values():
                self.memo.want(view)
            self.ahead += len(self.memo) - known

    def _count(self, asked: int, new: int) -> None:
        """Rows asked for, and how many of them the memo did not know."""
        self.asked += asked
        count(asked=asked, hits=asked - new)

    # Ends before all k regions are ordered where they give the decision.

    def _decided(self, ask: Ask) -> bool:
        """Whether what is settled in front already gives the decision by itself, as far as that is known."""
        if self.plan.until != "decided" or not ask.front:
            return False
        ids = self.exact.find(bitrows.of(np.array(ask.front, np.int32), self.n)[None])
        return bool(ids[0] >= 0 and self._read(self.exact.values(ids))["decided"][0])

    def _until_decided(self, order: Ints) -> Ints:
        """The order up to the first prefix that gives the decision; all of it where none does."""
        decided = self._read_known(bitrows.prefixes(order, self.n))["decided"][1:]
        return order[: int(decided.argmax()) + 1] if decided.any() else order

    # Reading answers.

    def _read(self, values: Floats) -> Reading:
        return self.plan.scorer.read(values, self.target)

    def _explain(self, order: Ints, notes: dict[str, Any]) -> Explanation:
        rows = bitrows.prefixes(order, self.n)
        kept, removed = self._read_known(rows), self._read_known(bitrows.complement(rows, self.n))
        effectiveness = None
        if self.plan.objective.needs("regions") and self.features.complete(self.exact):
            effectiveness = self.features.effectiveness(self.plan.backend).of_subsets(bitrows.unpack(rows, self.n))
        found = self.plan.objective.evaluate(kept, removed, effectiveness)
        count, compared, largest = self._gains.violations(float(found.total[0]) if len(found.total) else np.nan)
        shown = self.item.shown or self.item.regions
        areas = shown.areas()
        target = self.plan.scorer.describe(self.target) if self.item.described is None else self.item.described
        own = ("score", "traced", "decided", "confidence", "top")
        if self.plan.mixed:
            notes = {**notes, "rechecked": self.exact.answered}
        if self.plan.ahead:
            notes = {**notes, "ahead": self.ahead}
        return Explanation(
            order=order.astype(np.int64),
            score=found.total[1:],
            terms={name: values[1:] for name, values in found.terms.items()},
            insertion=kept["score"],
            deletion=removed["score"],
            area=(np.append(0, areas[order].cumsum()) / areas.sum()).astype(np.float32),
            labels=shown.labels,
            target=target,
            traced={
                int(self.target[t]): np.stack((kept["traced"][:, t], removed["traced"][:, t]))
                for t in range(1, kept["traced"].shape[1])
            },
            predicted=_predicted(kept, removed),
            evaluations=self.evaluations,
            asked=self.asked,
            seconds=time.perf_counter() - self._began,
            violations=count,
            notes={**self.plan.notes, "gains_compared": compared, "largest_growth": largest, **notes},
            id=self.item.id,
            index=self.index,
            pixels=self.item.pixels,
            reading={name: np.stack((kept[name], removed[name])) for name in kept if name not in own},
        )

    def _read_known(self, rows: Ints) -> Reading:
        """Readings of the rows, NaN where a row was never answered."""
        ids = self.exact.find(rows)
        known = ids >= 0
        if not self.exact.answered:
            raise ScorerError("the model has not answered a single row of this input")
        reading = self._read(self.exact.values(np.where(known, ids, 0)))
        return {name: np.where(known.reshape(-1, *[1] * (v.ndim - 1)), v, np.nan) for name, v in reading.items()}


class Probe(Request):
    """The target score of given subsets of one input; its result is (scores [a], the target as resolved)."""

    def __init__(self, item: Item, plan: Plan, index: int = 0, *, member: Bools) -> None:
        self._member = member
        super().__init__(item, plan, index)

    def _live(self) -> Generator[None, None, Any]:
        if self.plan.scorer.unresolved(self.target):
            yield from self._resolve_target()
        reading = yield from self._answers(bitrows.pack(self._member))
        return reading["score"], self.target


def _predicted(kept: Reading, removed: Reading) -> NDArray[np.int64] | None:
    if "top" not in kept:
        return None
    return np.nan_to_num(np.stack((kept["top"], removed["top"])), nan=-1).astype(np.int64)
