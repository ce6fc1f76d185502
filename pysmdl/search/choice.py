"""How a search chooses: the first maximum of an ask, as sure as F is known."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np

from pysmdl.search.vocabulary import Ask, Claim, Evaluation
from pysmdl.types import Floats

CHECKED = 3  # candidates asked for again at a time: they also show how far the round's other totals may be off


def placing(front: Sequence[int], rest: Sequence[int], back: Sequence[int] = ()) -> Claim:
    """The claim of an ask whose best candidate takes the next place, after the front or before the back."""
    return Claim(front, rest, back, settles=True)


def best_of(ask: Ask, sign: int = 1) -> Generator[Ask, Evaluation, tuple[int, Evaluation]]:
    """The first maximum of an ask (with sign -1 the first minimum), and what was found.

    Where totals are only known roughly, the first few are asked for again in full precision, and then, a few at a time,
    those within the margin of the best, until none is left that could change the choice.
    """
    found = yield ask
    while True:
        total = sign * found.total
        best = int(total.argmax())
        if found.exact is None:
            return best, found
        unsure = np.flatnonzero(((total >= total[best] - found.margin) | ~found.exact.any()) & ~found.exact)
        if len(unsure) == 0:
            return best, found
        found = yield ask.again(unsure[np.argsort(-total[unsure], kind="stable")[:CHECKED]])


def lowest_of(ask: Ask, found: Evaluation, instead: Evaluation, count: int) -> Generator[Ask, Evaluation, list[int]]:
    """The `count` lowest of an ask with some terms taken from elsewhere, ties by place; as sure as :func:`best_of`."""
    while True:
        looks = found.sum(instead)
        lowest: list[int] = np.argsort(looks, kind="stable")[:count].tolist()
        if found.exact is None:
            return lowest
        unsure = np.flatnonzero((np.abs(looks - looks[lowest[-1]]) <= found.margin) & ~found.exact)
        if len(unsure) == 0:
            return lowest
        found = yield ask.again(unsure)


def by_score(left: Sequence[int], total: Floats, but: int) -> list[int]:
    """The regions by descending score, without the one just chosen: the best guess for what is not settled."""
    return [left[i] for i in np.argsort(-total, kind="stable").tolist() if i != but]
