"""Pointing games on a saliency map, and the overlap of boxes along an explanation of a detector.

Boxes are x0, y0, x1, y1. Pixel (row i, column j) is inside where its centre (j + 0.5, i + 0.5) is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pysmdl.checks import as_array, as_mask
from pysmdl.errors import one_of
from pysmdl.explanation import Explanation
from pysmdl.metrics.boxes import MEASURES, Numbers, box_array, iou
from pysmdl.metrics.checks import KEPT, listed, of_points, within
from pysmdl.metrics.maps import saliency_map
from pysmdl.types import Bools


def pointing_game(
    saliency: Explanation | NDArray[Any],
    *,
    boxes: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    tolerance: float = 15.0,
) -> float:
    """Whether the map's maximum lies on an instance (Zhang et al. 2018, excitation backprop, 4.1).

    A region map has a plateau of maxima where the paper's has one point: the result is the chance that one of them,
    drawn at random, hits. A constant map scores what chance does.

    Args:
        saliency: An explanation, by its ``value_map(positive=True)`` at its image's own size; or any map [H, W].
        boxes: The instances, [4] or [m, 4] in pixels of the map; or
        mask: theirs, [H, W] or [m, H, W]: bool, 0 and 1, or 0 and 255.
        tolerance: Pixels that a maximum may be away from the nearest pixel of an instance. The paper's 15; 0 for none.

    Returns:
        1 for a hit, 0 for a miss, between for a plateau that does both.

    Raises:
        ValueError: no finite map, neither or both of boxes and mask, one that covers no pixel, a negative tolerance.
    """
    values = saliency_map(saliency)
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be at least 0 pixels; got {tolerance}")
    target = _instances(values.shape, boxes, mask)
    if tolerance > 0:
        from scipy.ndimage import distance_transform_edt

        target = distance_transform_edt(~target) <= tolerance
    return float(target[values == values.max()].mean())


def energy_pointing_game(
    saliency: Explanation | NDArray[Any], *, boxes: ArrayLike | None = None, mask: ArrayLike | None = None
) -> float:
    """Share of the map's energy that lies on the instances (Score-CAM, Wang et al. 2020, 4.3).

        proportion = sum of saliency inside / sum of saliency

    Args:
        saliency: As there; a map must be at least 0 everywhere.
        boxes, mask: As in :func:`pointing_game`.

    Returns:
        0 to 1; 0 for a map of zeros, which points nowhere.

    Raises:
        ValueError: as :func:`pointing_game`, or a negative value in the map.
    """
    values = saliency_map(saliency)
    if values.min() < 0:
        raise ValueError(f"saliency must be at least 0 to have energy; its least is {values.min():g}")
    total = values.sum()
    return float(values[_instances(values.shape, boxes, mask)].sum() / total) if total > 0 else 0.0


def box_overlap(explanation: Explanation, measure: str = "iou", target: ArrayLike | None = None) -> Numbers:
    """Overlap of the best prediction's box with the target at each curve point, kept and removed. [2, k + 1].

    Args:
        explanation: Of a detector.
        measure: "iou" (as the run measured it), "giou" or "diou".
        target: The target's x0, y0, x1, y1 in pixels of the model's input; None where these are the image's.

    Raises:
        ValueError: no detector's explanation, no such measure, or a target in other pixels than the boxes.
    """
    if not {"iou", "box", "box_confidence"} <= explanation.reading.keys():
        raise ValueError(f"explanation must be of a detector, with boxes; this one's target is {explanation.target!r}")
    if measure not in MEASURES:
        raise one_of("measure", measure, MEASURES)
    measured = of_points(explanation, "iou", explanation.reading["iou"]).astype(np.float64)
    if measure == "iou":
        return measured
    boxes = explanation.reading["box"]
    goal = box_array("target", explanation.target["xyxy"] if target is None else target)
    if not np.allclose(iou(boxes, goal), measured, atol=1e-3, equal_nan=True):
        raise ValueError(
            f"target must be in pixels of the model's input, as the boxes are; {goal.tolist()} does not give the IoU "
            "that the run measured"
        )
    return MEASURES[measure](boxes, goal)


def highest_iou(
    explanation: Explanation, area: float = 1.0, measure: str = "iou", target: ArrayLike | None = None
) -> float:
    """Highest overlap along the insertion curve within this share of the area; NaN where no point of it was measured.

    Other arguments, and errors, as in :func:`box_overlap`; ValueError also where area is not from 0 to 1.
    """
    overlap = box_overlap(explanation, measure, target)[KEPT, within(explanation, area)]
    return float(overlap[~np.isnan(overlap)].max()) if not np.isnan(overlap).all() else float("nan")


def iou_success(
    explanations: Explanation | Iterable[Explanation],
    threshold: float = 0.5,
    area: float = 1.0,
    confidence: float = 0.0,
) -> float:
    """Share of explanations that find the object again: IoU and confidence above their thresholds in one view kept.

    VPS's evaluator calls 0.75 what is computed with 0.5: compare its "IoU@0.75" with threshold=0.5.

    Args:
        explanations: Of a detector, one or several.
        threshold: IoU that the best prediction's box must exceed; 0 to below 1.
        area: Within this share of the area.
        confidence: Confidence it must exceed at the same point.

    Raises:
        ValueError: no explanation, not of a detector, or an argument out of range.
    """
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold must be at least 0 and below 1; got {threshold}")
    if not 0 <= confidence < 1:
        raise ValueError(f"confidence must be at least 0 and below 1; got {confidence}")
    found = [
        (within(e, area) & (box_overlap(e)[KEPT] > threshold) & (e.reading["box_confidence"][KEPT] > confidence)).any()
        for e in listed(explanations)
    ]
    return float(np.mean(found))


def _instances(shape: tuple[int, ...], boxes: ArrayLike | None, mask: ArrayLike | None) -> Bools:
    """The pixels of all instances. [H, W]."""
    if (boxes is None) == (mask is None):
        raise ValueError(f"give either boxes or mask; got {'neither' if boxes is None else 'both'}")
    if mask is not None:
        given = as_array("mask", mask)
        if given.dtype.kind not in "biu" or given.ndim not in (2, 3) or given.shape[-2:] != shape:
            raise ValueError(f"mask must be bool {list(shape)}, or [m, H, W]; got {given.dtype} {list(given.shape)}")
        each = as_mask("mask", given).reshape(-1, *shape)
    else:
        corners = box_array("boxes", boxes).reshape(-1, 4)[:, :, None]
        x, y = np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5
        columns, rows = (corners[:, 0] <= x) & (x < corners[:, 2]), (corners[:, 1] <= y) & (y < corners[:, 3])
        each = rows[:, :, None] & columns[:, None]
    inside: Bools = np.logical_or.reduce(each, axis=0)
    if not inside.any():
        name, value = ("mask", "an empty one") if boxes is None else ("boxes", boxes)
        raise ValueError(f"{name} must cover at least one pixel of the {shape[0]}x{shape[1]} map; got {value}")
    return inside
