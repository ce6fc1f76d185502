"""Label maps: from arrays and masks, checked, and made ready in one pass each (numba)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.errors import RegionError, one_of
from pysmdl.types import Ints, Regions


def from_labels(labels: NDArray[Any]) -> Regions:
    """Regions from a label map, copied. Ids are kept: no relabelling, no merging.

    Args:
        labels: Whole numbers [*grid]; 0..n-1, each at least once; -1 is "always shown".

    Raises:
        RegionError: not whole numbers, no region, an id below -1 or a missing id.
    """
    if labels.dtype.kind not in "iu":
        raise RegionError(f"a label map must hold whole numbers; got {labels.dtype}")
    if labels.size == 0 or labels.max() < 0:
        raise RegionError("a label map needs at least one region (an id of 0 or above); got none")
    if labels.min() < -1:
        raise RegionError(f"labels must be -1 (always shown) or region ids from 0; got {labels.min()}")
    n = int(labels.max()) + 1
    if n > labels.size:
        raise RegionError(
            f"label ids must be 0..n-1, each at least once; got {n - 1} on a grid of {labels.size} points"
        )
    areas = np.bincount(labels[labels >= 0].ravel(), minlength=n)
    if not areas.all():
        missing = np.flatnonzero(areas == 0)
        shown = ", ".join(map(str, missing[:8])) + (" ..." if len(missing) > 8 else "")
        raise RegionError(f"label ids must be 0..{n - 1}, each at least once; missing: {shown}")
    return Regions(np.array(labels, np.int32, order="C"), n)


def from_masks(masks: NDArray[Any], remainder: str = "region", empty: str = "error") -> Regions:
    """Regions from masks that may overlap and may leave gaps (SAM's, for example).

    A point in several masks goes to the smallest of them, the most specific; of equal ones to the first. Mask i is
    region i.

    Args:
        masks: Bool [n, *grid].
        remainder: What no mask covers: "region" (one more region, the last) or "shown" (label -1, never hidden).
        empty: A mask with nothing left for it: "error", or "drop" (the regions after it move up).

    Raises:
        RegionError: not bool [n, *grid], no mask, or an empty one under "error".
    """
    if remainder not in ("region", "shown"):
        raise one_of("remainder", remainder, ("region", "shown"))
    if empty not in ("error", "drop"):
        raise one_of("empty", empty, ("error", "drop"))
    masks = np.asarray(masks)
    if masks.dtype != bool or masks.ndim < 2 or len(masks) == 0:
        raise RegionError(f"masks must be bool [n, *grid] with n at least 1; got {masks.dtype} {list(masks.shape)}")
    areas = masks.reshape(len(masks), -1).sum(1)
    labels = np.full(masks.shape[1:], -1, np.int32)
    for i in np.lexsort((-np.arange(len(masks)), -areas)):  # largest first: smaller ones are laid on top
        labels[masks[i]] = i
    kept = np.bincount(labels[labels >= 0].ravel(), minlength=len(masks)) > 0
    if not kept.all():
        gone = ", ".join(map(str, np.flatnonzero(~kept)[:8]))
        if empty == "error":
            raise RegionError(
                f"masks without a point of their own (empty, or covered by smaller masks): {gone}; "
                'drop them with pysmdl.regions.from_masks(masks, empty="drop")'
            )
        renumbered = np.append(np.cumsum(kept) - 1, -1).astype(np.int32)  # the last entry serves label -1
        labels = renumbered[labels]
    if remainder == "region" and (labels < 0).any():
        labels[labels < 0] = kept.sum()
    return from_labels(labels)


def merge_small(regions: Regions, smallest: int) -> Regions:
    """Give every region below `smallest` points to the neighbour it shares the longest border with. Image grids only.

    Regions are renumbered in the order of their old ids; at least one is left.
    """
    merged = _compiled()["merge_small"](regions.labels.copy(), regions.n, smallest)
    _, dense = np.unique(merged[merged >= 0], return_inverse=True)
    labels = np.full_like(merged, -1)
    labels[merged >= 0] = dense
    return from_labels(labels)


def snap_to_patches(regions: Regions, patch: int) -> Regions:
    """Give each patch of `patch` x `patch` points to the region that holds most of it (of equals, the lowest id).

    For models that see patches: a hidden region hides whole tokens. Regions that win no patch vanish; the others are
    renumbered in order.

    Raises:
        RegionError: the grid is not a multiple of the patch.
    """
    height, width = regions.labels.shape
    if patch < 1 or height % patch or width % patch:
        raise RegionError(f"patch must divide the grid {height}x{width}; got {patch}")
    winners = _compiled()["patch_majority"](regions.labels, regions.n, patch)
    _, dense = np.unique(winners[winners >= 0], return_inverse=True)
    snapped = np.full_like(winners, -1)
    snapped[winners >= 0] = dense
    return from_labels(np.repeat(np.repeat(snapped, patch, axis=0), patch, axis=1))


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
