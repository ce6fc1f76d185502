"""Guided search, pysmdl's own: a surrogate fitted on everything measured so far says what to measure next.

Published searches ask for F(S + a) of every candidate a, round by round: n^2 / 2 subsets. Here an order is judged as a
whole, by the area under F along it, which is what the insertion and deletion curves show. A surrogate predicts that for
any order; its favourite is measured where it is least sure, and with each measurement it gets better where it matters.

1. Blobs, regions that lie together, each with its complement, give a first picture of every region.
2. The surrogate is fitted and the order sought that it likes best, by moves of single regions from the last one (now
   and then from others too). Those of its prefixes that are least certain are measured, some distance apart. Again.
3. An order whose prefixes are nearly all known is measured in full. The best order along any subsets measured is the
   answer so far (:mod:`pysmdl.search.lattice`).
4. With the last rows, and where the surrogate has nothing new to propose, single regions of the best order are moved
   where that is likely to gain (:mod:`pysmdl.search.local_moves`).

Any number of rows will do, and more find better orders; of few regions all subsets are measured at once, and the best
order is found. Where there are rows for two such searches, a second one begins afresh: which basin an order lies in is
decided early. The better one then goes on with what both have measured.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from pysmdl.search.blobs import blobs
from pysmdl.search.lattice import Lattice, numbers, prefixes
from pysmdl.search.local_moves import promising
from pysmdl.search.measurements import Measurements, Measuring
from pysmdl.search.surrogate import Order, Surrogate
from pysmdl.search.vocabulary import Ask, Evaluation, Ranking, Rounds, Task
from pysmdl.types import Bools

SHARE = 0.05  # of an order's prefixes are measured before the surrogate is fitted anew
GROWTH = 0.01  # or this share of the rows known, where that is more: a few among many change little
PATIENT = 2.0  # of more than 10 n + 140 rows there is time for more fits: that share over their multiple to this power
STEADY = 2  # times as many where the last fit left the favourite as it was: so would this one, most likely
MANY = 60  # regions, beyond which that share grows with their number, as the time of a fit does
SCARCE = 2.0  # of fewer than 10 n + 140 rows each must tell more: times their share of that to this power
LARGE = 400  # regions, of which fits take too long for that
SPACING = 3.0  # a prefix says most of what its neighbours would, up to about this far
AFRESH = 5  # every so many fits others are tried: one built from nothing, and the best measured
PASSES = 3  # moves of each region at a fit
LAST = 0.15  # of the rows, for moves of single regions that are measured
STALLS = 30  # fits in a row that propose nothing new, after which there is nothing left to try
SMALL, EXPLORED = (0.03, 0.25), 3  # shares of the regions in a blob that varies a prefix; so many batches at a time
FEW = 10  # regions, of which all subsets are measured where that many rows are granted
PLENTY = 2.0  # times 10 n + 140 rows, from which on they go into two searches and what both find together
APART = 0.38  # of the rows then, for each of the two


def guided_rounds(task: Task, evaluations: int, pairs: int, batch: int = 1) -> Rounds:
    """The order that a surrogate and `evaluations` rows find, the curves' rows included. See the module's docstring."""
    if task.n <= FEW or evaluations < PLENTY * usual(task.n):
        guide = Guide(task, evaluations, pairs, batch)
        yield from guide.search()
        return guide.ranking()
    first = Guide(task, round(APART * evaluations), pairs, batch)
    yield from first.search()
    second = Guide(task, round(APART * evaluations), pairs, batch, after=first)
    yield from second.search()
    guide, other = sorted((first, second), key=attrgetter("worth"), reverse=True)
    guide.join(other, evaluations)
    yield from guide.go_on()
    return guide.ranking()


def usual(n: int) -> int:
    """Rows that a search takes where nobody says."""
    return 10 * n + 140


class Guide:
    """A guided search under way.

    Args:
        task: What is to be ordered.
        evaluations: Rows to take.
        pairs: Subsets to begin with.
        least: To measure at a time at least.
        after: A search of the same that is over: it has found an order, and this one is to find another.
    """

    def __init__(self, task: Task, evaluations: int, pairs: int, least: int = 1, after: Guide | None = None) -> None:
        n, regions = task.n, task.regions
        self.n, self.k, self.evaluations, self.pairs, self.least = n, task.k, evaluations, pairs, least
        self.places = None if regions is None or n == 1 else regions.places()
        # An order of few regions is no better for large ones: each place counts the same.
        sized = regions is not None and self.k == n
        area = regions.areas() / regions.areas().sum() if sized and regions is not None else np.full(n, 1 / n)
        self.surrogate = Surrogate(n, area, self.places, expected=evaluations)
        self.lattice = Lattice(area, self.k)
        self.known = Measurements(self.surrogate, self.lattice)
        self.rng = np.random.default_rng(task.seed)
        self.after = after
        if after is not None:
            self.rng = after.rng
            self.known.read_as(after.known)
        plenty = evaluations / usual(n)
        self.scarce: float = min(1.0, max(plenty**SCARCE, n / LARGE))
        self.growth: float = GROWTH * max(1.0, n / MANY) / max(1.0, plenty) ** PATIENT
        self.curves = 2 * (n if self.k == n else self.k + 1)  # rows of an order of which nothing is known
        self.order: Order = np.arange(n, dtype=np.int32)  # the surrogate's favourite
        self.unsure = np.zeros((2, n + 1))  # it is of each of its prefixes, kept and removed
        self.steady = False  # whether the last fit left it as it was
        self.best: Order | None = None  # the best known in full
        self.worth = -np.inf  # of that
        self.fits = 0

    @property
    def left(self) -> int:
        """Rows that may still be taken; the curve points of a view that F does not read are set aside."""
        return self.evaluations - self.known.spent - (0 if self.known.views == 2 else self.n)

    @property
    def batch(self) -> int:
        """Subsets to measure at a time."""
        count = self.scarce * max(SHARE * self.n, self.growth * self.known.spent)
        return max(self.least, round(count)) * (STEADY if self.steady else 1)

    @property
    def answer(self) -> tuple[Order, bool]:
        """The order that would be the answer now, and whether it is known in full."""
        if self.after is not None and self.after.worth > self.worth:
            return self.after.answer
        return (self.order, False) if self.best is None else (self.best, True)

    def search(self) -> Measuring:
        """From the first blobs until the rows are spent or nothing is left to try."""
        yield from self._begin()
        yield from self.go_on()

    def go_on(self) -> Measuring:
        """Measure until the rows are spent or nothing is left to try."""
        stalls = 0
        while self.left >= self.known.views and stalls <= STALLS and len(self.lattice.total) < 2**self.n:
            self.surrogate.fit()
            last = self.best is not None and self.left <= LAST * self.evaluations
            if last and (yield from self._move()):
                continue
            self._favour(stalls)
            chain = prefixes(self.order, self.k)
            subsets = numbers(chain)
            missing = ~self.known.has(subsets)
            if missing.any() and self.known.affords(subsets, int(missing.sum()), self.left):
                yield from self._measure(chain, missing)
                stalls = max(0, stalls - 1)
            elif self.best is None and missing.any():
                break
            else:
                self._improve()
                tried = (not last and (yield from self._explore())) or (yield from self._move())
                stalls = 0 if tried else stalls + 1
        self._improve()

    def join(self, other: Guide, evaluations: int) -> None:
        """Go on from what both found, with so many rows in all."""
        self.known.join(other.known)
        self.evaluations, self.after = evaluations, None
        self.fits += other.fits
        self._improve()
        self.order, self.steady = self.answer[0], False

    def ranking(self) -> Ranking:
        """The answer."""
        found, _ = self.answer
        return Ranking(found[: self.k].tolist(), {"fits": self.fits, "subsets_measured": len(self.lattice.total)})

    def _begin(self) -> Measuring:
        """Nothing, everything, and as many blobs as leave enough for an order; or all subsets there are."""
        if self.n <= FEW and 2**self.n <= self.evaluations:
            every = np.array(list(itertools.product((False, True), repeat=self.n)))
            yield from self.known.measure(every, *self.answer)
            return
        count = max(1, min(self.pairs, (self.evaluations - self.curves) // 4))
        ends = np.array([[False], [True]]).repeat(self.n, 1)
        yield from self.known.measure(np.vstack((ends, blobs(self.rng, count, self.n, self.places))), *self.answer)

    def _favour(self, stalls: int) -> None:
        """Seek the order that the surrogate likes best, from its last one and now and then from others as well.

        Where it proposed nothing new the last few times: what it would like had it heard a little else.
        """
        starts = [self.order]
        if self.fits % AFRESH == 0 or stalls:
            starts += [self.surrogate.greedy(), *([] if self.best is None else [self.best])]
        if stalls:
            self.surrogate.shake(self.rng, 0.3 * stalls)
        self.fits += 1
        improved = [self.surrogate.improved(start, self.k, PASSES, self.n) for start in starts]
        before = self.order
        self.order, _, self.unsure = max(improved, key=attrgetter("worth"))
        self.steady = np.array_equal(before, self.order)

    def _measure(self, chain: Bools, missing: NDArray[np.bool_]) -> Measuring:
        """Measure the favourite where the surrogate is least sure of it, or in full if little is missing or left.

        Where F reads two views, one of a prefix often tells all: the other is taken where it is unsure as well.
        """
        rows, unsure = self.known.views * self.batch, self.unsure[:, : len(chain)]
        if self.known.views == 2:
            missing, measure = ~self.known.has_rows(numbers(chain)), self.known.measure_rows
        else:
            missing, measure, unsure = missing[None], self.known.measure, unsure.sum(0, keepdims=True)
        if missing.sum() > rows and self.left >= rows + (self.curves if self.best is None else 0):
            views, places = apart(np.where(missing, unsure, -1), rows)
            yield from measure(chain[places] ^ (views == 1)[:, None], *self.answer)
            return
        yield from self.known.measure(chain, self.answer[0], final=True)
        self._improve()

    def _explore(self) -> Generator[Ask, Evaluation, bool]:
        """Measure what the best order would meet on other ways: prefixes of it with a small blob of regions changed."""
        if self.best is None or self.k < 2:
            return False
        count = min(EXPLORED * min(self.batch, self.n), self.left // self.known.views)
        known = prefixes(self.best, self.k)[self.rng.integers(1, self.k, count)]
        before = self.known.spent
        yield from self.known.measure(known ^ blobs(self.rng, count, self.n, self.places, SMALL), *self.answer)
        self._improve()
        return self.known.spent > before

    def _move(self) -> Generator[Ask, Evaluation, bool]:
        """Measure what moves of single regions in the best order need; False where there is none to try."""
        if self.best is None:
            return False
        tried = promising(self.known, self.best, self.k, self.left)
        if not len(tried):
            return False
        yield from self.known.measure(tried, *self.answer)
        self._improve()
        return True

    def _improve(self) -> None:
        """Take the best order along what is measured."""
        found = self.lattice.best()
        if found is not None:
            rest = [region for region in self.order.tolist() if region not in set(found[0])]
            self.best, self.worth = np.array([*found[0], *rest], np.int32), found[1]


def apart(unsure: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """The most uncertain places of a chain [views, places], each making its neighbours less so: their views and places.

    [2, count].
    """
    unsure, size = unsure.copy(), unsure.shape[1]
    less = 1 - np.exp(-np.abs(np.arange(1 - size, size)) / SPACING)  # by how far a place lies from the one chosen
    chosen = []
    for _ in range(count):
        view, place = divmod(int(unsure.argmax()), size)
        unsure[view] *= less[size - 1 - place : 2 * size - 1 - place]
        unsure[view, place] = -1
        chosen.append((view, place))
    found: NDArray[np.int64] = np.array(sorted(chosen)).T
    return found
