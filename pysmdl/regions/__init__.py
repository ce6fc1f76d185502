"""Regions: ways to divide an input. Each gives ``Regions(labels, n)``; REGIONS maps names to them.

What ``explain(regions=...)`` takes: "slico", "slico:50" (about 50 regions), a :class:`Regions`, an int label map
[*grid], bool masks [n, *grid], or a function of the image's pixels to any of these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pysmdl.errors import RegionError, one_of
from pysmdl.inputs.image_files import Pixels
from pysmdl.regions.grid import grid
from pysmdl.regions.label_maps import from_labels, from_masks
from pysmdl.regions.prior import prior
from pysmdl.regions.superpixel import seeds, slico, slico_opencv
from pysmdl.types import Regions

__all__ = [
    "REGIONS",
    "Regions",
    "from_labels",
    "from_masks",
    "grid",
    "partition",
    "prior",
    "seeds",
    "slico",
    "slico_opencv",
]

REGIONS: dict[str, Callable[..., Regions]] = {
    "slico": slico,
    "slico-opencv": slico_opencv,
    "seeds": seeds,
    "grid": grid,
}

DEFAULT_COUNT = 50


def partition(spec: Any, pixels: Pixels | None, shape: Sequence[int]) -> Regions:
    """The regions of one input.

    Args:
        spec: As in the module's docstring.
        pixels: The image on the grid where regions are masked, uint8 [H, W, 3]; None where there is no image.
        shape: The grid, which label maps must have.

    Raises:
        ValueError: no such name.
        RegionError: labels or masks of another shape, not whole numbers, with a missing id; a wrong n.
    """
    if callable(spec):
        if pixels is None:
            raise RegionError("regions computed from pixels need an image; give a label map for this input")
        spec = spec(pixels)
    if isinstance(spec, str):
        made = _by_name(spec, pixels)
    elif isinstance(spec, Regions):
        made = from_labels(np.asarray(spec.labels))
        if made.n != spec.n:
            raise RegionError(f"n of the given Regions must be {made.n}, the number of ids in its labels; got {spec.n}")
    else:
        array = np.asarray(spec.detach().cpu() if hasattr(spec, "detach") else spec)
        made = from_masks(array) if array.dtype == bool else from_labels(array)
    if made.labels.shape != tuple(shape):
        raise RegionError(f"regions must cover the input's grid {list(shape)}; got {list(made.labels.shape)}")
    return made


def _by_name(spec: str, pixels: Pixels | None) -> Regions:
    name, _, count = spec.partition(":")
    if name not in REGIONS:
        raise one_of("regions", spec, (*REGIONS, "slico:50"))
    if count and not (count.isdigit() and int(count) > 0):
        raise ValueError(f"regions must be NAME or NAME:COUNT with a count of at least 1; got {spec!r}")
    if pixels is None:
        raise RegionError(f"regions={spec!r} needs an image; give a label map for this input")
    return REGIONS[name](pixels, int(count) if count else DEFAULT_COUNT)
