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
                len(ask.base) == len(base) + 1
                and ask.base[:-1].tobytes() == base.tobytes()
                and ask.base[-1] in candidates
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
        if not self._rounds:
            return 0, 0, 0.0
        regions = 1 + max(int(candidates.max(initial=-1)) for _, candidates, _ in self._rounds)
        value = np.full((len(self._rounds), regions), np.nan)  # F(base + candidate), a row for each round
        for row, (_, candidates, totals) in zip(value, self._rounds, strict=True):
            row[candidates] = totals
        of_base = [empty] + [row[base[-1]] for row, (base, _, _) in zip(value[:-1], self._rounds[1:], strict=True)]
        growth = np.diff(value - np.array(of_base)[:, None], axis=0)
        growth = growth[np.isfinite(growth)]
        return int((growth > TOLERANCE).sum()), len(growth), float(growth.max(initial=0.0))
