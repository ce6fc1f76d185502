"""How far from submodular the set function was: gains that grew between one step of a search and the next."""

from __future__ import annotations

import numpy as np

from pysmdl.search.vocabulary import Ask, Evaluation
from pysmdl.types import Floats, Ints

TOLERANCE = 1e-6  # growth that float32 can make by itself


class GainRecord:
    """Keeps what a search measured along its growing front; exact greedy measures every gain, so this is for free."""

    def __init__(self) -> None:
        self._rounds: list[tuple[Ints, list[tuple[Ints, Floats]]]] = []  # base; candidates, F(base + candidate)

    def add(self, ask: Ask, found: Evaluation) -> None:
        """Keep what was scored on the last round's base, or on that grown by one of its candidates."""
        if ask.free or ask.score_only or ask.complement:
            return
        base, candidates, total = ask.base, ask.candidates, found.total
        if ask.subsets is not None:  # a search may ask for single regions in this way
            single = np.flatnonzero(ask.subsets.sum(1) == 1)
            candidates, total = ask.subsets[single].argmax(1), total[single]
        last, scored = self._rounds[-1] if self._rounds else (None, [])
        if last is None or base.tobytes() != last.tobytes():
            first = last is None and len(base) == 0
            grown = last is not None and base[:-1].tobytes() == last.tobytes() and any(base[-1] in c for c, _ in scored)
            if not first and not grown:
                return
            self._rounds.append((base, []))
        self._rounds[-1][1].append((candidates, total))

    def violations(self, empty: float) -> tuple[int, int, float]:
        """Gains that grew, gains compared, and the largest growth.

        Args:
            empty: F of the empty subset, which the curves measure; NaN leaves the first comparison out.
        """
        if not self._rounds:
            return 0, 0, 0.0
        regions = 1 + max(int(c.max(initial=-1)) for _, scored in self._rounds for c, _ in scored)
        value = np.full((len(self._rounds), regions), np.nan)  # F(base + candidate), a row for each round
        for row, (_, scored) in zip(value, self._rounds, strict=True):
            for candidates, totals in scored:
                row[candidates] = totals
        of_base = [empty] + [row[base[-1]] for row, (base, _) in zip(value[:-1], self._rounds[1:], strict=True)]
        growth = np.diff(value - np.array(of_base)[:, None], axis=0)
        growth = growth[np.isfinite(growth)]
        return int((growth > TOLERANCE).sum()), len(growth), float(growth.max(initial=0.0))
