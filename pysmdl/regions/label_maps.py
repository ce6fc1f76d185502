"""Label maps: from arrays, checked, and made ready in one pass each (numba)."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.checks import as_array
from pysmdl.errors import RegionError, whole_number
from pysmdl.inputs.image_files import Frame
from pysmdl.types import Ints, Regions


def from_labels(labels: Any) -> Regions:
    """Regions from a label map, copied. Ids are kept: no relabelling, no merging, but for maps that count from 1.

    A map whose ids are exactly 1..n, without a 0, is taken to count from 1: its id i is region i - 1.

    Args:
        labels: Whole numbers [*grid]; 0..n-1 (or 1..n), each at least once; -1 is "always shown".

    Raises:
        RegionError: not whole numbers, no region, an id below -1 or a missing id.
    """
    labels = as_array("a label map", labels, RegionError)
    if labels.dtype.kind not in "iu":
        raise RegionError(f"a label map must hold whole numbers; got {labels.dtype}")
    highest, lowest = (int(labels.max()), int(labels.min())) if labels.size else (-1, 0)
    if highest < 0:
        raise RegionError("a label map needs at least one region (an id of 0 or above); got none")
    if lowest < -1:
        raise RegionError(f"labels must be -1 (always shown) or region ids from 0; got {lowest}")
    if highest > labels.size:
        raise RegionError(
            f"label ids must be 0..n-1, each at least once; got {highest} on a grid of {labels.size} points"
        )
    ids = labels.astype(np.int64)
    areas = np.bincount(ids[ids >= 0], minlength=highest + 1)
    if areas[0] == 0 and areas[1:].all() and highest > 0:
        ids[ids > 0] -= 1
    elif not areas.all():
        missing = np.flatnonzero(areas == 0)
        raise RegionError(f"label ids must be 0..{highest}, each at least once; missing: {_some(missing)}")
    return Regions(np.array(ids, np.int32, order="C"), int(ids.max()) + 1)


def checked(regions: Regions) -> Regions:
    """Regions as they say they are, copied.

    Raises:
        RegionError: their labels are no label map, or have another number of ids than n; names, groups or weights are
            of another number.
    """
    if regions.covers is not None:
        return replace(regions, labels=regions.labels.copy())  # whose labels may lack a region that others hide
    made = from_labels(regions.labels)
    if made.n != regions.n:
        raise RegionError(f"n of the given Regions must be {made.n}, the number of ids in its labels; got {regions.n}")
    for name in ("names", "groups"):
        given = getattr(regions, name)
        if len(given) not in (0, made.n):
            raise RegionError(f"{name} of the given Regions must be {made.n}, one a region; got {len(given)}")
    weights = None if regions.weights is None else checked_weights(regions.weights, made.n)
    names, groups = (tuple(map(str, given)) for given in (regions.names, regions.groups))
    return replace(made, names=names, groups=groups, weights=weights)


def checked_weights(weights: Any, n: int) -> NDArray[np.float64]:
    """What each region counts for, as [n] numbers of at least 0, copied.

    Raises:
        RegionError: they are of another number, negative, not finite, or all 0.
    """
    found = np.array(as_array("weights", weights, RegionError), np.float64)
    if found.shape != (n,) or not np.isfinite(found).all() or found.min() < 0 or found.sum() <= 0:
        raise RegionError(f"weights must be {n} finite numbers of at least 0, not all 0; got {list(found.shape)}")
    return found


def resized(regions: Regions, height: int, width: int, frame: Frame | None = None) -> Regions:
    """The same regions on a grid of another size: each point takes the label at its centre.

    Args:
        regions: Of an image.
        height, width: Of the grid.
        frame: Where the grid lies in the image: x0, y0, x1, y1 in its pixels; None: all of it.

    Raises:
        RegionError: a region has no point there.
    """
    if frame is not None:
        _all_inside(regions, frame)
    x0, y0, x1, y1 = frame or (0, 0, *regions.labels.shape[::-1])
    rows, columns = _centres(y0, y1, height), _centres(x0, x1, width)
    labels = regions.labels[np.ix_(rows, columns)]
    if regions.covers is not None:
        covers = regions.covers[:, rows[:, None], columns]
        if covers.any((1, 2)).all():
            return replace(regions, labels=labels, covers=covers)
        raise RegionError(f"on the model's grid {height}x{width} no point is left of some of the masks")
    gone = np.flatnonzero(np.bincount(labels[labels >= 0], minlength=regions.n) == 0)
    if len(gone):
        size = "x".join(map(str, regions.labels.shape))
        raise RegionError(
            f"on the model's grid {height}x{width} no point is left of these regions of the {size} label map: "
            f"{_some(gone)}; join small regions to others, or let the scorer mask at the picture's size: "
            'mask_at="image"'
        )
    return replace(regions, labels=labels)


def _centres(first: float, last: float, count: int) -> NDArray[np.int64]:
    """The pixels at the centres of `count` equal steps from one edge to another. [count]"""
    return (first + (np.arange(count) + 0.5) * (last - first) / count).astype(np.int64)


def _all_inside(regions: Regions, frame: Frame) -> None:
    """Raises RegionError where a region has no pixel within the frame: the model cannot see it."""
    x0, y0, x1, y1 = frame
    within = regions.labels[math.floor(y0) : math.ceil(y1), math.floor(x0) : math.ceil(x1)]
    gone = np.flatnonzero(np.bincount(within[within >= 0], minlength=regions.n) == 0)
    if len(gone):
        seen = ", ".join(f"{corner:g}" for corner in frame)
        raise RegionError(
            f"the model sees only a crop of the image, {seen} of its pixels, and these regions lie outside: "
            f"{_some(gone)}; give regions of the crop alone"
        )


def _some(ids: NDArray[np.int64]) -> str:
    return ", ".join(map(str, ids[:8])) + (" ..." if len(ids) > 8 else "")


def merge_small(regions: Regions, smallest: int) -> Regions:
    """Give every region below `smallest` points to the neighbour it shares the longest border with. Image grids only.

    Regions are renumbered in the order of their old ids; at least one is left.

    Raises:
        RegionError: the regions are not what they say, or not of an image.
        ValueError: smallest is no whole number of at least 1.
    """
    regions = _of_image(regions)
    merged = _compiled()["merge_small"](regions.labels, regions.n, whole_number("smallest", smallest, 1))
    _, dense = np.unique(merged[merged >= 0], return_inverse=True)
    labels = np.full_like(merged, -1)
    labels[merged >= 0] = dense
    return from_labels(labels)


def snap_to_patches(regions: Regions, patch: int) -> Regions:
    """Give each patch of `patch` x `patch` points to the region that holds most of it (of equals, the lowest id).

    For models that see patches: a hidden region hides whole tokens. Regions that win no patch vanish; the others are
    renumbered in order. Points beyond the last whole patch, which such a model does not look at (SigLIP's last 6 of
    384, in patches of 14), go with the nearest.

    Raises:
        RegionError: the grid holds no patch, or the regions are not what they say.
    """
    regions = _of_image(regions)
    height, width = regions.labels.shape
    patch = whole_number("patch", patch, 1)
    if patch > min(height, width):
        raise RegionError(f"patch must be 1 to {min(height, width)}, for a grid of {height}x{width}; got {patch}")
    winners = _compiled()["patch_majority"](regions.labels, regions.n, patch)
    _, dense = np.unique(winners[winners >= 0], return_inverse=True)
    snapped = np.full_like(winners, -1)
    snapped[winners >= 0] = dense
    whole = np.repeat(np.repeat(snapped, patch, axis=0), patch, axis=1)
    return from_labels(np.pad(whole, [(0, height - whole.shape[0]), (0, width - whole.shape[1])], "edge"))


def squares_of(labels: Ints, side: int) -> Ints:
    """A label map [H, W] in whole squares of side x side points, none beyond the last. [h, side, w, side]."""
    high, wide = (length // side for length in labels.shape)
    squares: Ints = labels[: high * side, : wide * side].reshape(high, side, wide, side)
    return squares


def _of_image(regions: Regions) -> Regions:
    """Checked before compiled loops, which look at no bounds, see them."""
    made = checked(regions)
    if made.labels.ndim != 2:
        raise RegionError(f"regions must be of an image, [H, W]; got {list(made.labels.shape)}")
    return made


@cache
def _compiled() -> dict[str, Any]:
    """The loops, compiled on first use: numba takes a second to load, and most runs need none of them."""
    from numba import njit

    @njit(cache=True)
    def patch_majority(labels: Ints, n: int, patch: int) -> Ints:
        rows, columns = labels.shape[0] // patch, labels.shape[1] // patch
        winners = np.full((rows, columns), -1, np.int32)
        counts = np.zeros(n + 1, np.int64)
        for i in range(rows):
            for j in range(columns):
                counts[:] = 0
                for y in range(i * patch, (i + 1) * patch):
                    for x in range(j * patch, (j + 1) * patch):
                        counts[labels[y, x] + 1] += 1  # slot 0: always shown
                winners[i, j] = np.argmax(counts) - 1
        return winners

    @njit(cache=True)
    def merge_small(labels: Ints, n: int, smallest: int) -> Ints:
        height, width = labels.shape
        areas = np.zeros(n, np.int64)
        for y in range(height):
            for x in range(width):
                if labels[y, x] >= 0:
                    areas[labels[y, x]] += 1
        while True:
            small = -1
            for i in range(n):
                if 0 < areas[i] < smallest and (small < 0 or areas[i] < areas[small]):
                    small = i
            if small < 0:
                return labels
            border = np.zeros(n, np.int64)
            for y in range(height):
                for x in range(width):
                    if labels[y, x] != small:
                        continue
                    for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                        v, u = y + dy, x + dx
                        if 0 <= v < height and 0 <= u < width and labels[v, u] >= 0 and labels[v, u] != small:
                            border[labels[v, u]] += 1
            to = np.argmax(border)
            if border[to] == 0:  # an island: it has no neighbour to join
                areas[small] = smallest
                continue
            for y in range(height):
                for x in range(width):
                    if labels[y, x] == small:
                        labels[y, x] = to
            areas[to] += areas[small]
            areas[small] = 0

    return {"patch_majority": patch_majority, "merge_small": merge_small}
