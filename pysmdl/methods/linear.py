"""LIME and KernelSHAP: a weighted linear model of the score; its coefficients are the values."""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import NDArray

from pysmdl.errors import number
from pysmdl.methods.asking import Estimate, Values, asker
from pysmdl.methods.masks import every_mask_of_size, masks_of_sizes, random_masks
from pysmdl.search.vocabulary import Search
from pysmdl.session import remade
from pysmdl.types import Bools, Floats


@remade
def lime(
    evaluations: int | None = None, kernel_width: float = 0.25, alpha: float = 1.0, seed: int | None = None
) -> Search:
    """LIME (Ribeiro, Singh and Guestrin, "Why Should I Trust You?", KDD 2016), as its image explainer is set.

        value = argmin over b of  sum of proximity(S) (f(S) - b0 - b . S)^2 + alpha |b|^2       (equation 1)

    Asks for exactly `evaluations` subsets: the full input, then uniform random ones. Linear models only, without the
    paper's choice of a few features: the order makes that choice. ``notes["surrogate"]`` is what the model that was
    fitted says of the full input, b0 + sum(b).

    Args:
        evaluations: Subsets, the full one included; None for explain's budget less the curves, else 1000.
        kernel_width: Of :func:`proximity`; above 0. Infinity: all subsets weigh the same.
        alpha: Ridge penalty of the coefficients, not of the intercept. 1, the package's, shrinks what a linear model
            weighs by about 1 %; 0 means least squares, which give that exactly.
        seed: None for the seed of explain().
    """
    kernel_width, alpha = number("kernel_width", kernel_width, above=0, infinite=True), number("alpha", alpha, least=0)

    def design(n: int, rows: int, rng: np.random.Generator) -> tuple[Bools, Estimate]:
        member = np.vstack((np.ones((1, n), bool), random_masks(rng, rows - 1, n)))
        weight = proximity(member, kernel_width)

        def estimate(score: Floats) -> tuple[Values, dict[str, float]]:
            fitted = ridge(member, score, weight, alpha)
            at_full = weight @ (score + (~member) @ fitted) / weight.sum()  # the mean residual is 0
            return fitted, {"surrogate": float(at_full)}

        return member, estimate

    return asker(
        "lime",
        design,
        {
            "evaluations": evaluations,
            "kernel_width": kernel_width if np.isfinite(kernel_width) else "infinite",  # JSON has no infinity
            "alpha": alpha,
            "seed": seed,
        },
        usual=lambda n: max(1000, n + 1),
        evaluations=evaluations,
        seed=seed,
    )


@remade
def kernel_shap(evaluations: int | None = None, seed: int | None = None) -> Search:
    """KernelSHAP (Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions", NeurIPS 2017, theorem 2).

        value = argmin over b of  sum of kernel(S) (f(S) - f(nothing) - b . S)^2,  with sum(b) = f(V) - f(nothing)

    Asks for min(2^n, `evaluations`) subsets, one less if that is odd: the empty and the full one, all subsets of the
    smallest and largest sizes as far as the kernel's share of the rows reaches, and for the sizes between them random
    subsets, each with its complement. With all 2^n the values are the Shapley values.

    Args:
        evaluations: Subsets, the empty and the full one included; None for explain's budget less the curves, else
            2048 + 2n, the default of the authors' package.
        seed: None for the seed of explain().
    """

    def design(n: int, rows: int, rng: np.random.Generator) -> tuple[Bools, Estimate]:
        member, weight = shapley_sample(rng, rows, n)
        return member, lambda score: efficient_fit(member, score, weight)

    return asker(
        "kernel_shap",
        design,
        {"evaluations": evaluations, "seed": seed},
        usual=lambda n: 2048 + 2 * n,
        least=lambda n: min(2**n, 2 * n + 2),  # n - 1 unknowns, a pair of rows each, and one pair to spare
        spends=lambda n, rows: min(2**n, rows - rows % 2),
        evaluations=evaluations,
        seed=seed,
    )


def proximity(member: Bools, width: float) -> Values:
    """Weight of a subset: sqrt(exp(-d^2 / width^2)), d its cosine distance to the full one, 1 - sqrt(|S| / n). [rows].

    The square root is lime_image's, not the paper's.
    """
    distance = 1 - np.sqrt(member.mean(axis=1))
    weight: Values = np.exp(-((distance / width) ** 2) / 2)
    return weight


def ridge(member: Bools, score: Floats, weight: Values, alpha: float) -> Values:
    """Coefficients of a weighted ridge regression with a free intercept; those of least norm, where alpha is 0 and
    several fit. [n].
    """
    x, y = member.astype(np.float64), score.astype(np.float64) - score[0]  # a constant score leaves zeros, not noise
    x -= weight @ x / weight.sum()
    y -= weight @ y / weight.sum()
    if alpha == 0:
        root = np.sqrt(weight)
        fitted: Values = np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0]
        return fitted
    weighted = x.T * weight  # [n, rows]
    return np.linalg.solve(weighted @ x + alpha * np.eye(member.shape[1]), weighted @ y)


def shapley_sample(rng: np.random.Generator, rows: int, n: int) -> tuple[Bools, Values]:
    """Subsets and their weights under the Shapley kernel. [rows, n] and [rows].

    The empty and the full subset come first, with weight 0, since :func:`efficient_fit` meets them exactly.
    """
    size = np.arange(1, n)
    mass = (n - 1) / (size * (n - size))  # of a size: kernel (n - 1) / (comb(n, s) s (n - s)), times comb(n, s)
    parts, weights = [np.repeat([[False], [True]], n, axis=1)], [np.zeros(2)]
    left, inner = rows - 2, 1
    while inner <= n // 2:
        both = {inner, n - inner}
        count, share = len(both) * comb(n, inner), len(both) * mass[inner - 1] / mass[inner - 1 : n - inner].sum()
        if left * share < count - 1e-6:  # rounding must not turn away the last size of a full enumeration
            break
        parts += [every_mask_of_size(n, s) for s in sorted(both)]
        weights.append(np.full(count, mass[inner - 1] / comb(n, inner)))
        left, inner = left - count, inner + 1
    if left > 1 and inner <= n // 2:
        drawn = masks_of_sizes(rng, _sizes(rng, left // 2, inner, mass), n)
        parts += [drawn, ~drawn]
        weights.append(np.full(2 * len(drawn), mass[inner - 1 : n - inner].sum() / (2 * len(drawn))))
    return np.concatenate(parts), np.concatenate(weights)


def efficient_fit(member: Bools, score: Floats, weight: Values) -> Values:
    """Weighted least squares under sum(b) = f(V) - f(nothing), exactly; rows 0 and 1 are the empty and the full subset.

    With b = (f(V) - f(nothing)) / n + u the constraint says sum(u) = 0. Subtracting from each row of membership its
    mean leaves b . S as it is for such u, and makes the least-norm solution one of them.
    """
    y = score.astype(np.float64) - score[0]
    share = member.mean(axis=1)
    centred = member - share[:, None]
    weighted = centred.T * weight  # [n, rows]
    # rcond: the constraint's own direction has eigenvalue 0 and must not come back as rounding noise
    u = np.linalg.pinv(weighted @ centred, rcond=1e-10, hermitian=True) @ (weighted @ (y - share * y[1]))
    fitted: Values = y[1] / member.shape[1] + u
    return fitted


def _sizes(rng: np.random.Generator, count: int, inner: int, mass: Values) -> NDArray[np.int64]:
    """Sizes inner .. n - inner in proportion to their mass, evenly spread: one random offset decides them all."""
    between = mass[inner - 1 : len(mass) + 1 - inner]
    at = (np.arange(count) + rng.random()) / count
    found = np.searchsorted(between.cumsum() / between.sum(), at, side="right")
    return inner + np.minimum(found, len(between) - 1)
