"""How far from submodular the set function was: gains that grew between one step of a search and the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from pysmdl.search.vocabulary import Ask
from pysmdl.types import Floats, Ints

TOLERANCE = 1e-6  # growth that float32 can make by itself

Round: TypeAlias = tuple[Ints, list[tuple[Ints, Floats]]]
"""A base, and what was scored on it: candidates and F(base + candidate) of each ask."""


def violations(asks: Sequence[tuple[Ask, Floats]], empty: float) -> tuple[int, int, float]:
    """Gains that grew, gains compared, and the largest growth; exact greedy measures every gain, so this is for free.

    Args:
        asks: Of one search in their order, with the totals found.
        empty: F of the empty subset, which the curves measure; NaN leaves the first comparison out.
    """
    rounds = _along_the_front(asks)
    if not rounds:
        return 0, 0, 0.0
    regions = 1 + max(int(c.max(initial=-1)) for _, scored in rounds for c, _ in scored)
    value = np.full((len(rounds), regions), np.nan)  # F(base + candidate), a row for each round
    for row, (_, scored) in zip(value, rounds, strict=True):
        for candidates, totals in scored:
            row[candidates] = totals
    of_base = [empty] + [row[base[-1]] for row, (base, _) in zip(value[:-1], rounds[1:], strict=True)]
    growth = np.diff(value - np.array(of_base)[:, None], axis=0)
    growth = growth[np.isfinite(growth)]
    return int((growth > TOLERANCE).sum()), len(growth), float(growth.max(initial=0.0))


def _along_the_front(asks: Sequence[tuple[Ask, Floats]]) -> list[Round]:
    """What was scored on each base, and then on that grown by one of its candidates."""
    rounds: list[Round] = []
    for ask, total in asks:
        base, candidates = ask.base, ask.candidates
        if ask.subsets is not None:  # a search may ask for single regions in this way
            single = np.flatnonzero(ask.subsets.sum(1) == 1)
            candidates, total = ask.subsets[single].argmax(1), total[single]
        last, scored = rounds[-1] if rounds else (None, [])
        if last is None or base.tobytes() != last.tobytes():
            first = last is None and len(base) == 0
            grown = last is not None and base[:-1].tobytes() == last.tobytes() and any(base[-1] in c for c, _ in scored)
            if not first and not grown:
                continue
            rounds.append((base, []))
        rounds[-1][1].append((candidates, total))
    return rounds
