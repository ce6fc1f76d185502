"""Maps over an input: of an explanation, of several, or somebody else's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.checks import as_array
from pysmdl.explanation import Explanation
from pysmdl.explanation.values import Values
from pysmdl.metrics.checks import listed


def saliency_map(saliency: Explanation | NDArray[Any]) -> NDArray[np.float64]:
    """A saliency map [H, W] as float64; of an explanation that of its values, negative ones as 0, on its image.

    Raises:
        ValueError: it has another form, or holds NaN or infinity.
    """
    if isinstance(saliency, Explanation):
        return saliency.value_map(positive=True, size=saliency.size)
    values = as_array("saliency", saliency).astype(np.float64)
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"saliency must be an explanation or [H, W]; got {list(values.shape)}")
    if not np.isfinite(values).all():
        raise ValueError("saliency must be finite; it holds NaN or infinity")
    return values


def mean_map(explanations: Explanation | Iterable[Explanation], *, size: tuple[int, int] | None = None) -> Values:
    """The mean of several explanations' value maps, each divided by the sum of its positive part first: of one input
    by several methods, seeds or divisions.

    Args:
        explanations: One or several.
        size: (height, width) to lay them on; None: their own grids, which must be of one shape.

    Returns:
        [*grid] or [height, width], signed; one that has nothing positive counts as zeros.

    Raises:
        ValueError: no explanation, or grids of several shapes.
    """
    maps = [each.value_map(size=size) for each in listed(explanations)]
    if shapes := {each.shape for each in maps[1:]} - {maps[0].shape}:
        raise ValueError(f"size must be given for grids of several shapes; got {sorted({maps[0].shape, *shapes})}")
    totals = [np.maximum(each, 0).sum() for each in maps]
    mean: Values = np.mean(
        [each / total if total > 0 else 0 * each for each, total in zip(maps, totals, strict=True)], axis=0
    )
    return mean
