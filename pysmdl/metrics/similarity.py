"""How alike explanations of one input are: of several seeds, settings or methods."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.checks import as_array
from pysmdl.errors import one_of, whole_number
from pysmdl.explanation import Explanation

Values = NDArray[np.float64]
Measure = Callable[[Values, Values], float]

WINDOW = 5  # of SSIM, as in the paper
CELL, BLOCK = 16, 3  # of HOG: pixels of a cell, and cells that are normalised together


def similarity(one: Explanation | NDArray[Any], other: Explanation | NDArray[Any], measure: str = "spearman") -> float:
    """How alike two explanations' value maps are, or two arrays of values of one shape (Bansal, Agarwal and Nguyen,
    "SAM: The Sensitivity of Attribution Methods to Hyperparameters", CVPR 2020: SSIM, HOG and Spearman).

    Args:
        one, other: Explanations, by :meth:`pysmdl.Explanation.value_map`; or arrays.
        measure: "spearman"; "kendall", tau-b; "cosine"; "top:K", the share of the K highest that both have, of ties the
            first; of maps [H, W] also "ssim", structural similarity in windows of 5, each map divided by its largest
            absolute value, and "hog", Pearson's correlation of histograms of oriented gradients in cells of 16 x 16.

    Returns:
        1 where they are alike, whatever their scale. NaN where one of them is constant, or has no gradient, and nothing
        can be said; "top:K" says something of any.

    Raises:
        ValueError: no such measure, several shapes, values that are not finite, a map that is too small.
    """
    return _measure(measure)(*_arrays([one, other]))


def pairwise_similarity(several: Iterable[Explanation | NDArray[Any]], measure: str = "spearman") -> Values:
    """:func:`similarity` of each two of several. Symmetric, [m, m], 1 on the diagonal.

    Raises:
        ValueError: as there; fewer than two.
    """
    arrays = _arrays(several)
    if len(arrays) < 2:
        raise ValueError(f"several must hold at least two to be compared; got {len(arrays)}")
    alike, found = _measure(measure), np.eye(len(arrays))
    for i, j in itertools.combinations(range(len(arrays)), 2):
        found[i, j] = found[j, i] = alike(arrays[i], arrays[j])
    return found


def _arrays(several: Iterable[Explanation | NDArray[Any]]) -> list[Values]:
    found = [
        each.value_map() if isinstance(each, Explanation) else as_array("values", each).astype(np.float64)
        for each in several
    ]
    shapes = {each.shape for each in found}
    if len(shapes) > 1:
        raise ValueError(f"what is compared must have one shape; got {sorted(map(list, shapes))}")
    if not all(np.isfinite(each).all() for each in found):
        raise ValueError("what is compared must be finite; it holds NaN or infinity")
    return found


def _measure(name: str) -> Measure:
    kind, colon, count = name.partition(":")
    if colon and kind == "top" and count.isdecimal():
        return partial(_top, whole_number("the K of top:K", int(count), 1))
    if name not in MEASURES:
        raise one_of("measure", name, [*MEASURES, "top:K"])
    return MEASURES[name]


def _top(k: int, one: Values, other: Values) -> float:
    if k > one.size:
        raise ValueError(f"the K of top:K must be at most {one.size}, as many as are compared; got {k}")
    first, second = (set(np.argsort(-each.ravel(), kind="stable")[:k].tolist()) for each in (one, other))
    return len(first & second) / k


def _cosine(one: Values, other: Values) -> float:
    lengths = np.linalg.norm(one) * np.linalg.norm(other)
    return float(one.ravel() @ other.ravel() / lengths) if lengths > 0 else float("nan")


def _pearson(one: Values, other: Values) -> float:
    return _cosine(one - one.mean(), other - other.mean()) if np.ptp(one) > 0 and np.ptp(other) > 0 else float("nan")


def _spearman(one: Values, other: Values) -> float:
    from scipy.stats import rankdata

    return _pearson(rankdata(one.ravel()), rankdata(other.ravel()))


def _kendall(one: Values, other: Values) -> float:
    from scipy.stats import kendalltau

    return float(kendalltau(one.ravel(), other.ravel()).statistic)


def _ssim(one: Values, other: Values) -> float:
    from skimage.metrics import structural_similarity

    _map("ssim", one, WINDOW)
    largest = [np.abs(each).max() for each in (one, other)]
    if min(largest) == 0:
        return float("nan")
    scaled = (each / most for each, most in zip((one, other), largest, strict=True))
    return float(structural_similarity(*scaled, win_size=WINDOW, data_range=2.0))


def _hog(one: Values, other: Values) -> float:
    from skimage.feature import hog

    _map("hog", one, CELL * BLOCK)
    how = {"orientations": 9, "pixels_per_cell": (CELL, CELL), "cells_per_block": (BLOCK, BLOCK)}
    return _pearson(*(hog(each, **how) for each in (one, other)))


def _map(measure: str, given: Values, least: int) -> None:
    if given.ndim != 2 or min(given.shape) < least:
        raise ValueError(f"{measure} needs maps [H, W] of at least {least} x {least}; got {list(given.shape)}")


MEASURES: dict[str, Measure] = {
    "spearman": _spearman,
    "kendall": _kendall,
    "cosine": _cosine,
    "ssim": _ssim,
    "hog": _hog,
}
