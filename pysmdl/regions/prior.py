"""Patches grouped by a prior saliency map: the division of the SMDL paper (section 4.1, algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.checks import as_array
from pysmdl.errors import RegionError, whole_number
from pysmdl.inputs.image_files import Pixels
from pysmdl.regions.grid import rectangles
from pysmdl.types import Regions


def prior(saliency: Any, n: int = 50, patches: int = 28) -> Callable[[Pixels], Regions]:
    """Regions of patches of like saliency.

    The grid is cut into `patches` x `patches` rectangles; they are ranked by the prior's mean in each (of equals, the
    first in row order) and cut into n groups of equal size, give or take one: region 0 holds the most salient patches.

    Args:
        saliency: The prior [h, w], of any resolution; from Grad-CAM or another method.
        n: Number of regions.
        patches: Rectangles a side.

    Returns:
        A division for ``regions=``.

    Raises:
        ValueError: n or patches is no whole number of at least 1.
        RegionError: the prior is not a finite [h, w], or there are fewer patches than regions.
    """
    n, patches = whole_number("n", n, 1), whole_number("patches", patches, 1)
    saliency = np.array(as_array("the prior", saliency, RegionError), np.float64)  # a copy: the caller may refill it
    if saliency.ndim != 2 or saliency.size == 0 or not np.isfinite(saliency).all():
        raise RegionError(f"the prior must be a finite array [h, w]; got shape {list(saliency.shape)}")
    if n > patches * patches:
        raise RegionError(f"n must be 1 to patches^2 = {patches * patches}; got {n}")
    return partial(_divided, saliency, n, patches)


def _divided(saliency: NDArray[np.float64], n: int, patches: int, pixels: Pixels) -> Regions:
    height, width = pixels.shape[:2]
    cells = rectangles(height, width, min(patches, height), min(patches, width))
    if cells.n < n:
        raise RegionError(f"n must be at most {cells.n}, the patches of a {height}x{width} grid; got {n}")
    row = np.arange(height) * saliency.shape[0] // height
    column = np.arange(width) * saliency.shape[1] // width
    mean = np.bincount(cells.labels.ravel(), saliency[np.ix_(row, column)].ravel()) / cells.areas()
    rank = np.empty(cells.n, np.int64)
    rank[np.argsort(-mean, kind="stable")] = np.arange(cells.n)
    group = (rank * n // cells.n).astype(np.int32)
    return Regions(group[cells.labels], n)
