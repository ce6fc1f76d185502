"""Request: one input's search. It asks for subsets, remembers what the model said of each, and explains in the end."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pysmdl import bitrows
from pysmdl.engine.gains import GainRecord
from pysmdl.errors import ScorerError
from pysmdl.objective import Objective
from pysmdl.objective.effectiveness import Effectiveness
from pysmdl.result import Explanation
from pysmdl.scorers.base import Scorer
from pysmdl.search import Search, Task
from pysmdl.subsets import subset_cache
from pysmdl.types import Ask, Bools, Evaluation, Floats, Ints, Reading, Regions

Waiting = Generator[int, None, Any]
"""A stage of a request's life: yields how many of its subsets must be known before it can go on."""


@dataclass(frozen=True)
class Plan:
    """What all requests of one call share."""

    scorer: Scorer
    objective: Objective
    search: Search
    k: int | None = None
    evaluations: int | None = None
    seed: int = 0
    until: str | None = None
    backend: str = "auto"
    notes: dict[str, Any] = field(default_factory=dict)

    def rows(self, n: int) -> int:
        """Evaluations that an input of n regions takes at most: the search's, and the curves' where it has not them."""
        k = min(self.k or n, n)
        views = sum(self.objective.needs(view) for view in ("kept", "removed"))
        most = self.search.asks(n, k) * views + 2 * (k + 1) * (views < 2) + 2
        return most if self.evaluations is None else min(most, self.evaluations)


@dataclass(frozen=True)
class Item:
    """One input, ready for the engine: in model space, with its baseline, regions and target."""

    x: Tensor
    baseline: Tensor
    regions: Regions
    target: NDArray[Any]
    id: str | None = None
    pixels: NDArray[np.uint8] | None = None
    described: Any = None  # the target as the result shows it, where the caller's own form says more than the row


class Request:
    """Rows are numbered in the order in which they are first wanted, sent and answered in that order."""

    def __init__(self, item: Item, plan: Plan, index: int = 0) -> None:
        self.item, self.plan, self.index = item, plan, index
        self.n = item.regions.n
        self.k = min(plan.k or self.n, self.n)
        self.target = item.target
        self.cache = subset_cache(bitrows.words(self.n))
        self.values: Floats = np.empty((0, 0), np.float32)  # by subset id
        self.sent = self.answered = 0
        self.asked = 0
        self.result: Any = None  # an Explanation, once it is done
        self._feature_ids = np.empty(0, np.int32)  # subsets whose features are wanted, and what was given
        self._features: Floats | None = None
        self._effectiveness: Effectiveness | None = None
        self._gains = GainRecord()
        self._ask = Ask(rest=range(self.n))
        self._began = time.perf_counter()
        self._life = self._live()
        self._needed = 0
        self._check_budget()
        self._advance()

    # The engine's side: take rows, give answers.

    @property
    def waiting(self) -> int:
        """Rows that nobody has sent yet."""
        return len(self.cache) - self.sent

    def take(self, room: int) -> tuple[int, int]:
        """Hand out the next rows, at most `room`: ids start..stop-1."""
        start = self.sent
        self.sent = min(len(self.cache), start + room)
        return start, self.sent

    def wanted_features(self, start: int, stop: int) -> Ints:
        """Which of the rows start..stop-1 the model's features are wanted of, as offsets from start."""
        ids = self._feature_ids
        return ids[(ids >= start) & (ids < stop)] - start

    def complete(self, values: Floats, features: Floats | None) -> None:
        """Take the answer to the rows handed out longest ago; go on as far as it reaches."""
        first, last = self.answered, self.answered + len(values)
        if last > len(self.values):
            grown = np.empty((max(last, len(self.cache), 2 * len(self.values)), values.shape[1]), np.float32)
            if first:
                grown[:first] = self.values[:first]
            self.values = grown
        self.values[first:last] = values
        if features is not None and len(features):
            self._keep_features(first, last, features)
        self.answered = last
        self._advance()

    def partial(self, why: str) -> Explanation:
        """What is settled so far, without another evaluation; curve points never measured are NaN."""
        order = np.array(self._ask.front, np.int32)[: self.k]
        return self._explain(order, {"stopped": why})

    def _advance(self) -> None:
        try:
            while self.answered >= self._needed:
                self._needed = next(self._life)
        except StopIteration as done:
            self.result = done.value

    # Its own life: resolve the target, search, measure the curves, explain.

    def _live(self) -> Generator[int, None, Any]:
        if self.plan.scorer.unresolved(self.target):
            yield from self._resolve_target()
        order, notes, attribution = yield from self._search()
        yield from self._measure_curves(order)
        if self.plan.until == "decided":
            order = self._until_decided(order)
        explanation = self._explain(order, notes)
        explanation.attribution = attribution
        return explanation

    def _resolve_target(self) -> Waiting:
        ids = self._feature_ids = self.cache.intern(bitrows.full(self.n)[None])
        self.asked += 1
        yield len(self.cache)
        self.target = self.plan.scorer.resolve(self.target, self._read(ids), self._features)
        self._feature_ids, self._features = np.empty(0, np.int32), None

    def _search(self) -> Generator[int, None, tuple[Ints, dict[str, Any], Floats | None]]:
        rounds = self.plan.search.start(Task(self.n, self.k, self.plan.evaluations, self.plan.seed))
        found: Any = None  # what starts a generator
        while True:
            try:
                ask = rounds.send(found)
            except StopIteration as done:
                ranking = done.value
                return np.array(ranking.order, np.int32), dict(ranking.notes), ranking.attribution
            if self._decided(ask):
                return np.array(ask.front[: self.k], np.int32), {"stopped": "decided"}, None
            if not self._affordable(ask):
                return np.array(ask.so_far[: self.k], np.int32), {"stopped": "budget"}, None
            self._ask = ask
            found = yield from self._evaluate(ask)
            self._gains.add(ask, found)

    def _evaluate(self, ask: Ask) -> Generator[int, None, Evaluation]:
        objective, known = self.plan.objective, len(self.cache)
        if ask.score_only:
            score = (yield from self._answers(ask.rows(self.n)))["score"]
            return Evaluation({"score": score}, {"score": 1.0}, insertion=score)
        kept = removed = effectiveness = None
        if not ask.free:
            rows = ask.rows(self.n)
            kept_ids = self.cache.intern(rows) if objective.needs("kept") else None
            removed_ids = self.cache.intern(bitrows.complement(rows, self.n)) if objective.needs("removed") else None
            self.asked += sum(len(rows) for ids in (kept_ids, removed_ids) if ids is not None)
            self._want_single_regions()
            if len(self.cache) > known:
                yield len(self.cache)
            kept = None if kept_ids is None else self._read(kept_ids)
            removed = None if removed_ids is None else self._read(removed_ids)
        if objective.needs("regions"):
            effectiveness = self._distances().of(ask, self.n)
        return objective.evaluate(kept, removed, effectiveness)

    def _answers(self, rows: Ints) -> Generator[int, None, Reading]:
        """What the scorer says of these rows; waits for those that are new."""
        known = len(self.cache)
        ids = self.cache.intern(rows)
        self.asked += len(rows)
        if len(self.cache) > known:
            yield len(self.cache)
        return self._read(ids)

    def _measure_curves(self, order: Ints) -> Waiting:
        rows = bitrows.prefixes(order, self.n)
        known = len(self.cache)
        self.cache.intern(rows)
        self.cache.intern(bitrows.complement(rows, self.n))
        self.asked += len(self.cache) - known
        self._want_single_regions()
        if len(self.cache) > known:
            yield len(self.cache)

    # Features of single regions, for the effectiveness term.

    def _want_single_regions(self) -> None:
        """Once: have every single-region view evaluated with features. In greedy's round 1 they all are anyway."""
        if len(self._feature_ids) or not self.plan.objective.needs("regions"):
            return
        known = len(self.cache)
        self._feature_ids = self.cache.intern(bitrows.pack(np.eye(self.n, dtype=bool)))
        self.asked += len(self.cache) - known

    def _keep_features(self, first: int, last: int, features: Floats) -> None:
        if self._features is None:
            self._features = np.zeros((len(self._feature_ids), features.shape[1]), np.float32)
        here = (self._feature_ids >= first) & (self._feature_ids < last)
        self._features[np.flatnonzero(here)[np.argsort(self._feature_ids[here])]] = features

    def _distances(self) -> Effectiveness:
        if self._effectiveness is None:
            # One region may be seen before its features are wanted; it has no neighbour, so any features will do.
            features = np.zeros((1, 1), np.float32) if self.n == 1 else self._features
            assert features is not None
            self._effectiveness = Effectiveness(features, self.plan.backend)
        return self._effectiveness

    # Ends before all k regions are ordered: the decision, the budget.

    def _decided(self, ask: Ask) -> bool:
        """Whether what is settled in front already gives the decision by itself, as far as that is known."""
        if self.plan.until != "decided" or not ask.front:
            return False
        row = bitrows.of(np.array(ask.front, np.int32), self.n)[None]
        ids = self.cache.find(row)
        return bool(0 <= ids[0] < self.answered and self._read(ids)["decided"][0])

    def _until_decided(self, order: Ints) -> Ints:
        """The order up to the first prefix that gives the decision; all of it where none does."""
        decided = self._read_known(bitrows.prefixes(order, self.n))["decided"][1:]
        return order[: int(decided.argmax()) + 1] if decided.any() else order

    def _check_budget(self) -> None:
        least = 2 * self.n if self.k == self.n else 2 * (self.k + 1)
        if self.plan.objective.needs("regions"):
            least += self.n - 1  # single regions; the first of the order is a curve point
        if self.plan.evaluations is not None and self.plan.evaluations < least:
            raise ValueError(
                f"evaluations must be at least {least} to measure the curves of {self.k} of {self.n} regions; "
                f"got {self.plan.evaluations}"
            )

    def _affordable(self, ask: Ask) -> bool:
        """Whether the ask still leaves enough of the budget to measure the curves of any order it may lead to."""
        if self.plan.evaluations is None or ask.free:
            return True
        rows = ask.rows(self.n)
        views = [rows] if self.plan.objective.needs("kept") or ask.score_only else []
        if self.plan.objective.needs("removed") and not ask.score_only:
            views.append(bitrows.complement(rows, self.n))
        new = sum(int((self.cache.find(view) < 0).sum()) for view in views)
        if self.plan.objective.needs("regions") and not len(self._feature_ids):
            new += self.n
        return len(self.cache) + new + self._reserve(ask) <= self.plan.evaluations

    def _reserve(self, ask: Ask) -> int:
        """Rows that the curves may still cost: both views of a prefix that is not settled, or settled but unknown."""
        front, back = len(ask.front), len(ask.back)
        order = np.array(ask.so_far, np.int32)
        rows = bitrows.prefixes(order, self.n)[: self.k + 1]
        unknown = (self.cache.find(rows) < 0).astype(int) + (self.cache.find(bitrows.complement(rows, self.n)) < 0)
        size = np.arange(len(rows))
        settled = (size <= front) | (size >= self.n - back)
        return int(np.where(settled, unknown, 2).sum())

    # Reading answers.

    def _read(self, ids: Ints) -> Reading:
        return self.plan.scorer.read(self.values[ids], self.target)

    def _explain(self, order: Ints, notes: dict[str, Any]) -> Explanation:
        rows = bitrows.prefixes(order, self.n)
        kept, removed = self._read_known(rows), self._read_known(bitrows.complement(rows, self.n))
        effectiveness = None
        if len(self._feature_ids) and self.answered > self._feature_ids.max():
            effectiveness = self._distances().of_subsets(bitrows.unpack(rows, self.n))
        found = self.plan.objective.evaluate(kept, removed, effectiveness)
        count, compared, largest = self._gains.violations(float(found.total[0]) if len(found.total) else np.nan)
        areas = self.item.regions.areas()
        target = self.plan.scorer.describe(self.target) if self.item.described is None else self.item.described
        shown = ("score", "traced", "decided", "confidence", "top")
        return Explanation(
            order=order.astype(np.int64),
            score=found.total[1:],
            terms={name: values[1:] for name, values in found.terms.items()},
            insertion=kept["score"],
            deletion=removed["score"],
            area=(np.append(0, areas[order].cumsum()) / areas.sum()).astype(np.float32),
            labels=self.item.regions.labels,
            target=target,
            traced={
                int(self.target[t]): np.stack((kept["traced"][:, t], removed["traced"][:, t]))
                for t in range(1, kept["traced"].shape[1])
            },
            predicted=_predicted(kept, removed),
            evaluations=self.answered,
            asked=self.asked,
            seconds=time.perf_counter() - self._began,
            violations=count,
            notes={**self.plan.notes, "gains_compared": compared, "largest_growth": largest, **notes},
            id=self.item.id,
            index=self.index,
            pixels=self.item.pixels,
            reading={name: np.stack((kept[name], removed[name])) for name in kept if name not in shown},
        )

    def _read_known(self, rows: Ints) -> Reading:
        """Readings of the rows, NaN where a row was never answered."""
        ids = self.cache.find(rows)
        known = (ids >= 0) & (ids < self.answered)
        if not known.any():
            raise ScorerError("the model has not answered a single row of this input")
        reading = self._read(np.where(known, ids, 0))
        return {name: np.where(known.reshape(-1, *[1] * (v.ndim - 1)), v, np.nan) for name, v in reading.items()}


class Probe(Request):
    """The target score of given subsets of one input; its result is (scores [a], the target as resolved)."""

    def __init__(self, item: Item, plan: Plan, index: int = 0, *, member: Bools) -> None:
        self._member = member
        super().__init__(item, plan, index)

    def _live(self) -> Generator[int, None, Any]:
        if self.plan.scorer.unresolved(self.target):
            yield from self._resolve_target()
        reading = yield from self._answers(bitrows.pack(self._member))
        return reading["score"], self.target


def _predicted(kept: Reading, removed: Reading) -> NDArray[np.int64] | None:
    if "top" not in kept:
        return None
    return np.nan_to_num(np.stack((kept["top"], removed["top"])), nan=-1).astype(np.int64)
