"""Does what an attribution gives to a subset of regions go with what their removal costs, or what they score?"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pysmdl.checks import as_array
from pysmdl.errors import number, whole_number
from pysmdl.explanation import Explanation
from pysmdl.types import Bools

Values: TypeAlias = NDArray[np.float64]

FLOAT_NOISE = 1e-6  # of values that a model computed in float32, relative to the largest


def mu_fidelity(
    evaluate: Callable[[Bools], NDArray[Any]],
    attribution: NDArray[Any],
    *,
    share: float = 0.2,
    samples: int = 200,
    seed: int = 0,
) -> float:
    """Faithfulness of an attribution (Bhatt et al. 2020, definition 3), by Pearson correlation over random subsets.

        mu = corr over S, |S| = share * n, of  sum of attribution[i] for i in S  and  f(V) - f(V - S)

    Where n has no more subsets of that size than `samples`, all are taken, once each: the definition itself.

    Args:
        evaluate: Bool coalitions [a, n], True for kept, to their values [a]; a :class:`pysmdl.Game` is one.
        attribution: A value for each region. [n]; see :func:`region_values`.
        share: Size of the subsets as a share of n, between 0 and 1; rounded to 1..n-1 regions. Xplique's default.
        samples: Subsets drawn with the seed, each evaluated once, and the full input; at least 2.
        seed: The same seed gives the same subsets.

    Returns:
        -1 to 1. Where the drops are all the same (within 1e-6 of the largest value) no attribution can be told from
        another: NaN. Where only the attribution is constant over the subsets, it predicts nothing: 0.

    Raises:
        ValueError: share, samples or attribution out of range, or evaluate gave something else than finite [a].
    """
    weights = _weights(attribution)
    if not 0 < share < 1:
        raise ValueError(f"share must be between 0 and 1; got {share}")
    samples = whole_number("samples", samples, 2)
    n = len(weights)
    removed = random_subsets(n, min(max(round(share * n), 1), n - 1), samples, seed)
    values = _values(evaluate, np.vstack((np.ones((1, n), bool), ~removed)))
    drops, sums = values[0] - values[1:], removed @ weights
    return _correlation(sums, drops, weights, values)


def lds(
    evaluate: Callable[[Bools], NDArray[Any]],
    attribution: NDArray[Any],
    *,
    keep: float = 0.5,
    samples: int = 200,
    seed: int = 0,
    ranks: bool = True,
) -> float:
    """Linear datamodelling score (Park et al., TRAK, 2023): how well values add up to what subsets score.

        lds = corr over S of  sum of attribution[i] for i in S  and  f(S),  each i in S with probability `keep`

    Args:
        evaluate, attribution: As in :func:`mu_fidelity`.
        keep: Between 0 and 1.
        samples: Subsets drawn, at least 2.
        seed: The same seed gives the same subsets.
        ranks: Spearman's correlation, the score's own; False: Pearson's, as COAR and ContextCite show beside it.

    Returns:
        -1 to 1; NaN where all scores are the same, 0 where only the sums are.

    Raises:
        ValueError: keep, samples or attribution out of range, or evaluate gave something else than finite [a].
    """
    weights = _weights(attribution)
    keep, samples = number("keep", keep, above=0, below=1), whole_number("samples", samples, 2)
    kept = np.random.default_rng(whole_number("seed", seed, 0)).random((samples, len(weights))) < keep
    values, sums = _values(evaluate, kept), kept @ weights
    return _correlation(sums, values, weights, values, ranks)


def _correlation(sums: Values, found: Values, weights: Values, values: Values, ranks: bool = False) -> float:
    """Of sums of weights with what was found of values; NaN where all that is the same, 0 where only the sums are."""
    if np.ptp(found) <= FLOAT_NOISE * np.abs(values).max():
        return math.nan
    if np.ptp(sums) <= np.finfo(np.float64).eps * np.abs(weights).sum():
        return 0.0
    if ranks:
        sums, found = _ranks(sums), _ranks(found)
    return float(np.corrcoef(sums, found)[0, 1])


def _ranks(values: Values) -> Values:
    """Of equals the mean of their places. [a]."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Values = (count.cumsum() - (count + 1) / 2)[place]
    return ranks


def edit_scores(target: NDArray[Any], reference: NDArray[Any]) -> NDArray[np.float64]:
    """Which players count for some inputs and not for others (COAR's COAR-Edit, Shah, Ilyas and Madry, ICML 2024).

        score[i] = (mean of target[:, i] - mean of reference[:, i]) / sqrt(var / inputs, of both, added)

    Args:
        target, reference: Values of the same players over inputs, such as ``e.values()`` stacked. [inputs, n] each;
            variances are those of the population.

    Returns:
        [n]; infinite where neither varies and they differ, 0 where they do not.

    Raises:
        ValueError: the players are not as many, or there are no inputs.
    """
    parts = [np.asarray(each, np.float64) for each in (target, reference)]
    if any(each.ndim != 2 or not len(each) for each in parts) or parts[0].shape[1] != parts[1].shape[1]:
        shapes = " and ".join(str(list(each.shape)) for each in parts)
        raise ValueError(f"target and reference must be [inputs, n] of the same n players; got {shapes}")
    apart = parts[0].mean(0) - parts[1].mean(0)
    spread = np.sqrt(sum(each.var(0) / len(each) for each in parts))
    with np.errstate(divide="ignore", invalid="ignore"):
        found: NDArray[np.float64] = np.where(apart == 0, 0.0, apart / spread)
    return found


def region_values(explanation: Explanation) -> NDArray[np.float64]:
    """A value for each region, ``explanation.values()``: the method's own, or what the region gained. [n], float64; 0
    where that was not measured.
    """
    return np.nan_to_num(explanation.values())


def random_subsets(n: int, size: int, samples: int, seed: int = 0) -> Bools:
    """Subsets of `size` of n regions, as membership [a, n]: `samples` random ones, or all where they are no more.

    Raises:
        ValueError: n, size or samples is no whole number of at least 1, or size above n; seed below 0.
    """
    n, size, samples = whole_number("n", n, 1), whole_number("size", size, 1), whole_number("samples", samples, 1)
    if size > n:
        raise ValueError(f"size must be at most n = {n}, the regions; got {size}")
    seed = whole_number("seed", seed, 0)
    if math.comb(n, size) <= samples:
        chosen = np.array(list(combinations(range(n), size)))
    else:
        chosen = np.random.default_rng(seed).random((samples, n)).argsort(1)[:, :size]
    member = np.zeros((len(chosen), n), bool)
    np.put_along_axis(member, chosen, True, 1)
    return member


def _weights(attribution: NDArray[Any]) -> NDArray[np.float64]:
    weights = as_array("attribution", attribution).astype(np.float64)
    if weights.ndim != 1 or len(weights) < 2 or not np.isfinite(weights).all():
        what = list(weights.shape) if np.isfinite(weights).all() else "NaN or infinity in it"
        raise ValueError(f"attribution must be [n] finite values of at least 2 regions; got {what}")
    return weights


def _values(evaluate: Callable[[Bools], NDArray[Any]], kept: Bools) -> NDArray[np.float64]:
    values = as_array("evaluate's answer", evaluate(kept)).astype(np.float64)
    if values.shape != (len(kept),) or not np.isfinite(values).all():
        what = list(values.shape) if np.isfinite(values).all() else "NaN or infinity in it"
        raise ValueError(f"evaluate must give a finite value for each coalition, [{len(kept)}]; got {what}")
    return values
