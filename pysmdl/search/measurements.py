"""What a guided search has measured: F of subsets, and what its surrogate and its lattice are to learn of that."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pysmdl.search.lattice import Lattice, numbers
from pysmdl.search.surrogate import Order, Surrogate
from pysmdl.search.vocabulary import Ask, Claim, Evaluation
from pysmdl.types import Bools, Floats

Measuring: TypeAlias = Generator[Ask, Evaluation, None]


class Measurements:
    """F of subsets, and how many rows that took.

    Attributes:
        views: That F reads.
        rows: Measured, each as the subset that it keeps.
        constant: By how much F is more than what the surrogate says subsets are worth: to orders that is all the same.
    """

    def __init__(self, surrogate: Surrogate, lattice: Lattice) -> None:
        self.surrogate, self.lattice = surrogate, lattice
        self.views = 2
        self.rows: set[int] = set()
        self.constant = 0.0
        self._kept = self._removed = True  # which of the views
        self._everything = (1 << surrogate.n) - 1
        self._whole: list[Bools] = []  # subsets both views of which were measured one by one: F of them costs no row
        self._scale: tuple[float, float] | None = None  # mean and spread of scores without bounds
        self._measured = False

    def measure(self, member: Bools, order: Sequence[int] | Order, final: bool = False) -> Measuring:
        """Ask for F of those of the subsets [a, n] that are not known. `order` is the answer if this is not affordable.

        With `final` that order is what all this is for: no other will be returned unless it is known in full.
        """
        member = np.concatenate((member, *self._whole))
        self._whole = []
        places = dict(zip(numbers(member), range(len(member)), strict=True))
        subsets = [subset for subset in places if subset not in self.lattice.total]
        if not subsets:
            return
        member = member[[places[subset] for subset in subsets]]
        claim = Claim(rest=np.asarray(order).tolist(), final=final)
        # Where F reads both views, complements cost no row: both of theirs are measured with these.
        together = self._measured and self.views == 2
        found = yield Ask(subsets=np.concatenate((member, ~member)) if together else member, claim=claim)
        if not self._measured:
            self._weigh(found)
        complements = [self._everything ^ subset for subset in subsets]
        self.lattice.add(subsets + complements if together else subsets, found.total)
        for view, kept in ((found.insertion, True), (found.deletion, False)):
            if view is not None:
                self._learn(member if kept else ~member, subsets if kept else complements, view[: len(member)])
        if found.insertion is None and found.deletion is None:
            self._learn(member, subsets, found.total)
        if not together and self.views == 2:
            found = yield Ask(subsets=~member, claim=claim)
            self.lattice.add(complements, found.total)

    def measure_rows(self, member: Bools, order: Sequence[int] | Order, final: bool = False) -> Measuring:
        """Ask for the target scores alone of subsets kept [a, n], none of them known: F takes both of their views."""
        subsets, claim = numbers(member), Claim(rest=np.asarray(order).tolist(), final=final)
        found = yield Ask(subsets=member, claim=claim, score_only=True)
        self._learn(member, subsets, found.total)
        whole = [self._everything ^ subset in self.rows for subset in subsets]
        self._whole.append(member[whole])

    def read_as(self, other: Measurements) -> None:
        """Count views, and bring scores to a scale, as another of the same set function does."""
        self.views, self.constant, self._scale, self._measured = other.views, other.constant, other._scale, True
        self._kept, self._removed = other._kept, other._removed
        mine, theirs = self.surrogate, other.surrogate
        mine.kept, mine.removed, mine.bounded = theirs.kept, theirs.removed, theirs.bounded

    def join(self, other: Measurements) -> None:
        """Take what another one that reads the same way has measured."""
        told = other.surrogate.member
        new = [i for i, subset in enumerate(numbers(told)) if subset not in self.rows]
        self.surrogate.join(other.surrogate, new)
        self.rows |= other.rows
        self.lattice.add(list(other.lattice.total), np.array(list(other.lattice.total.values()), np.float32))
        if self.views == 2:  # where one measured one view, the other may have measured the other
            member = self.surrogate.member
            subsets = numbers(member)
            whole = self.has_rows(subsets).all(0) & ~self.has(subsets)
            self._whole = [member[whole]]

    def has(self, subsets: Sequence[int]) -> NDArray[np.bool_]:
        """Which subsets F is known of. [a]."""
        return np.array([subset in self.lattice.total for subset in subsets], bool)

    def has_rows(self, subsets: Sequence[int]) -> NDArray[np.bool_]:
        """Of which subsets the target score is known, kept and removed. [2, a]."""
        return np.array([[flip ^ subset in self.rows for subset in subsets] for flip in (0, self._everything)], bool)

    def of(self, subsets: Sequence[int]) -> NDArray[np.float64]:
        """F of subsets, NaN where it is not known. [a]."""
        return np.array([self.lattice.total.get(subset, np.nan) for subset in subsets])

    def affords(self, subsets: Sequence[int], missing: int, left: int) -> bool:
        """Whether so many rows pay for measuring these subsets, of which F of `missing` is not known."""
        if missing * self.views <= left:
            return True
        kept = subsets if self._kept else ()
        removed = [self._everything ^ subset for subset in subsets] if self._removed else ()
        return len({*kept, *removed} - self.rows) <= left

    @property
    def spent(self) -> int:
        """Rows so far."""
        return len(self.rows)

    def _learn(self, member: Bools, subsets: Sequence[int], score: Floats) -> None:
        """Let the surrogate learn the scores [a] of those subsets kept [a, n] that it has not heard of."""
        new = []
        for i, subset in enumerate(subsets):
            if subset not in self.rows:
                self.rows.add(subset)
                new.append(i)
        if new:
            self.surrogate.add(member[new], self._brought(score[new]))

    def _weigh(self, found: Evaluation) -> None:
        """Set what the surrogate counts each view for: as F does, as far as F follows from the two target scores."""
        total = found.total.astype(np.float64)
        kept, removed = found.insertion, None if found.deletion is None else -found.deletion
        columns = [view for view in (kept, removed) if view is not None]
        surrogate = self.surrogate
        surrogate.bounded = found.bounded and bool(columns)
        if not surrogate.bounded:
            scores = np.concatenate(columns).astype(np.float64) if columns else total
            self._scale = float(np.abs(scores).mean()) if columns else float(scores.mean()), float(scores.std()) or 1.0
        weights = np.ones(max(1, len(columns)))
        if columns:
            fitted = np.linalg.lstsq(np.stack((*columns, np.ones_like(total)), 1), total, rcond=1e-6)[0][:-1]
            weights = fitted.clip(fitted.max() / 100) if fitted.max() > 0 else weights
        weights = weights * (1.0 if self._scale is None else self._scale[1])
        surrogate.kept = float(weights[0]) if kept is not None or not columns else 0.0
        surrogate.removed = float(weights[-1]) if removed is not None else 0.0
        self._kept, self._removed = kept is not None or not columns, removed is not None
        self.views, self._measured = max(1, len(columns)), True
        counted = surrogate.kept * self._brought(found.total if kept is None else kept)
        if found.deletion is not None:
            counted = (counted if self._kept else 0) - surrogate.removed * self._brought(found.deletion)
        self.constant = float((total - counted).mean())

    def _brought(self, score: Floats) -> Floats:
        """Scores without bounds as so many spreads from their mean."""
        if self._scale is None:
            return score
        mean, spread = self._scale
        return ((score.astype(np.float64) - mean) / spread).astype(np.float32)
