"""Regression on random ablations: what a score loses on average with each region, among others that are missing too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.errors import number, one_of
from pysmdl.methods.asking import Estimate, Values, asker
from pysmdl.methods.masks import random_masks
from pysmdl.search.vocabulary import Search
from pysmdl.session import remade
from pysmdl.types import Bools

FOLDS = 5
PENALTIES = np.geomspace(1, 1e-3, 13)  # as shares of the least one that leaves nothing
STEPS = 300  # of a fit by lasso


@remade
def regression(evaluations: int | None = None, keep: float = 0.5, fit: str = "ols", seed: int | None = None) -> Search:
    """Coefficients of a linear model of the score, fitted to random ablations.

    ContextCite (Cohen-Wang, Shah, Georgiev and Madry, NeurIPS 2024) asks so of a text's sentences, keep=0.5 and
    fit="lasso"; COAR (Shah, Ilyas and Madry, ICML 2024) of a model's components, keep=0.95.

        value = b, of  argmin over b0, b of  mean over S of (f(S) - b0 - sum of b over S)^2 + penalty |b|_1

    Asks for exactly `evaluations` subsets, each of which keeps each region with probability `keep`. The penalty is 0
    with fit="ols", of several equally good the coefficients of least norm; with "lasso" it is what predicts best by
    five-fold cross-validation, so that of many regions most get 0 from few rows.

    Args:
        evaluations: Subsets; None for explain's budget less the curves, else ten a region.
        keep: Probability of keeping a region. Between 0 and 1.
        fit: "ols" or "lasso".
        seed: None for the seed of explain().
    """
    keep = number("keep", keep, above=0, below=1)
    if fit not in FITS:
        raise one_of("fit", fit, FITS)

    def design(n: int, rows: int, rng: np.random.Generator) -> tuple[Bools, Estimate]:
        member = random_masks(rng, rows, n, keep)
        fold = rng.permutation(rows) % FOLDS
        return member, lambda score: FITS[fit](member.astype(np.float64), score.astype(np.float64), fold)

    return asker(
        "regression",
        design,
        {"evaluations": evaluations, "keep": keep, "fit": fit, "seed": seed},
        usual=lambda n: max(10 * n, 2 * FOLDS),
        least=lambda n: 2 * FOLDS if fit == "lasso" else n + 1,
        evaluations=evaluations,
        seed=seed,
    )


def least_squares(x: Values, y: Values, fold: NDArray[Any]) -> Values:
    """Coefficients [n] with a free intercept, of least norm where several fit."""
    found: Values = np.linalg.lstsq(x - x.mean(0), y - y.mean(), rcond=None)[0]
    return found


def lasso(x: Values, y: Values, fold: NDArray[Any]) -> Values:
    """Coefficients [n] with a free intercept, at the penalty that predicts the rows of left-out folds best."""
    error = np.zeros(len(PENALTIES))
    for left_out in range(FOLDS):
        own, other = fold != left_out, fold == left_out
        coefficients = lasso_path(x[own], y[own])
        left = (y[other] - y[own].mean())[:, None] - (x[other] - x[own].mean(0)) @ coefficients.T
        error += (left**2).sum(0)
    best: Values = lasso_path(x, y)[int(error.argmin())]
    return best


def lasso_path(x: Values, y: Values) -> Values:
    """Coefficients at each penalty, by accelerated proximal steps (Beck and Teboulle 2009). [penalties, n]."""
    x, y = x - x.mean(0), y - y.mean()
    gram, along = x.T @ x / len(x), x.T @ y / len(x)
    largest, curvature = np.abs(along).max(initial=0), np.linalg.norm(gram, 2)
    path = np.zeros((len(PENALTIES), len(along)))
    if largest == 0 or curvature == 0:
        return path
    b = np.zeros(len(along))
    for place, penalty in enumerate(PENALTIES * largest):
        ahead, momentum = b, 1.0
        for _ in range(STEPS):
            stepped = ahead - (gram @ ahead - along) / curvature
            moved = np.sign(stepped) * np.maximum(np.abs(stepped) - penalty / curvature, 0)
            after = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            ahead = moved + (momentum - 1) / after * (moved - b)
            b, momentum = moved, after
        path[place] = b
    return path


FITS: dict[str, Callable[[Values, Values, NDArray[Any]], Values]] = {"ols": least_squares, "lasso": lasso}
