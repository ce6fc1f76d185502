"""RISE and D-RISE: the mean score of random subsets that keep a region."""

from __future__ import annotations

import numpy as np

from pysmdl.errors import number
from pysmdl.methods.asking import Estimate, Values, asker
from pysmdl.methods.masks import random_masks
from pysmdl.search.vocabulary import Search
from pysmdl.session import remade
from pysmdl.types import Bools, Floats


@remade
def rise(evaluations: int | None = None, keep: float = 0.5, seed: int | None = None) -> Search:
    """RISE (Petsiuk, Das and Saenko, "Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018).

        value[i] = sum of f(S) over the drawn S that keep i / (keep * rows)            (equation 6)

    Asks for exactly `evaluations` subsets. The paper draws a coarse random grid, shifts it and enlarges it smoothly;
    here the regions take the grid's place and a subset keeps each of them with probability `keep`, wholly.
    The values share a large constant, the mean score, and its noise falls only with the root of the rows.

    Args:
        evaluations: Subsets drawn; None for explain's budget less the curves, else the paper's 4000 (for VGG-16).
        keep: Probability of keeping a region. Between 0 and 1.
        seed: None for the seed of explain().
    """
    return _randomized("rise", 4000, evaluations, keep, seed)


@remade
def drise(evaluations: int | None = None, keep: float = 0.5, seed: int | None = None) -> Search:
    """D-RISE (Petsiuk et al., "Black-box Explanation of Object Detectors via Saliency Maps", CVPR 2021).

    RISE's estimator on a detector's match of the target box. The paper's similarity of two detections is IoU x cosine
    of their class probabilities x objectness, and the best proposal counts. Ours is the scorer's match: the best
    proposal's IoU x confidence of the target's labels (see :func:`pysmdl.vps`). So localisation is the same, while
    class and objectness enter as one confidence. The paper's plain weighted sum is divided by keep * rows, which
    changes no order. On other scorers it is :func:`rise` with another default.

    Args:
        evaluations: Subsets drawn; None for explain's budget less the curves, else the paper's 5000.
        keep: Probability of keeping a region. Between 0 and 1.
        seed: None for the seed of explain().
    """
    return _randomized("drise", 5000, evaluations, keep, seed)


def mean_where_kept(member: Bools, score: Floats, keep: float) -> Values:
    """Mean score where each region is kept, by its expected share of the rows: sum of f(S) [i in S] / (keep * rows)."""
    total: Values = score.astype(np.float64) @ member
    return total / (keep * len(member))


def _randomized(name: str, usual: int, evaluations: int | None, keep: float, seed: int | None) -> Search:
    keep = number("keep", keep, above=0, below=1)

    def design(n: int, rows: int, rng: np.random.Generator) -> tuple[Bools, Estimate]:
        member = random_masks(rng, rows, n, keep)
        return member, lambda score: mean_where_kept(member, score, keep)

    return asker(
        name,
        design,
        {"evaluations": evaluations, "keep": keep, "seed": seed},
        usual=lambda n: max(usual, n + 1),
        evaluations=evaluations,
        seed=seed,
    )
