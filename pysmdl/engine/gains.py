"""How far from submodular the set function was: gains that grew between one step of a search and the next."""

from __future__ import annotations

import numpy as np

from pysmdl.types import Ask, Evaluation, Floats, Ints

TOLERANCE = 1e-6  # growth that float32 can make by itself


class GainRecord:
    """Keeps what a search measured along its growing front; exact greedy measures every gain, so this is for free."""

    def __init__(self) -> None:
        self._rounds: list[tuple[Ints, Ints, Floats]] = []  # base, candidates, F(base + candidate)

    def add(self, ask: Ask, found: Evaluation) -> None:
        """Keep a round if it scored candidates on a base that is the last one grown by one region."""
        if ask.free or ask.score_only or ask.complement or ask.subsets is not None:
            return
        if self._rounds:
            base, candidates, _ = self._rounds[-1]
            grown = (
                len(ask.base) == len(base) + 1 and np.array_equal(ask.base[:-1], base) and ask.base[-1] in candidates
            )
        else:
            grown = len(ask.base) == 0
        if grown:
            self._rounds.append((ask.base, ask.candidates, found.total))

    def violations(self, empty: float) -> tuple[int, int, float]:
        """Gains that grew, gains compared, and the largest growth.

        Args:
            empty: F of the empty subset, which the curves measure; NaN leaves the first comparison out.
        """
        count = compared = 0
        largest = 0.0
        regions = 1 + max((int(candidates.max()) for _, candidates, _ in self._rounds), default=0)
        before = value = np.full(regions, np.nan)
        for base, candidates, totals in self._rounds:
            of_base = value[base[-1]] if len(base) else empty
            value = np.full(regions, np.nan)
            value[candidates] = totals
            gains = value - of_base
            growth = gains - before
            growth = growth[np.isfinite(growth)]
            compared += len(growth)
            count += int((growth > TOLERANCE).sum())
            largest = max(largest, float(growth.max(initial=0.0)))
            before = gains
        return count, compared, largest
