"""A surrogate of the target score: what a subset that was never measured is likely to score, by those that were.

A Gaussian process on log-odds. Two subsets are alike by the weight d of the regions in which they differ, of all w:

    kernel(d) = LINEAR (1 - 2 d / w) + SMOOTH exp(-d / (REACH w))

The first part adds up one effect a region; the second one lets regions interact, of any order, and forgets what lies
far away. A region weighs what its effect has been found to be: subsets that differ only where it matters little are
nearly the same. Weights are whole numbers, so distances are too, and the kernel is a table. A chain is an order of
regions, read as the subsets of its first 0, 1, ... n regions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pysmdl import _native
from pysmdl.types import Bools, Floats

Numbers = NDArray[np.float64]
Order = NDArray[np.int32]

LINEAR, SMOOTH = 4.0, 4.0  # in squared log-odds; half or twice of each changes the orders found little
REACH = 0.3  # of all weight
NOISE = 0.1  # variance of what alikeness cannot tell, in squared log-odds: scores may jump from one subset to the next
SATURATED = 0.02  # scores closer to 0 or 1 are all one: their log-odds would drown the rest
MEAN_WEIGHT, MOST, SPAN = 8, 127, 16000  # of a region, of a region, of all
REWEIGH = 1.5  # regions are weighed anew when this many times as much is known
GRAIN = 1 / 16  # log-odds are rounded to this, so that a model's own rounding (1e-7) does not steer the search
GAIN = 1e-6  # a move must gain more than rounding can make


class Fitted(NamedTuple):
    """A fitted surrogate; native code reads it by name. `flip` [n, count]: what adding a region does to differences."""

    flip: NDArray[np.int8]
    alpha: Numbers
    linear: float
    smooth: float
    reach: float
    offset: float
    kept: float
    removed: float

    def table(self) -> Numbers:
        """The kernel by differences. [span + 1]."""
        span = int(np.abs(self.flip[:, 0].astype(np.int64)).sum())
        return kernel(span, self.linear, self.smooth, self.reach)


class Surrogate:
    """Learns the target score of subsets of n regions and finds chains that it likes.

    A subset is worth ``kept * score(S) - removed * score(V - S)``.

    Attributes:
        kept, removed: Weights of the two views in what a chain is worth.
    """

    def __init__(self, n: int, native: Any = None) -> None:
        self.n = n
        self.kept = self.removed = 1.0
        self._native: Any = native or _native.extension() or Plain
        self._member: Bools = np.empty((0, n), bool)
        self._weigh(np.ones(n))
        self._weighed = 0  # subsets known when the weights were found
        self._factor: Numbers = np.empty((0, 0))  # lower Cholesky factor of the kernel between subsets, plus noise
        self._factored = 0
        self._odds: Numbers = np.empty(0)
        self._alpha: Numbers = np.empty(0)
        self._offset = 0.0

    def add(self, member: Bools, score: Floats) -> None:
        """Take the scores [a] of subsets [a, n] never given before."""
        self._member = np.concatenate((self._member, member))
        odds = score.astype(np.float64).clip(SATURATED, 1 - SATURATED)
        self._odds = np.append(self._odds, np.rint(np.log(odds / (1 - odds)) / GRAIN) * GRAIN)

    def fit(self) -> None:
        """Fit to all that was given."""
        self._solve()
        count = len(self._member)
        if count < REWEIGH * self._weighed:
            return
        effect = np.abs(np.where(self._member, self._alpha[:, None], -self._alpha[:, None]).sum(0))
        if effect.any():
            self._weigh(effect / effect.mean())
            self._weighed, self._factored = count, 0
            self._solve()

    def _weigh(self, share: Numbers) -> None:
        """Set what regions weigh, by their share [n] of the mean."""
        mean = min(MEAN_WEIGHT, SPAN / self.n)
        self._weight: NDArray[np.int8] = np.rint(mean * share).clip(1, MOST).astype(np.int8)
        self._span = int(self._weight.sum())
        self._flip: NDArray[np.int8] = np.empty((self.n, 0), np.int8)  # what a region's change does to differences
        self._kernel = kernel(self._span, LINEAR, SMOOTH, REACH)

    def _solve(self) -> None:
        """Extend the factor by what is new, and solve."""
        old, count = self._factored, len(self._member)
        new = self._member[self._flip.shape[1] :].T
        self._flip = np.hstack((self._flip, np.where(new, -self._weight[:, None], self._weight[:, None])))
        if count > len(self._factor):
            grown = np.zeros((count + count // 4,) * 2)
            grown[:old, :old] = self._factor[:old, :old]
            self._factor = grown
        self._factor[old:count, :count] = self._kernel[self._native.differences(self._flip, self._member[old:])]
        self._native.extend_cholesky(self._factor, old, count, NOISE, _native.threads())
        self._factored = count
        self._offset = float(self._odds.mean())
        self._alpha = self._odds - self._offset
        self._native.solve_cholesky(self._factor, self._alpha)

    def greedy(self) -> Order:
        """A chain to start from."""
        order: Order = self._native.greedy_chain(self._fitted())
        return order

    def improved(self, order: Order, k: int, passes: int, within: int) -> tuple[Order, float]:
        """The chain after moves of single regions that make its first k subsets worth more, and what they are worth."""
        moved = np.array(order, np.int32)
        worth = self._native.improve_chain(self._fitted(), moved, k, passes, within, GAIN)
        return moved, float(worth)

    def predict(self, member: Bools) -> tuple[Numbers, Numbers]:
        """What subsets [a, n] are worth, and how unsure that is, on the same scale, by the nearest one given. [a] each.

        The nearest one stands for the process's own deviation: as good a guide to what to measure next, for a
        hundredth of the time.
        """
        differing = self._native.differences(self._flip, member)
        # No matrix product here: BLAS has threads of its own, which would fight the model's for the cores.
        kept, removed = (
            logistic(self._offset + (self._kernel[d] * self._alpha).sum(1)) for d in (differing, self._span - differing)
        )
        slope = self.kept * kept * (1 - kept) + self.removed * removed * (1 - removed)
        apart = np.sqrt(1 - np.exp(-differing.min(1) / (REACH * self._span)))
        return self.kept * kept - self.removed * removed, slope * apart

    def _fitted(self) -> Fitted:
        return Fitted(self._flip, self._alpha, LINEAR, SMOOTH, REACH, self._offset, self.kept, self.removed)


def kernel(span: int, linear: float, smooth: float, reach: float) -> Numbers:
    """How alike two subsets are that differ by the weight 0, 1, ... span. [span + 1]."""
    apart = np.arange(span + 1) / span
    table: Numbers = linear * (1 - 2 * apart) + smooth * np.exp(-apart / reach)
    return table


def logistic(z: Numbers) -> Numbers:
    """1 / (1 + e^-z)."""
    return 1 / (1 + np.exp(-z))


class Plain:
    """The plain twin of what ``_C`` does for the surrogate."""

    @staticmethod
    def differences(flip: NDArray[np.int8], member: Bools) -> NDArray[np.int16]:
        """Weight of the regions in which subsets [a, n] differ from each measured one. [a, count]."""
        differing: NDArray[np.int16] = (of_nothing(flip) + member @ flip.astype(np.int64)).astype(np.int16)
        return differing

    @staticmethod
    def extend_cholesky(factor: Numbers, known: int, count: int, noise: float, threads: int) -> None:
        """The lower factor of matrix + noise * identity, in place; rows known .. count - 1 are the matrix's."""
        old, new = slice(known), slice(known, count)
        rest = factor[new, new] + noise * np.eye(count - known)
        factor[new, old] = np.linalg.solve(factor[old, old], factor[new, old].T).T
        factor[new, new] = np.linalg.cholesky(rest - factor[new, old] @ factor[new, old].T)

    @staticmethod
    def solve_cholesky(factor: Numbers, x: Numbers) -> None:
        """x with factor factor^T x = x as given, in place."""
        part = factor[: len(x), : len(x)]
        x[:] = np.linalg.solve(part.T, np.linalg.solve(part, x))

    @staticmethod
    def greedy_chain(fitted: Fitted) -> Order:
        """From both ends: in turn what makes the front worth most and what makes the back worth least. [n]."""
        flip, table = fitted.flip, fitted.table()
        ends, left = [of_nothing(flip)] * 2, list(range(len(flip)))
        order: list[list[int]] = [[], []]
        while left:
            side = len(order[0]) > len(order[1])
            value = (-1 if side else 1) * worth(ends[side] + flip[left], fitted, table)
            order[side].append(left.pop(int(value.argmax())))
            ends[side] = ends[side] + flip[order[side][-1]]
        return np.array([*order[0], *reversed(order[1])], np.int32)

    @staticmethod
    def improve_chain(fitted: Fitted, order: Order, k: int, passes: int, within: int, least: float) -> float:
        """Move each region in turn to the best place at most `within` away, in place; what k subsets are worth.

        A move must gain more than `least`.
        """
        flip, table = fitted.flip, fitted.table()
        n, empty = len(flip), of_nothing(flip)
        for _ in range(passes):
            before = order.copy()
            for x in range(n):
                i = int(np.flatnonzero(order == x)[0])
                differing = np.vstack((empty, empty + flip[order].astype(np.int64).cumsum(0)))  # of subsets 0 .. n
                value = worth(differing, fitted, table)
                counts = np.arange(n + 1) <= k
                earlier = np.arange(i - 1, max(-1, i - 1 - within), -1)  # subset j + 1 becomes subset j with x
                later = np.arange(i + 1, min(n, i + 1 + within))  # subset j becomes subset j + 1 without x
                up = worth(differing[earlier] + flip[x], fitted, table) - value[earlier + 1]
                down = worth(differing[later + 1] - flip[x], fitted, table) - value[later]
                gains = np.r_[0.0, (counts[earlier + 1] * up).cumsum(), (counts[later] * down).cumsum()]
                best = int(gains.argmax())
                if gains[best] > least:
                    to = np.concatenate(([i], earlier, later))[best]
                    order[:] = np.insert(np.delete(order, i), to, x)
            if np.array_equal(before, order):
                break
        differing = empty + flip[order[:k]].astype(np.int64).cumsum(0)
        return float(worth(differing, fitted, table).sum())


def of_nothing(flip: NDArray[np.int8]) -> NDArray[np.int64]:
    """By how much the empty subset differs from each measured one. [count]."""
    differing: NDArray[np.int64] = np.maximum(-flip.astype(np.int64), 0).sum(0)
    return differing


def worth(differing: NDArray[np.int64], fitted: Fitted, table: Numbers) -> Numbers:
    """kept * score(S) - removed * score(V - S) by the differences from the measured subsets [a, count]. [a]."""
    views = (logistic(fitted.offset + table[d] @ fitted.alpha) for d in (differing, len(table) - 1 - differing))
    return fitted.kept * next(views) - fitted.removed * next(views)
