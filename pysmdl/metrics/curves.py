"""Insertion and deletion AUC on the field's three x-axes, and the highest confidence within an area.

One order gives three numbers, one on each axis, so compare only what was measured on the same:

- ``area``: share of the removable area covered (VPS, EAGLE, and this package's own AUC).
- ``nonzero``: share of pixels whose colour sum is not zero in the view shown (SMDL, LiMA).
- ``steps``: curve points at equal distances (Xplique); for the equal pixel steps of
  :func:`pysmdl.metrics.saliency_curves`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.checks import as_array
from pysmdl.errors import one_of
from pysmdl.explanation import Explanation
from pysmdl.metrics.checks import KEPT, REMOVED, listed
from pysmdl.types import Floats

AXES = ("area", "nonzero", "steps")
AREAS = (0.25, 0.5, 0.75, 1.0)  # SMDL's table 2


def insertion_auc(
    explanation: Explanation, axis: str = "area", *, traced: int | None = None, pixels: NDArray[Any] | None = None
) -> float:
    """Area under the insertion curve (RISE, Petsiuk et al. 2018), by the trapezoid rule. Higher is better.

        area, steps:  integral of insertion dx / reached       x from 0 to what was reached, 1 for a full order
        nonzero:      integral of insertion dx                 x = non-zero pixels of the view / all pixels

    Args:
        explanation: With or without all regions ordered. A point that was never measured makes the area NaN.
        axis: "area" (equals ``explanation.insertion_auc``), "nonzero" or "steps"; see the module.
        traced: Another class whose curve was traced along, instead of the target.
        pixels: For "nonzero": the image on the label grid, [H, W, C]; None for the explanation's own.

    Returns:
        0 to 1 for probabilities. On "nonzero" an image with black pixels reaches less than 1, as published.

    Raises:
        ValueError: no such axis, a class that was not traced, or pixels that are missing or on another grid.
    """
    return _auc(explanation, KEPT, axis, traced, pixels)


def deletion_auc(
    explanation: Explanation, axis: str = "area", *, traced: int | None = None, pixels: NDArray[Any] | None = None
) -> float:
    """Area under the deletion curve, likewise. Lower is better. "area" equals ``explanation.deletion_auc``.

    On "nonzero" x is 1 - the share of non-zero pixels that are left.
    """
    return _auc(explanation, REMOVED, axis, traced, pixels)


def highest_confidence(
    explanations: Explanation | Iterable[Explanation], areas: Sequence[float] = AREAS, *, traced: int | None = None
) -> dict[float, float]:
    """Average highest confidence (SMDL, table 2): the highest target score of the insertion curve within each area.

    Args:
        explanations: One, or several to take the mean of.
        areas: Shares of the removable area, above 0 and at most 1.
        traced: Another class whose curve was traced along, instead of the target.

    Returns:
        {area: mean over the explanations}.

    Raises:
        ValueError: no explanation, an area out of range, or a class that was not traced.
    """
    if not isinstance(areas, Iterable):
        raise ValueError(f"areas must be shares of the area, such as {AREAS}; got {areas!r}")
    each = [replace(e, insertion=_curve(e, KEPT, traced)) for e in listed(explanations)]
    return {area: float(np.mean([e.highest_confidence(area) for e in each])) for area in areas}


def nonzero_shares(explanation: Explanation, pixels: NDArray[Any] | None = None) -> NDArray[np.float64]:
    """Share of all pixels whose colour sum is not zero, hidden ones being black whatever the run's baseline.

    Args:
        pixels: The image on the label grid, [H, W, C]; None for the explanation's own.

    Returns:
        After the first j regions kept, and removed. [2, k + 1], 0 to 1.

    Raises:
        ValueError: pixels are missing or on another grid.
    """
    labels = explanation.labels
    given = explanation.pixels if pixels is None else pixels
    pixels = None if given is None else as_array("pixels", given)
    if pixels is None or pixels.ndim != 3 or pixels.shape[:2] != labels.shape:
        got = None if pixels is None else list(pixels.shape)
        raise ValueError(
            f"pixels must be the image on the label grid, [H, W, C] with H, W = {list(labels.shape)}; got {got}: "
            "resize it as the model's input is"
        )
    lit = pixels.sum(2) != 0
    in_region = np.bincount(labels[lit & (labels >= 0)], minlength=explanation.n)
    covered = np.append(0, in_region[explanation.order].cumsum())
    shares: NDArray[np.float64] = np.stack((covered + (lit & (labels < 0)).sum(), lit.sum() - covered)) / labels.size
    return shares


def _curve(explanation: Explanation, view: int, traced: int | None) -> Floats:
    if traced is None:
        return (explanation.insertion, explanation.deletion)[view]
    if traced not in explanation.traced:
        there = sorted(explanation.traced) or "none: explain with trace=[...]"
        raise ValueError(f"traced must be a class traced along ({there}); got {traced!r}")
    curve: Floats = explanation.traced[traced][view]
    return curve


def _auc(explanation: Explanation, view: int, axis: str, traced: int | None, pixels: NDArray[Any] | None) -> float:
    if axis not in AXES:
        raise one_of("axis", axis, AXES)
    y = _curve(explanation, view, traced)
    if axis == "nonzero":
        shown = nonzero_shares(explanation, pixels)[view]
        return float(np.trapezoid(y, shown if view == KEPT else 1 - shown))
    x = explanation.area if axis == "area" else np.linspace(0, 1, len(y))
    reached = float(x[-1])
    return float(np.trapezoid(y, x) / reached) if reached > 0 else float(y[0])
