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
    """

    def __init__(self, surrogate: Surrogate, lattice: Lattice) -> None:
        self.surrogate, self.lattice = surrogate, lattice
        self.views = 2
        self._kept = self._removed = True  # which of them
        self._everything = (1 << surrogate.n) - 1
        self._rows: set[int] = set()
        self._scale: tuple[float, float] | None = None  # mean and spread of scores without bounds
        self._measured = False

    def measure(self, member: Bools, order: Sequence[int] | Order, final: bool = False) -> Measuring:
        """Ask for F of those of the subsets [a, n] that are not known. `order` is the answer if this is not affordable.

        With `final` that order is what all this is for: no other will be returned unless it is known in full.
        """
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
        self._learn(member, subsets, found)
        if not together and self.views == 2:
            found = yield Ask(subsets=~member, claim=claim)
            self.lattice.add(complements, found.total)

    def has(self, subsets: Sequence[int]) -> NDArray[np.bool_]:
        """Which subsets F is known of. [a]."""
        return np.array([subset in self.lattice.total for subset in subsets], bool)

    def of(self, subsets: Sequence[int]) -> NDArray[np.float64]:
        """F of subsets, NaN where it is not known. [a]."""
        return np.array([self.lattice.total.get(subset, np.nan) for subset in subsets])

    def affords(self, subsets: Sequence[int], missing: int, left: int) -> bool:
        """Whether so many rows pay for measuring these subsets, of which F of `missing` is not known."""
        if missing * self.views <= left:
            return True
        kept = subsets if self._kept else ()
        removed = [self._everything ^ subset for subset in subsets] if self._removed else ()
        return len({*kept, *removed} - self._rows) <= left

    @property
    def spent(self) -> int:
        """Rows so far."""
        return len(self._rows)

    def _learn(self, member: Bools, subsets: Sequence[int], found: Evaluation) -> None:
        """Let the surrogate learn what it has not heard of any row of."""
        count, rows, new = len(member), self._rows, []
        for i, subset in enumerate(subsets):
            before = len(rows)
            if self._kept:
                rows.add(subset)
            if self._removed:
                rows.add(self._everything ^ subset)
            if len(rows) > before:
                new.append(i)
        views = [
            None if view is None else self._brought(view[:count][new]) for view in (found.insertion, found.deletion)
        ]
        kept, removed = views
        if not new:
            return
        if kept is not None and removed is not None:
            self.surrogate.add(member[new], kept, removed)
        elif removed is not None:
            self.surrogate.add(~member[new], removed)
        else:
            self.surrogate.add(member[new], self._brought(found.total[:count][new]) if kept is None else kept)

    def _weigh(self, found: Evaluation) -> None:
        """Set what the surrogate counts each view for: as F does, as far as F follows from the two target scores."""
        total = found.total.astype(np.float64)
        kept, removed = found.insertion, None if found.deletion is None else -found.deletion
        columns = [view for view in (kept, removed) if view is not None]
        surrogate = self.surrogate
        surrogate.bounded, surrogate.paired = found.bounded and bool(columns), len(columns) == 2
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

    def _brought(self, score: Floats) -> Floats:
        """Scores without bounds as so many spreads from their mean."""
        if self._scale is None:
            return score
        mean, spread = self._scale
        return ((score.astype(np.float64) - mean) / spread).astype(np.float32)
