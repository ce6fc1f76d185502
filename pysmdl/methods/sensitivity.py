"""Sobol indices and HSIC: how much of the score's variation a region's presence explains. Neither knows a sign."""

from __future__ import annotations

import numpy as np

from pysmdl.errors import one_of, whole_number
from pysmdl.methods.asking import Design, Estimate, Values, asker
from pysmdl.methods.masks import balanced_masks, soft_masks, with_flips
from pysmdl.search.vocabulary import Search
from pysmdl.session import remade
from pysmdl.types import Bools, Floats

GRAM_ROWS = 256  # rows of the output kernel at a time: 1.5 MB at 1500 rows stays in cache
BANDWIDTH_ROWS = 500  # rows whose distances give its bandwidth


@remade
def sobol(evaluations: int | None = None, seed: int | None = None, masks: str = "binary", designs: int = 32) -> Search:
    """Total Sobol indices: the share of the score's variance that involves a region, alone or with others.

    Fel et al., "Look at the Variance! Efficient Black-box Explanations with Sobol-based Sensitivity Analysis", NeurIPS
    2021, by Jansen's estimator (1999).

        value[i] = mean over designs A of (f(A) - f(A with i from B))^2 / (2 var f(A))           masks="soft"
        value[i] = mean over designs A of (f(A) - f(A with i flipped))^2 / (4 var f)             masks="binary"

    Soft masks are the paper's: A and B are the two halves of points of a Sobol sequence in [0, 1]^(2 n), scrambled by
    the seed (the paper's code leaves it as it is; WCAM's scrambles it), and a region shows so much of itself, the rest
    of the baseline. f(B), which the total index does not need, is not asked for.

    A binary bit from B either equals A's, which gives 0, or is its flip; the mean of both is taken here instead of a
    draw: half the error at 32 designs, and no row in vain. A region that lowers the score ranks as high as one that
    raises it. N (n + 1) subsets.

    Args:
        evaluations: Subsets, N = `evaluations` // (n + 1); None for explain's budget less the curves, else `designs`.
        seed: None for the seed of explain().
        masks: "binary" or "soft"; these need ``removal="baseline"``, :func:`pysmdl.removal.wavelet`, for WCAM, or, of
            texts, "embedding" or "soft".
        designs: N; a power of two suits the sequence best. 32 as in the paper's code, 64 with an 8 x 8 grid in the
            paper.
    """
    if masks not in DESIGNS:
        raise one_of("masks", masks, DESIGNS)
    designs = whole_number("designs", designs, 2)

    return asker(
        "sobol",
        DESIGNS[masks],
        {"evaluations": evaluations, "seed": seed, "masks": masks, "designs": designs},
        usual=lambda n: designs * (n + 1),
        least=lambda n: (n + 1) * (2 if masks == "soft" else 1),  # a variance takes two
        spends=lambda n, rows: rows // (n + 1) * (n + 1),
        evaluations=evaluations,
        seed=seed,
        soft=masks == "soft",
    )


# Not a Sobol sequence: cut at 0.5 it keeps one bit, and of 49 regions 58 pairs are then the same or opposite in all
# of 32 points. Latin hypercubes are as exact (error 0.086 against 0.101 of the indices on a smooth function).
def _binary(n: int, rows: int, rng: np.random.Generator) -> tuple[Bools, Estimate]:
    designs = balanced_masks(rng, rows // (n + 1), n)
    return with_flips(designs), lambda score: total_indices(score.reshape(-1, n + 1))


def _soft(n: int, rows: int, rng: np.random.Generator) -> tuple[Floats, Estimate]:
    return soft_masks(rng, rows // (n + 1), n), lambda score: jansen(score.reshape(-1, n + 1))


DESIGNS: dict[str, Design] = {"binary": _binary, "soft": _soft}


@remade
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


def jansen(score: Floats) -> Values:
    """Total indices from scores [N, n + 1]: each design's own, then those with a region from another; 0 where all
    designs' own are equal. The variance is the unbiased one of these. [n].
    """
    values = score.astype(np.float64)
    variance = values[:, 0].var(ddof=1) if len(values) > 1 else 0.0
    if variance == 0:
        return np.zeros(score.shape[1] - 1)
    indices: Values = ((values[:, 1:] - values[:, :1]) ** 2).mean(axis=0) / (2 * variance)
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
