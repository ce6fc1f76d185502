"""Any pixel-level saliency map as regions: equal pixel steps. Their curves: :func:`pysmdl.metrics.saliency_curves`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.metrics.maps import saliency_map
from pysmdl.types import Ints


def pixel_steps(saliency: NDArray[Any], steps: int = 10) -> tuple[Ints, list[int]]:
    """A saliency map as regions of equally many pixels, and their order (Xplique's insertion and deletion).

        rank the pixels by saliency, highest first, equals row by row
        labels[pixel] = rank * steps // (H * W)

    Args:
        saliency: [H, W], finite.
        steps: Groups, at most one a pixel. Their sizes differ by one pixel at most. Xplique's default is 10.

    Returns:
        Label map [H, W], int32, and the order 0..steps-1: group 0 is the most salient.

    Raises:
        ValueError: no finite map, or a number of steps out of range.
    """
    values = saliency_map(saliency)
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or not 1 <= steps <= values.size:
        raise ValueError(f"steps must be a whole number from 1 to {values.size}, the pixels; got {steps!r}")
    labels = np.empty(values.size, np.int32)
    labels[np.argsort(-values.ravel(), kind="stable")] = np.arange(values.size) * steps // values.size
    return labels.reshape(values.shape), list(range(steps))
