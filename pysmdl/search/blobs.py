"""Blobs: random subsets of regions that lie together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pysmdl.types import Bools

BLOB = 0.3  # how far the regions of a blob lie from each other, the whole being of size 1
WAVES = 64  # of which blobs are made


def blobs(
    rng: np.random.Generator,
    count: int,
    n: int,
    places: NDArray[np.float64] | None,
    share: tuple[float, float] = (0.1, 0.9),
) -> Bools:
    """Subsets of regions that lie together: where a random smooth function is below one of its quantiles.

    [count, n]. Where nobody knows the regions' places, random ones.

    Args:
        share: The smallest and the largest share of the regions in a subset.
    """
    if places is None:
        return rng.random((count, n)) < rng.uniform(*share, (count, 1))
    waves = rng.standard_normal((count, WAVES, places.shape[1])) / BLOB  # of a Gaussian spectrum: a Gaussian process
    phases = rng.uniform(0, 2 * np.pi, (count, WAVES, 1)).astype(np.float32)
    waves, at = waves.astype(np.float32), places.astype(np.float32)
    heights = np.empty((count, n), np.float32)
    some = max(1, (1 << 16) // (WAVES * n))  # at a time: of many regions all take gigabytes
    for part in (slice(i, i + some) for i in range(0, count, some)):
        angles = phases[part] + sum(waves[part, :, axis, None] * at[:, axis] for axis in range(at.shape[1]))
        heights[part] = np.cos(angles).sum(1)
    below = np.ceil(rng.uniform(*share, count) * (n - 1)).astype(int)
    blobs: Bools = heights < np.take_along_axis(np.sort(heights, 1), below[:, None], 1)
    return blobs
