"""Sobol indices and HSIC: how much of the score's variation a region's presence explains. Neither knows a sign."""

from __future__ import annotations

import numpy as np

from pysmdl.methods.asking import Estimate, Values, asker
from pysmdl.methods.masks import balanced_masks, with_flips
from pysmdl.search.vocabulary import Search
from pysmdl.types import Bools, Floats

GRAM_ROWS = 256  # rows of the output kernel at a time: 1.5 MB at 1500 rows stays in cache
BANDWIDTH_ROWS = 500  # rows whose distances give its bandwidth


def sobol(evaluations: int | None = None, seed: int | None = None) -> Search:
    """Total Sobol indices: the share of the score's variance that involves a region, alone or with others.

    Fel et al., "Look at the Variance! Efficient Black-box Explanations with Sobol-based Sensitivity Analysis", NeurIPS
    2021, by Jansen's estimator (1999).

        value[i] = mean over designs A of (f(A) - f(A with i flipped))^2 / (4 var f)

    Asks for N designs with all their flips, N = `evaluations` // (n + 1): N (n + 1) subsets. Jansen's estimator is
    (f(A) - f(A with i from B))^2 / (2 var f) for a second design B. A bit from B either equals A's, which gives 0, or
    is its flip; the mean of both is taken here instead of a draw: half the error at 32 designs, and no row in vain.
    A region that lowers the score ranks as high as one that raises it.

    Args:
        evaluations: Subsets; None for explain's budget less the curves, else 32 designs, as in the paper's code.
        seed: None for the seed of explain().
    """

    # Not a Sobol sequence: cut at 0.5 it keeps one bit, and of 49 regions 58 pairs are then the same or opposite in all
    # of 32 points. Latin hypercubes are as exact (error 0.086 against 0.101 of the indices on a smooth function).
    def design(n: int, rows: int, rng: np.random.Generator) -> tuple[Bools, Estimate]:
        designs = balanced_masks(rng, rows // (n + 1), n)
        return with_flips(designs), lambda score: total_indices(score.reshape(-1, n + 1))

    return asker(
        "sobol",
        design,
        {"evaluations": evaluations, "seed": seed},
        usual=lambda n: 32 * (n + 1),
        spends=lambda n, rows: rows // (n + 1) * (n + 1),
        evaluations=evaluations,
        seed=seed,
    )


def hsic(evaluations: int | None = None, seed: int | None = None) -> Search:
    """HSIC attribution: how much the score depends on a region's presence, in whatever way.

    Novello, Fel and Vigouroux, "Making Sense of Dependence: Efficient Black-box Explanations Using Dependence Measure",
    NeurIPS 2022.

        value[i] = tr(K H L H) / (rows - 1)^2,   K = 1/2 where two subsets agree on i, else -1/2,   H = I - 1 / rows,
                                                 L = exp(-(f(S) - f(T))^2 / (2 w^2)) for two subsets S, T

    Asks for exactly `evaluations` subsets from a Latin hypercube cut at 0.5, the paper's design. The bandwidth w is the
    median distance of two different scores; the authors' code takes the median score. A region that lowers the score
    ranks as high as one that raises it. Host time grows with the square of the rows: 6 ms at 1500.

    Args:
        evaluations: Subsets; None for explain's budget less the curves, else the paper's 1500.
        seed: None for the seed of explain().
    """

    def design(n: int, rows: int, rng: np.random.Generator) -> tuple[Bools, Estimate]:
        member = balanced_masks(rng, rows, n)
        return member, lambda score: dependence(member, score)

    return asker(
        "hsic",
        design,
        {"evaluations": evaluations, "seed": seed},
        usual=lambda n: max(1500, n + 1),
        evaluations=evaluations,
        seed=seed,
    )


def total_indices(score: Floats) -> Values:
    """Total indices from scores [N, n + 1]: each design's own, then those of its n flips; 0 where all are equal. [n].

    The variance is that of all rows, each of which is a uniform random subset; it scales the values and orders nothing.
    """
    values = score.astype(np.float64)
    variance = values.var()
    if variance == 0:
        return np.zeros(score.shape[1] - 1)
    indices: Values = ((values[:, 1:] - values[:, :1]) ** 2).mean(axis=0) / (4 * variance)
    return indices


def dependence(member: Bools, score: Floats) -> Values:
    """HSIC of each region's bit and the score; 0 where all scores are equal. [n].

    K is s s^T / 2 with s = 1 where the region is kept and -1 elsewhere, so that the trace is a quadratic form of the
    centred s, and L is needed a few rows at a time.
    """
    width = _bandwidth(score)
    if width == 0:
        return np.zeros(member.shape[1])
    y = score / np.float32(width)
    sign = 2 * member.astype(np.float32) - 1
    sign -= sign.mean(axis=0)
    total = np.zeros(member.shape[1])
    for start in range(0, len(y), GRAM_ROWS):
        part = slice(start, start + GRAM_ROWS)
        gram = y[part, None] - y  # [part, rows]
        np.multiply(gram, gram, out=gram)
        np.multiply(gram, np.float32(-0.5), out=gram)
        np.exp(gram, out=gram)
        total += (sign[part] * (gram @ sign)).sum(axis=0)
    return total / (2 * (len(y) - 1) ** 2)


def _bandwidth(score: Floats) -> float:
    """Median distance of two different scores; equal ones are left out, for most subsets may match nothing at all."""
    some = score[:BANDWIDTH_ROWS]
    apart = np.abs(some[:, None] - some)
    apart = apart[apart > 0]
    return float(np.median(apart)) if len(apart) else float(np.ptp(score))
