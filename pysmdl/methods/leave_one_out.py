"""Occlusion: one region at a time."""

from __future__ import annotations

import numpy as np

from pysmdl.errors import yes_or_no
from pysmdl.methods.asking import Estimate, Values, asker
from pysmdl.methods.masks import with_flips
from pysmdl.search.vocabulary import Search
from pysmdl.session import remade
from pysmdl.types import Bools, Floats


@remade
def occlusion(keep: bool = False) -> Search:
    """Occlusion sensitivity (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014).

        value[i] = f(V) - f(V without i)         keep=False: what its loss costs
        value[i] = f({i}) - f(nothing)           keep=True: what it brings alone

    n + 1 rows. The paper slides a grey square over the image (section 4.2); here each region is replaced by the
    baseline once. `keep` is the other end of the same question, and the first round of greedy insertion.

    Args:
        keep: Keep one region alone instead of leaving it out.
    """
    keep = yes_or_no("keep", keep)

    def design(n: int, rows: int, rng: np.random.Generator) -> tuple[Bools, Estimate]:
        def estimate(score: Floats) -> Values:
            change: Values = score[1:].astype(np.float64) - score[0]
            return change if keep else -change

        return with_flips(np.full((1, n), not keep)), estimate

    return asker("occlusion", design, {"keep": keep}, usual=lambda n: n + 1, spends=lambda n, rows: n + 1)
