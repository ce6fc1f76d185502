"""Overlap of boxes x0, y0, x1, y1: IoU and its variants."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pysmdl.checks import as_array

Numbers = NDArray[np.float64]


def iou(a: ArrayLike, b: ArrayLike) -> Numbers:
    """Intersection over union of boxes [..., 4] and [..., 4], broadcast. [...], 0 to 1.

    Here and in the variants a box without area, which is the engine's "nothing found", gives 0, and NaN gives NaN.
    """
    a, b = box_array("a", a), box_array("b", b)
    inside, union = _areas(a, b)
    return _where_real(a, b, _share(inside, union))


def giou(a: ArrayLike, b: ArrayLike) -> Numbers:
    """Generalised IoU (Rezatofighi et al. 2019, algorithm 1): IoU - (hull - union) / hull. [...], above -1 to 1."""
    a, b = box_array("a", a), box_array("b", b)
    inside, union = _areas(a, b)
    hull = _hull(a, b).prod(-1)
    return _where_real(a, b, _share(inside, union) - _share(hull - union, hull))


def diou(a: ArrayLike, b: ArrayLike) -> Numbers:
    """Distance IoU (Zheng et al. 2020, equation 7): IoU - (centre distance / hull diagonal)^2. [...], above -1 to 1."""
    a, b = box_array("a", a), box_array("b", b)
    inside, union = _areas(a, b)
    apart = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2
    return _where_real(a, b, _share(inside, union) - _share((apart**2).sum(-1), (_hull(a, b) ** 2).sum(-1)))


MEASURES: dict[str, Callable[[ArrayLike, ArrayLike], Numbers]] = {"iou": iou, "giou": giou, "diou": diou}


def box_array(name: str, given: ArrayLike | None) -> Numbers:
    """Boxes as float64 [..., 4].

    Raises:
        ValueError: these are no numbers, or the last dimension is not 4.
    """
    boxes = as_array(name, given).astype(np.float64)
    if boxes.ndim == 0 or boxes.shape[-1] != 4:
        raise ValueError(f"{name} must be boxes x0, y0, x1, y1, [..., 4]; got shape {list(boxes.shape)}")
    return boxes


def _areas(a: Numbers, b: Numbers) -> tuple[Numbers, Numbers]:
    """Intersection and union. [...] each."""
    overlap = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    inside = overlap.clip(min=0).prod(-1)
    return inside, (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - inside


def _hull(a: Numbers, b: Numbers) -> Numbers:
    """Width and height of the smallest box round both. [..., 2]."""
    sides: Numbers = np.maximum(a[..., 2:], b[..., 2:]) - np.minimum(a[..., :2], b[..., :2])
    return sides


def _share(part: Numbers, whole: Numbers) -> Numbers:
    """part / whole, 0 where that means nothing."""
    shares: Numbers = np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole > 0)
    return shares


def _where_real(a: Numbers, b: Numbers, value: Numbers) -> Numbers:
    real = (a[..., 2:] > a[..., :2]).all(-1) & (b[..., 2:] > b[..., :2]).all(-1)
    unknown = np.isnan(a).any(-1) | np.isnan(b).any(-1)
    return np.where(unknown, np.nan, np.where(real, value, 0.0))
