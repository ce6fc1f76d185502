"""Request: one input's search. It asks for subsets, remembers what the model said of each, and explains in the end."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pysmdl import bitrows
from pysmdl.engine.item import Item
from pysmdl.engine.plan import Plan
from pysmdl.engine.requests.ahead import Ahead
from pysmdl.engine.requests.budget import Budget
from pysmdl.engine.requests.features import NONE
from pysmdl.engine.requests.outcome import explanation_of
from pysmdl.engine.requests.subset_values import SubsetValues
from pysmdl.explanation import Explanation
from pysmdl.profiling import count
from pysmdl.search.vocabulary import Ask, Claim, Evaluation, Ranking, Rounds, Task, agreed
from pysmdl.types import Bools, Floats, Ints, Reading


class Request:
    """A coroutine: it wants rows, waits until all of them are answered, and goes on.

    Attributes:
        values: What is known of its input's subsets, and what is still wanted.
        result: An Explanation, once it is done.
    """

    def __init__(self, item: Item, plan: Plan, index: int = 0) -> None:
        self.item, self.plan, self.index = item, plan, index
        self.n = item.regions.n
        self.k = min(plan.k or self.n, self.n)
        self.values = SubsetValues(plan, self.n, item.target)
        self._budget = Budget(plan, self.n, self.k, self.values)
        self.asked = 0  # rows
        room = plan.ahead(item.kind) if plan.ahead is not None and self._budget.rows is None else None
        self._ahead = Ahead(self.values.memo, self.k, room)
        self.result: Any = None
        self._asks: list[tuple[Ask, Floats]] = []  # along the front, in their order, with the totals found
        self._claim = Claim(rest=range(self.n))
        self._began = 0.0
        self._life = self._live()

    # The engine's side: give answers, look at what is settled.

    def start(self) -> None:
        """Begin, up to the first rows that are wanted."""
        self._began = time.perf_counter()
        self._advance()

    @property
    def name(self) -> str:
        """For messages."""
        return f"input {self.item.id!r}" if self.item.id is not None else "the input"

    def deliver(self, exact: bool, answer: Floats, features: Floats | None) -> None:
        """Take the answer to the rows handed out longest ago in this precision; go on once nothing is missing."""
        values = self.values
        memo = values.exact if exact else values.memo
        first, last = memo.answer(self.plan.scorer.own(answer, values.target))
        if memo is values.memo:
            self._ahead.answered(first, answer)
        if features is not None and len(features):
            values.features.keep(first, last, features)
        if values.answered:
            self._advance()

    def unasked(self, start: int, stop: int) -> Ints:
        """Which of the rows start..stop-1 of what candidates are judged by went ahead, as offsets."""
        return self._ahead.unasked(start, stop) if self._ahead.for_nobody else NONE

    @property
    def fixed(self) -> tuple[int, ...]:
        """Regions whose place at the start of the order is settled."""
        front = self._claim.front[: self.k]
        if self.plan.until is None or not front or not self.values.exact.answered:
            return front
        goes_on = self._decisions(front) == 0  # after any other the order may end
        return front[: int(np.append(goes_on, False).argmin())]

    def view(self, regions: tuple[int, ...]) -> tuple[float, float]:
        """Target score with these regions kept, and with them removed; NaN where not measured."""
        row = bitrows.of(np.array(regions, np.int32), self.n)[None]
        kept, removed = self.values.of(np.concatenate((row, bitrows.complement(row, self.n))))["score"]
        return float(kept), float(removed)

    def partial(self, why: str) -> Explanation | None:
        """What is settled so far, without another evaluation; curve points never measured are NaN.

        Where a search settles nothing from the start before it ends, the best order it knows. None where the model has
        answered nothing yet in full precision.
        """
        if not self.values.exact.answered:
            return None
        claim = self._claim
        promising = claim.back or claim.rest != tuple(range(self.n))
        order = self.fixed if claim.front or not promising else claim.answer(self.n)[: self.k]
        return self._explain(np.array(order, np.int32), {"stopped": why})

    def _advance(self) -> None:
        try:
            next(self._life)
        except StopIteration as done:
            self.result = done.value

    # Its own life: resolve the target, search, measure the curves, explain. It yields where it has to wait for rows.

    def _live(self) -> Generator[None, None, Any]:
        if self.plan.scorer.unresolved(self.values.target):
            yield from self._resolve_target()
        order, notes, attribution = yield from self._search()
        yield from self._measure_curves(order)
        if self.plan.until == "decided":
            order = self._until_decided(order)
        explanation = self._explain(order, notes)
        explanation.attribution = attribution
        return explanation

    def _resolve_target(self) -> Generator[None, None, None]:
        values = self.values
        ids = values.exact.want(bitrows.full(self.n)[None])
        values.features.want_one(ids)
        self._count(1, 1)
        yield
        full = values.read(values.exact.values(ids))
        values.target = self.plan.scorer.resolve(values.target, full, values.features.found)
        values.features.want_one(NONE)

    def _search(self) -> Generator[None, None, tuple[Ints, dict[str, Any], Floats | None]]:
        task = Task(self.n, self.k, self._budget.of_search, self.plan.seed, self.item.regions)
        rounds: Rounds = agreed(self.plan.search.start(task), Generator, "start")
        found: Any = None  # what starts a generator
        while True:
            try:
                ask = agreed(rounds.send(found), Ask, "yield")
            except StopIteration as done:
                ranking = agreed(done.value, Ranking, "return")
                ranking.check(self.n)
                return np.array(ranking.order[: self.k], np.int32), dict(ranking.notes), ranking.attribution
            ask.check(self.n, self.plan.search.soft)
            if self.plan.until is not None and self._decided(ask.claim):
                return np.array(ask.claim.front[: self.k], np.int32), {"stopped": "decided"}, None
            if self._budget.rows is not None and not self._budget.affords(ask):
                return np.array(ask.claim.answer(self.n)[: self.k], np.int32), {"stopped": "budget"}, None
            self._claim = ask.claim
            found = yield from self._evaluate(ask)
            if not (ask.free or ask.score_only or ask.complement):
                self._asks.append((ask.plain(), found.total))

    def _evaluate(self, ask: Ask) -> Generator[None, None, Evaluation]:
        values = self.values
        if ask.score_only:
            self._want_features()
            read = yield from self._answers(ask.rows(self.n))
            decided = None if read.decided is None else read.decided == 1
            return Evaluation({"score": read.score}, {"score": 1.0}, insertion=read.score, decided=decided)
        views = {} if ask.free else self._views(ask)
        exact, memo = values.exact, values.memo
        before = memo.wanted
        ids = {name: memo.want(view) for name, view in views.items()}
        if ask.recheck is None:
            along = sum(map(self._ahead.asked, ids.values()))
            new = memo.wanted - before
            self._count(sum(map(len, views.values())), new + along)
            self._ahead.go(ask, new, self._views)
        else:
            for view in views.values():
                exact.want(view[ask.recheck])
        self._want_features()  # no more rows where round 1 has just asked for them
        if not values.answered:
            yield
        return values.evaluation(ask, views, ids)

    def _views(self, ask: Ask) -> dict[str, Ints]:
        """The rows of each view that a term needs."""
        rows, needed = ask.rows(self.n), self.plan.objective.views
        views = {"kept": rows} if "kept" in needed else {}
        if "removed" in needed:
            views["removed"] = ~rows & bitrows.full(self.n)
        return views

    def _answers(self, rows: Ints) -> Generator[None, None, Reading]:
        """What the scorer says of these rows; waits for those that are new."""
        exact = self.values.exact
        before = exact.wanted
        ids = exact.want(rows)
        self._count(len(rows), exact.wanted - before)
        if not self.values.answered:
            yield
        return self.values.read(exact.values(ids))

    def _measure_curves(self, order: Ints) -> Generator[None, None, None]:
        rows, exact = bitrows.prefixes(order, self.n), self.values.exact
        before = exact.wanted
        ids = exact.want(rows), exact.want(bitrows.complement(rows, self.n))
        added = exact.wanted - before + (0 if self.plan.mixed else sum(map(self._ahead.asked, ids)))
        self._count(added, added)
        self._want_features()
        if not self.values.answered:
            yield

    def _want_features(self) -> None:
        """With the first rows that are asked for: a row answered before has no features any more."""
        if self.plan.objective.pairwise:
            added = self.values.features.want_all(self.values.exact)
            self._count(added, added)

    def _count(self, asked: int, new: int) -> None:
        """Rows asked for, and how many of them the memo did not know."""
        self.asked += asked
        count(asked=asked, hits=asked - new)

    # Ends before all k regions are ordered where they give the decision.

    def _decided(self, claim: Claim) -> bool:
        """Whether what is settled in front already gives the decision by itself, as far as that is known."""
        if not claim.front:
            return False
        exact = self.values.exact
        ids = exact.find(bitrows.of(np.array(claim.front, np.int32), self.n)[None])
        return bool(ids[0] >= 0 and _decided(self.values.read(exact.values(ids)))[0])

    def _decisions(self, order: Sequence[int] | Ints) -> Floats:
        """Whether its first 1, 2, ... regions give the decision; NaN where that was not measured."""
        return _decided(self.values.of(bitrows.prefixes(np.asarray(order, np.int32), self.n)[1:]))

    def _until_decided(self, order: Ints) -> Ints:
        """The order up to the first prefix that gives the decision; all of it where none does."""
        decided = self._decisions(order)
        return order[: int(decided.argmax()) + 1] if decided.any() else order

    def _explain(self, order: Ints, notes: dict[str, Any]) -> Explanation:
        if self.plan.mixed:
            notes = {**notes, "rechecked": self.values.exact.answered}
        if self._ahead.sent:
            notes = {**notes, "ahead": self._ahead.for_nobody}
        seconds = time.perf_counter() - self._began
        return explanation_of(
            order, self.values, self._asks, self.item, self.plan, notes,
            asked=self.asked, seconds=seconds, index=self.index,
        )  # fmt: skip


def _decided(reading: Reading) -> Floats:
    """Whether rows give the decision: never, where the scorer knows no such thing."""
    return np.zeros(len(reading.score), np.float32) if reading.decided is None else reading.decided


class Probe(Request):
    """What is read of given subsets of one input; its result is (the reading, the input with its target resolved)."""

    def __init__(self, item: Item, plan: Plan, index: int = 0, *, member: Bools) -> None:
        super().__init__(item, plan, index)
        self._member = member

    def _live(self) -> Generator[None, None, Any]:
        if self.plan.scorer.unresolved(self.values.target):
            yield from self._resolve_target()
        reading = yield from self._answers(bitrows.pack(self._member))
        return reading, replace(self.item, target=self.values.target)
