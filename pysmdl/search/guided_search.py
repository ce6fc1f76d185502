"""Guided search, pysmdl's own: a surrogate fitted on everything measured so far says what to measure next.

Published searches ask for F(S + a) of every candidate a, round by round: n^2 / 2 subsets. Here an order is judged as a
whole, by the sum of F over its prefixes, which is what the insertion and deletion curves show. A surrogate predicts
that sum for any order; its favourite is measured where it is least sure, and with each measurement it gets better where
it matters.

1. Random halves, each with its complement, give a first picture of every region.
2. The surrogate is fitted and the order sought that it likes best, by moves of single regions from the last one (now
   and then from others too). Those of its prefixes that are least certain are measured, some distance apart. Again.
3. An order whose prefixes are nearly all known is measured in full. The best of these is the answer.
4. Where the surrogate has nothing new to propose, neighbours in the best order that might gain by changing places are
   measured, and swapped if they do.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pysmdl import bitrows
from pysmdl.search.surrogate import Order, Surrogate, logistic
from pysmdl.search.vocabulary import Ask, Claim, Evaluation, Ranking, Rounds
from pysmdl.types import Bools, Floats

Measuring: TypeAlias = Generator[Ask, Evaluation, None]

SHARE = 0.1  # of an order's prefixes are measured before the surrogate is fitted anew
SPACING = 3.0  # a prefix says most of what its neighbours would, up to about this far
AFRESH = 5  # every so many fits others are tried: one built from nothing, and the best measured
PASSES, WITHIN = 2, 20  # moves of each region at a fit, and how far
SWAPS = 12  # neighbours measured at a time


class Measurements:
    """What has been measured: F of subsets, and how many rows that took."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.surrogate = Surrogate(n)
        self.views = 2  # that F reads
        self.total: dict[bytes, float] = {}
        self._rows: set[bytes] = set()
        self._scale: tuple[float, float] | None = None  # mean and spread of F in what was measured first
        self._span: tuple[float, float] | None = None  # those of scores without bounds

    def measure(self, member: Bools, order: Order, final: bool = False) -> Measuring:
        """Ask for F of those of the subsets [a, n] that are not known. `order` is the answer if this is not affordable.

        With `final` that order is what all this is for: no other will be returned unless it is known in full.
        """
        member = np.unique(member[~self.has(member)], axis=0)
        if not len(member):
            return
        found = yield Ask(subsets=member, claim=Claim(rest=order.tolist(), final=final))
        self.total |= dict(zip(bitrows.keys(member), found.total.tolist(), strict=True))
        if self._scale is None:
            self._weigh(found)
        for rows, score in self._scores(member, found):
            new = np.array([key not in self._rows for key in bitrows.keys(rows)])
            self._rows.update(bitrows.keys(rows))
            if new.any():
                self.surrogate.add(rows[new], score[new])

    def has(self, member: Bools) -> NDArray[np.bool_]:
        """Which subsets [a, n] F is known of."""
        return np.array([key in self.total for key in bitrows.keys(member)], bool)

    def of(self, member: Bools) -> NDArray[np.float64]:
        """F of subsets that are known. [a]."""
        return np.array([self.total[key] for key in bitrows.keys(member)])

    def cost(self, member: Bools) -> int:
        """Rows that measuring these subsets would add."""
        views = [member] if self.surrogate.kept else []
        views += [~member] if self.surrogate.removed else []
        return len({key for rows in views for key in bitrows.keys(rows)} - self._rows)

    @property
    def spent(self) -> int:
        """Rows so far."""
        return len(self._rows)

    def _weigh(self, found: Evaluation) -> None:
        """Set what the surrogate counts each view for: as F does, as far as F follows from the two target scores."""
        total = found.total.astype(np.float64)
        self._scale = (float(total.mean()), float(total.std()) or 1.0)
        kept, removed = found.insertion, None if found.deletion is None else -found.deletion
        columns = [view for view in (kept, removed) if view is not None]
        if not found.bounded:
            scores = np.concatenate([view for view in (found.insertion, found.deletion) if view is not None])
            self._span = (float(scores.mean(dtype=np.float64)), float(scores.std(dtype=np.float64)) or 1.0)
        weights = np.ones(max(1, len(columns)))
        if columns:
            fitted = np.linalg.lstsq(np.stack((*columns, np.ones_like(total)), 1), total, rcond=1e-6)[0][:-1]
            weights = fitted.clip(fitted.max() / 100) if fitted.max() > 0 else weights
        self.surrogate.kept = float(weights[0]) if kept is not None or not columns else 0.0
        self.surrogate.removed = float(weights[-1]) if removed is not None else 0.0
        self.views = max(1, len(columns))

    def _scores(self, member: Bools, found: Evaluation) -> list[tuple[Bools, Floats]]:
        """Subsets and their target scores; those without bounds, and F itself where it reads no view, brought into 0 to
        1.
        """
        assert self._scale is not None
        views = ((member, found.insertion), (~member, found.deletion))
        scores = [(rows, _within(score, self._span)) for rows, score in views if score is not None]
        return scores or [(member, _within(found.total, self._scale))]


def _within(score: Floats, scale: tuple[float, float] | None) -> Floats:
    """Scores so that their log-odds are as many spreads as they are from the mean; None: they are as they should be."""
    if scale is None:
        return score
    mean, spread = scale
    found: Floats = logistic((score.astype(np.float64) - mean) / spread).astype(np.float32)
    return found


def guided_rounds(n: int, k: int, evaluations: int, pairs: int, seed: int) -> Rounds:
    """The order that a surrogate and `evaluations` rows find, the curves' rows included. See the module's docstring."""
    known, rng = Measurements(n), np.random.default_rng(seed)
    order = np.arange(n, dtype=np.int32)
    best: Order | None = None
    chain = _prefixes(order, k)
    curves = 2 * (n if k == n else k + 1)  # rows of an order of which nothing is known
    halves = max(1, min(pairs, (evaluations - curves) // 4))
    yield from known.measure(np.vstack((chain[[0]], ~chain[[0]], rng.random((halves, n)) < 0.5)), order)
    evaluations -= 0 if known.views == 2 else n  # curve points of the view that F does not read
    batch = max(1, round(SHARE * n))
    fits = 0
    while True:
        order = _favourite(known.surrogate, order, best, k, afresh=fits % AFRESH == 0)
        fits += 1
        chain = _prefixes(order, k)
        missing = ~known.has(chain)
        left, cost = evaluations - known.spent, known.cost(chain)
        if cost > left or not missing.any():  # nothing new, or nothing that can be measured: swap neighbours instead
            best = _better(known, order, best, k)
            swapped = None if best is None else (yield from _swap(known, best, k, left))
            if swapped is None:
                break
            best = swapped
            continue
        if missing.sum() > batch and left >= curves + 2 * batch:
            yield from known.measure(chain[_least_sure(known.surrogate, chain, missing, batch)], order)
            continue
        yield from known.measure(chain, order, final=True)
        best = _better(known, order, best, k)
    found = order if best is None else best
    return Ranking(found[:k].tolist(), {"fits": fits, "subsets_measured": len(known.total)})


def _favourite(surrogate: Surrogate, last: Order, best: Order | None, k: int, afresh: bool) -> Order:
    """The order that the freshly fitted surrogate likes best, from its last one; `afresh`, from others as well."""
    surrogate.fit()
    starts = [last]
    if afresh:
        starts += [surrogate.greedy(), *([] if best is None else [best])]
    improved = [surrogate.improved(start, k, PASSES, WITHIN) for start in starts]
    return max(improved, key=lambda found: found[1])[0]


def _better(known: Measurements, order: Order, best: Order | None, k: int) -> Order | None:
    """The order if all of its prefixes are known and their sum of F is above the best one's; else the best one."""
    chain = _prefixes(order, k)
    if not known.has(chain).all():
        return best
    if best is None or known.of(chain[1:]).sum() > known.of(_prefixes(best, k)[1:]).sum():
        return order
    return best


def _least_sure(surrogate: Surrogate, chain: Bools, missing: Bools, count: int) -> NDArray[np.int64]:
    """The prefixes to measure: the most uncertain first, each making its neighbours less so."""
    unsure = np.where(missing, surrogate.predict(chain)[1], -1)
    place = np.arange(len(chain))
    chosen = []
    for _ in range(count):
        chosen.append(int(unsure.argmax()))
        unsure *= np.where(unsure > 0, 1 - np.exp(-np.abs(place - chosen[-1]) / SPACING), 1)
        unsure[chosen[-1]] = -1
    return np.sort(chosen)


def _swap(known: Measurements, order: Order, k: int, left: int) -> Generator[Ask, Evaluation, Order | None]:
    """Let neighbours in a measured order change places where that gains; None where nothing is left to try.

    Swapping places j - 1 and j changes the prefix of length j and no other.
    """
    chain = _prefixes(order, k)
    at = np.arange(1, min(k, len(order) - 1) + 1)
    other = chain[at].copy()
    other[at - 1, order[at - 1]], other[at - 1, order[at]] = False, True
    new = np.flatnonzero(~known.has(other))
    if len(new):
        gain = known.surrogate.predict(other[new])[0] - known.surrogate.predict(chain[at[new]])[0]
        tried = new[np.argsort(-gain, kind="stable")[: min(SWAPS, left // known.views)]]
        if not len(tried):
            return None
        yield from known.measure(other[tried], order, final=True)
    gain = np.full(len(at), -np.inf)
    there = known.has(other)
    gain[there] = known.of(other[there]) - known.of(chain[at[there]])
    swapped = order.copy()
    while gain.max(initial=-np.inf) > 0:
        j = int(gain.argmax())
        swapped[[j, j + 1]] = swapped[[j + 1, j]]
        gain[max(0, j - 1) : j + 2] = -np.inf  # its neighbours' prefixes have changed
    return swapped if len(new) or not np.array_equal(swapped, order) else None


def _prefixes(order: Order, k: int) -> Bools:
    """The first 0, 1, ... k regions. [k + 1, n]."""
    n = len(order)
    return bitrows.unpack(bitrows.prefixes(order[:k], n), n)
