"""Request: one input's search. It asks for subsets, remembers what the model said of each, and explains in the end."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from pysmdl import bitrows
from pysmdl.engine.plan import Item, Plan
from pysmdl.engine.requests.budget import Budget
from pysmdl.engine.requests.features import NONE
from pysmdl.engine.requests.gains import GainRecord
from pysmdl.engine.requests.known import Known
from pysmdl.engine.requests.memo import Memo
from pysmdl.engine.requests.outcome import explanation_of
from pysmdl.explanation import Explanation
from pysmdl.profiling import count
from pysmdl.search.vocabulary import Ask, Evaluation, Task
from pysmdl.types import Bools, Floats, Ints, Reading


class Request:
    """A coroutine: it wants rows, waits until all of them are answered, and goes on."""

    def __init__(self, item: Item, plan: Plan, index: int = 0) -> None:
        self.item, self.plan, self.index = item, plan, index
        self.n = item.regions.n
        self.k = min(plan.k or self.n, self.n)
        self.known = Known(plan, item)
        self._budget = Budget(plan, self.n, self.k, self.known)
        self.asked = self.ahead = 0  # rows asked for; rows that went along before they were
        self._along = range(0)  # numbers of those that went along last
        self.result: Any = None  # an Explanation, once it is done
        self._gains = GainRecord()
        self._ask = Ask(rest=range(self.n))
        self._began = time.perf_counter()
        self._life = self._live()
        self._advance()

    # The engine's side: give answers, look at what is settled.

    def complete(self, memo: Memo, values: Floats, features: Floats | None) -> None:
        """Take the answer to the rows of a memo handed out longest ago; go on once nothing is missing."""
        first, last = memo.answer(self.plan.scorer.own(values, self.known.target))
        if features is not None and len(features):
            self.known.features.keep(first, last, features)
        if self.known.complete:
            self._advance()

    @property
    def settled(self) -> tuple[int, ...]:
        """Regions whose place at the start of the order is settled."""
        front = self._ask.front[: self.k]
        if self.plan.until is None or not front or not self.known.exact.answered:
            return front
        goes_on = self._decisions(front) == 0  # after any other the order may end
        return front[: int(np.append(goes_on, False).argmin())]

    def view(self, regions: tuple[int, ...]) -> tuple[float, float]:
        """Target score with these regions kept, and with them removed; NaN where not measured."""
        row = bitrows.of(np.array(regions, np.int32), self.n)[None]
        kept, removed = self.known.of(np.concatenate((row, bitrows.complement(row, self.n))))["score"]
        return float(kept), float(removed)

    def partial(self, why: str) -> Explanation | None:
        """What is settled so far, without another evaluation; curve points never measured are NaN.

        Where a search settles nothing from the start before it ends, the best order it knows. None where the model has
        answered nothing yet in full precision.
        """
        if not self.known.exact.answered:
            return None
        promising = self._ask.back or self._ask.rest != tuple(range(self.n))
        order = self.settled if self._ask.front or not promising else self._ask.so_far[: self.k]
        return self._explain(np.array(order, np.int32), {"stopped": why})

    def _advance(self) -> None:
        try:
            while self.known.complete:
                next(self._life)
        except StopIteration as done:
            self.result = done.value

    # Its own life: resolve the target, search, measure the curves, explain.

    def _live(self) -> Generator[None, None, Any]:
        if self.plan.scorer.unresolved(self.known.target):
            yield from self._resolve_target()
        order, notes, attribution = yield from self._search()
        yield from self._measure_curves(order)
        if self.plan.until == "decided":
            order = self._until_decided(order)
        explanation = self._explain(order, notes)
        explanation.attribution = attribution
        return explanation

    def _resolve_target(self) -> Generator[None, None, None]:
        known = self.known
        ids = known.exact.want(bitrows.full(self.n)[None])
        known.features.want_one(ids)
        self._count(1, 1)
        yield
        full = known.read(known.exact.values(ids))
        known.target = self.plan.scorer.resolve(known.target, full, known.features.found)
        known.features.want_one(NONE)

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
        views = {} if ask.free else self.plan.views(ask.rows(self.n), self.n)
        exact, memo = self.known.exact, self.known.memo
        before = len(memo)
        ids = {name: memo.want(view) for name, view in views.items()}
        if ask.recheck is None:
            self._count(sum(map(len, views.values())), len(memo) - before + self._came_along(ids))
            self._want_ahead(ask)
        else:
            for view in views.values():
                exact.want(view[ask.recheck])
        if not ask.free:
            self._want_features()  # no more rows where round 1 has just asked for them
        if not self.known.complete:
            yield
        return self.known.evaluation(ask, views, ids)

    def _answers(self, rows: Ints) -> Generator[None, None, Reading]:
        """What the scorer says of these rows; waits for those that are new."""
        exact = self.known.exact
        before = len(exact)
        ids = exact.want(rows)
        self._count(len(rows), len(exact) - before)
        if not exact.complete:
            yield
        return self.known.read(exact.values(ids))

    def _measure_curves(self, order: Ints) -> Generator[None, None, None]:
        rows, exact = bitrows.prefixes(order, self.n), self.known.exact
        before = len(exact)
        exact.want(rows)
        exact.want(bitrows.complement(rows, self.n))
        added = len(exact) - before
        self._count(added, added)
        self._want_features()
        if not exact.complete:
            yield

    def _want_features(self) -> None:
        """With the first rows that are asked for: a row answered before has no features any more."""
        if self.plan.objective.needs("regions"):
            added = self.known.features.want_all(self.known.exact)
            self._count(added, added)

    def _want_ahead(self, ask: Ask) -> None:
        """What is asked next goes along, unless there is a budget, in which each row counts."""
        if self.plan.ahead and ask.ahead is not None and self._budget.of_search is None:
            memo = self.known.memo
            before = len(memo)
            for view in self.plan.views(ask.ahead.rows(self.n), self.n).values():
                memo.want(view)
            self._along = range(before, len(memo))
            self.ahead += len(self._along)

    def _came_along(self, ids: dict[str, Ints]) -> int:
        """How many of these rows went along with the ask before: it is now that they are asked for."""
        along, self._along = self._along, range(0)
        return sum(int(np.count_nonzero((each >= along.start) & (each < along.stop))) for each in ids.values() if along)

    def _count(self, asked: int, new: int) -> None:
        """Rows asked for, and how many of them the memo did not know."""
        self.asked += asked
        count(asked=asked, hits=asked - new)

    # Ends before all k regions are ordered where they give the decision.

    def _decided(self, ask: Ask) -> bool:
        """Whether what is settled in front already gives the decision by itself, as far as that is known."""
        if self.plan.until != "decided" or not ask.front:
            return False
        exact = self.known.exact
        ids = exact.find(bitrows.of(np.array(ask.front, np.int32), self.n)[None])
        return bool(ids[0] >= 0 and self.known.read(exact.values(ids))["decided"][0])

    def _decisions(self, order: Sequence[int] | Ints) -> Floats:
        """Whether its first 1, 2, ... regions give the decision; NaN where that was not measured."""
        return self.known.of(bitrows.prefixes(np.asarray(order, np.int32), self.n)[1:])["decided"]

    def _until_decided(self, order: Ints) -> Ints:
        """The order up to the first prefix that gives the decision; all of it where none does."""
        decided = self._decisions(order)
        return order[: int(decided.argmax()) + 1] if decided.any() else order

    def _explain(self, order: Ints, notes: dict[str, Any]) -> Explanation:
        if self.plan.mixed:
            notes = {**notes, "rechecked": self.known.exact.answered}
        if self.plan.ahead:
            notes = {**notes, "ahead": self.ahead}
        seconds = time.perf_counter() - self._began
        return explanation_of(
            order, self.known, self._gains, self.item, self.plan, notes,
            asked=self.asked, seconds=seconds, index=self.index,
        )  # fmt: skip


class Probe(Request):
    """The target score of given subsets of one input; its result is (scores [a], the target as resolved)."""

    def __init__(self, item: Item, plan: Plan, index: int = 0, *, member: Bools) -> None:
        self._member = member
        super().__init__(item, plan, index)

    def _live(self) -> Generator[None, None, Any]:
        if self.plan.scorer.unresolved(self.known.target):
            yield from self._resolve_target()
        reading = yield from self._answers(bitrows.pack(self._member))
        return reading["score"], self.known.target
