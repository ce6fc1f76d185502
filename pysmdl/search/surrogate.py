"""A surrogate of the target score: what a subset that was never measured is likely to score, by those that were.

A Gaussian process on soft log-odds of the score, log((p + SOFT) / (1 - p + SOFT)), or on the score itself where it has
no bounds. With s(S) the signs of the regions, 1 where S has one and -1 where it lacks it, and d the weight of the
regions in which two subsets differ, of all w:

    kernel(S, S') = LINEAR s(S)' D^1/2 T D^1/2 s(S') + SMOOTH exp(-d / (REACH w)),   D = diag(weights / w)

The first part adds up one effect a region, and effects of neighbours are alike: with r their distance and l about that
of next neighbours, T = OWN I + (1 - OWN) exp(-r^2 / 2 l^2). The second one lets regions interact, of any order, and
forgets what lies far away. A region weighs its influence, how much log-odds change with it, whatever else is there (the
root of what O'Donnell, Analysis of Boolean Functions, chapter 2, calls so): subsets that differ only where it matters
little are nearly the same. Weights are whole numbers, so distances are too, and the exponential is a table. What
neither part tells is noise, of the variance under which what was measured is likeliest.

A chain is an order of regions, read as the subsets of its first 0, 1, ... n regions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pysmdl import _native
from pysmdl.search.plain_surrogate import Plain
from pysmdl.types import Bools, Floats

Numbers = NDArray[np.float64]
Order = NDArray[np.int32]

LINEAR_AT_FIRST, LINEAR = 2.0, 1.0  # in squared log-odds; at first: until regions are weighed
SMOOTH = 8.0  # in squared log-odds: most of what a region does depends on others
REACH = 0.3  # of all weight
OWN = 0.2  # of a region's effect that its neighbours' do not tell
PITCH = 1.05  # of neighbours' distance in a grid of as many regions: how far effects are alike
NOISES = (1.0, 0.3, 0.1)  # variances of what alikeness cannot tell, in squared log-odds: some scores jump a lot
MOST_JUDGED = 250  # subsets known, beyond which the noise stays what it is: to try one takes a fit
SOFT = 0.02  # scores closer to 0 or 1 are nearly one: their log-odds would drown the rest
MEAN_WEIGHT, MOST, SPAN = 8, 127, 16000  # of a region, of a region, of all
REWEIGH, REWEIGHINGS = 1.5, 3  # regions are weighed anew when this many times as much is known; at first so often
MOST_WEIGHED = (
    700  # subsets known, beyond which the weights stay what they are: to change them takes a fit from nothing
)
MOST_KNOWN = 4000  # subsets that are learnt from: a fit takes the cube of their number, and memory its square
GRAIN = 1 / 16  # log-odds are rounded to this, so that a model's own rounding (1e-7) does not steer the search
GAIN = 2e-5  # a move must gain more: what it gains by rounding, or next to nothing, is not worth following


class Fitted(NamedTuple):
    """A fitted surrogate; native code reads it by name (csrc/core/chain.h says what each is)."""

    flip: NDArray[np.int8]  # what adding a region does to differences. [n, count]
    pull: Numbers
    effect: Numbers
    area: Numbers
    smooth: float
    reach: float
    offset: float
    soft: float
    kept: float
    removed: float
    bounded: bool


class Improved(NamedTuple):
    """A chain [n], what its steps are worth, and how unsure that is of its subsets, kept and removed [2, n + 1]."""

    order: Order
    worth: float
    unsure: Numbers


class Surrogate:
    """Learns the target score of subsets of n regions and finds chains that it likes.

    A subset is worth ``kept * score(S) - removed * score(V - S)``, and a chain the area under that.

    Args:
        n: Number of regions.
        area: Share of each region. [n]; None: all alike.
        places: Where each region lies, in a space of volume 1. [n, dimensions]; None: nowhere.
        native: What computes; None: ``_C``, or the plain twin where that is not built.
        expected: Subsets that it is to be given, about.

    Attributes:
        kept, removed: Weights of the two views in what a chain is worth.
        bounded: Whether scores lie within 0 and 1.
        linear, noise: Variances that fits allow for, of effects that add up and of noise.
        member: The subsets that it was given. [count, n].
    """

    def __init__(
        self, n: int, area: Numbers | None = None, places: Numbers | None = None, native: Any = None, expected: int = 0
    ) -> None:
        self.n = n
        self._expected = expected
        self.kept = self.removed = 1.0
        self.bounded = True
        self.linear, self.noise = LINEAR_AT_FIRST, min(NOISES)
        self.area: Numbers = np.full(n, 1 / n) if area is None else np.asarray(area, np.float64)
        self._native: Any = native or _native.extension() or Plain
        self._alike = likeness(n, places)
        self.member: Bools = np.empty((0, n), bool)
        self._weigh(np.ones(n))
        self._weighed = 0  # subsets known when the weights were found
        self._factor: Floats = np.empty((0, 0), np.float32)  # lower Cholesky factor of the kernel plus noise
        self._factored = 0
        self._odds: Numbers = np.empty(0)
        self._pull: Numbers = np.empty(0)
        self._effect: Numbers = np.zeros(n)
        self._offset = 0.0

    def add(self, member: Bools, score: Floats) -> None:
        """Take the scores [a] of subsets [a, n] never given before.

        Beyond MOST_KNOWN subsets in all they are not listened to.
        """
        member = member[: MOST_KNOWN - len(self.member)]
        self.member = np.concatenate((self.member, member))
        odds = score[: len(member)].astype(np.float64)
        if self.bounded:
            within = np.minimum(np.maximum(odds, 0), 1)  # a cosine may lie below 0
            odds = np.log((within + SOFT) / (1 - within + SOFT))
        self._odds = np.concatenate((self._odds, np.rint(odds / GRAIN) * GRAIN))

    def join(self, other: Surrogate, which: list[int]) -> None:
        """Take what another one was given of these of its subsets, none of which this one was."""
        which = which[: MOST_KNOWN - len(self.member)]
        self.member = np.concatenate((self.member, other.member[which]))
        self._odds = np.concatenate((self._odds, other._odds[which]))

    def fit(self) -> None:
        """Fit to all that was given."""
        self._extend()
        self._solve(self._odds)
        count = len(self.member)
        if count < REWEIGH * self._weighed or count > MOST_WEIGHED >= self._weighed > 0:
            return
        for _ in range(1 if self._weighed else REWEIGHINGS):
            influence = self._native.influences(self._fitted())
            if influence.any():
                self._weigh(influence / influence.mean())
                self._weighed = count
                self._fit_anew()
        if self._weighed == count and self.linear != LINEAR:
            self._prior *= LINEAR / self.linear
            self.linear = LINEAR
            self._fit_anew()
        if self._weighed == count <= MOST_JUDGED:
            self._choose_noise()

    def shake(self, rng: np.random.Generator, scale: float) -> None:
        """Fit as if what was measured had been off by so many deviations of the noise."""
        self._solve(self._odds + scale * self.noise**0.5 * rng.standard_normal(self._odds.shape))

    def _fit_anew(self) -> None:
        self._factored = 0
        self._extend()
        self._solve(self._odds)

    def _choose_noise(self) -> None:
        """Take the noise under which what was given is likeliest."""
        fits = {self.noise: self._judged()}
        for self.noise in set(NOISES) - set(fits):
            self._factor = np.empty((0, 0), np.float32)
            self._fit_anew()
            fits[self.noise] = self._judged()
        self.noise = max(NOISES, key=lambda noise: fits[noise][0])
        _, self._factor, self._pull, self._effect = fits[self.noise]

    def _judged(self) -> tuple[float, Floats, Numbers, Numbers]:
        """How likely what was given is, and the fit."""
        return self._log_likelihood(), self._factor, self._pull, self._effect

    def _log_likelihood(self) -> float:
        """Of what was given, but for a constant, under a process of half the variance: of the same mean, and warier."""
        misfit = ((self._odds - self._offset) * self._pull).sum()
        return float(-misfit - np.log(np.diagonal(self._factor)[: len(self.member)]).sum())

    def _weigh(self, share: Numbers) -> None:
        """Set what regions weigh, by their share [n] of the mean."""
        mean = min(MEAN_WEIGHT, SPAN / self.n)
        self._weight: NDArray[np.int8] = np.rint(mean * share).clip(1, MOST).astype(np.int8)
        self._span = int(self._weight.sum())
        self._flip: NDArray[np.int8] = np.empty((self.n, 0), np.int8)  # what a region's change does to differences
        self._table = SMOOTH * np.exp(-np.arange(self._span + 1) / (REACH * self._span))
        root = np.sqrt(self._weight / self._span)
        self._prior = self.linear * root[:, None] * self._alike * root

    def _extend(self) -> None:
        """Extend the factor by what is new."""
        old, count = self._factored, len(self.member)
        new = self.member[self._flip.shape[1] :].T
        if new.size:
            weight = self._weight[:, None]
            self._flip = np.concatenate((self._flip, np.where(new, -weight, weight)), 1)
        if count > len(self._factor):
            room = min(max(count + count // 2, self._expected), MOST_KNOWN)
            grown = np.empty((room, room), np.float32)  # its lower triangle counts
            grown[:old, :old] = self._factor[:old, :old]
            self._factor = grown
        self._native.kernel_rows(self._flip, self._prior, self._table, old, self._factor)
        self._native.extend_cholesky(self._factor, old, count, self.noise, _native.threads())
        self._factored = count

    def _solve(self, odds: Numbers) -> None:
        self._offset = float(odds.sum()) / odds.size
        self._pull = odds - self._offset
        self._native.solve_cholesky(self._factor, self._pull)
        # Not by NumPy's matrix products: BLAS's threads would fight the model's.
        self._effect = self._native.effects(self._flip, self._prior, self._pull)

    def greedy(self) -> Order:
        """A chain to start from."""
        order: Order = self._native.greedy_chain(self._fitted())
        return order

    def improved(self, order: Order, k: int, passes: int, within: int) -> Improved:
        """The chain after moves of single regions that make its first k steps worth more."""
        moved = np.array(order, np.int32)
        worth, unsure = self._native.improve_chain(self._fitted(), moved, k, passes, within, GAIN)
        return Improved(moved, worth, unsure)

    def predict(self, member: Bools) -> tuple[Numbers, Numbers]:
        """What subsets [a, n] are worth, and how unsure that is by the nearest one given. [a] each.

        The nearest one stands for the process's own deviation: as good a guide to what to measure next, for a
        hundredth of the time.
        """
        value, unsure = self._native.predict(self._fitted(), member)
        return value, unsure

    def _fitted(self) -> Fitted:
        return Fitted(
            self._flip, self._pull, self._effect, self.area, SMOOTH, REACH, self._offset, SOFT, self.kept, self.removed,
            self.bounded,
        )  # fmt: skip


def likeness(n: int, places: Numbers | None) -> Numbers:
    """How alike the effects of two regions are by where they lie. [n, n]."""
    if places is None:
        return np.eye(n)
    length = PITCH / n ** (1 / places.shape[1])
    squared = ((places[:, None] - places) ** 2).sum(2)
    alike: Numbers = OWN * np.eye(n) + (1 - OWN) * np.exp(-squared / (2 * length**2))
    return alike


def logistic(z: Numbers) -> Numbers:
    """1 / (1 + e^-z)."""
    return 1 / (1 + np.exp(-z))
