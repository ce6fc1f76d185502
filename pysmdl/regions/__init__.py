"""Regions: ways to divide an input. Each gives ``Regions(labels, n)``; REGIONS maps names to them.

What ``explain(players=...)``, or regions, takes: "slico", "slico:50" (about 50 regions), a :class:`Regions`, an int
label map [*grid] (ids from 0 or from 1), masks [n, *grid] (bool, 0 and 1, or 0 and 255), a list of masks or of SAM's
dicts, or a function of the image's pixels to any of these. Label maps and masks may have the image's own size. What is
no image is divided by the names of GRIDS: "time:20", "bands:8x6", "tubes:4x4x4", "columns", "grid:4x4x4"; a list of
names is a player a point, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.errors import RegionError, one_of
from pysmdl.inputs.image_files import Frame, Pixels
from pysmdl.regions.cells import GRIDS, bands, by_grid, cells, divided_as, is_of_grid, named_by_time, segments, tubes
from pysmdl.regions.grid import grid
from pysmdl.regions.label_maps import checked, from_labels, resized
from pysmdl.regions.masks import from_masks, lima_masks, overlapping, stacked
from pysmdl.regions.players import columns, players, without_grid
from pysmdl.regions.prior import prior
from pysmdl.regions.strokes import strokes
from pysmdl.regions.superpixel import seeds, slico, slico_opencv
from pysmdl.types import Regions

__all__ = [
    "GRIDS",
    "REGIONS",
    "Regions",
    "are_partitions",
    "bands",
    "cells",
    "columns",
    "divided_as",
    "from_labels",
    "from_masks",
    "grid",
    "lima_masks",
    "named_by_time",
    "overlapping",
    "partition",
    "players",
    "prior",
    "refuse_several",
    "seeds",
    "segments",
    "slico",
    "slico_opencv",
    "strokes",
    "tubes",
    "without_grid",
]

REGIONS: dict[str, Callable[..., Regions]] = {
    "slico": slico,
    "slico-opencv": slico_opencv,
    "seeds": seeds,
    "grid": grid,
}

DEFAULT_COUNT = 50


def partition(
    spec: Any,
    pixels: Pixels | None,
    shape: Sequence[int],
    picture: Sequence[int] | None = None,
    frame: Frame | None = None,
    own: Callable[[Any], Regions | None] | None = None,
) -> Regions:
    """The regions of one input.

    Args:
        spec: As in the module's docstring.
        pixels: The image on the grid where regions are masked, uint8 [H, W, 3]; None where there is no image.
        shape: The grid.
        picture: Height and width of the image before it was resized to the grid. Label maps and masks may have that
            size too: each point of the grid takes the label at its centre. Where both sizes are the same they are
            taken to lie on the grid.
        frame: Where the grid lies in that image: x0, y0, x1, y1 in its pixels; None: all of it.
        own: Ways to be divided that this input has by itself: gives None for what is none of them.

    Raises:
        ValueError: no such name.
        RegionError: labels or masks of another shape, not whole numbers, with a missing id; a wrong n; a region that
            lies outside the frame.
    """
    named = None if own is None or (isinstance(spec, np.ndarray) and spec.ndim != 2) else own(spec)
    if named is None and callable(spec):
        if pixels is None:
            raise RegionError("regions computed from pixels need an image; give a label map for this input")
        spec = spec(pixels.copy())
    if named is not None:
        made = named
    elif isinstance(spec, str):
        made = by_grid(spec, shape, pixels) if is_of_grid(spec, pixels) else _by_name(spec, pixels)
    elif without_grid(spec) and not isinstance(spec, (int, Regions)):
        if pixels is not None:
            refuse_several(spec)
        made = players(spec)
    else:
        made = checked(spec) if isinstance(spec, Regions) else _of_array(stacked(spec), len(shape))
    if made.labels.shape == tuple(shape):
        return made
    if pixels is not None and pixels.ndim == 4 and made.labels.shape == tuple(shape)[1:] and made.covers is None:
        return replace(made, labels=np.ascontiguousarray(np.broadcast_to(made.labels, shape)))  # through all frames
    if picture is not None and made.labels.shape == tuple(picture) and len(shape) == 2:
        return resized(made, shape[0], shape[1], frame)
    or_picture = "" if picture is None or tuple(picture) == tuple(shape) else f" or the picture's size {list(picture)}"
    raise RegionError(f"regions must cover the input's grid {list(shape)}{or_picture}; got {list(made.labels.shape)}")


def _of_array(array: NDArray[Any], dimensions: int) -> Regions:
    """A label map has the grid's dimensions, masks have one more."""
    if array.ndim == 0:
        raise RegionError(f'regions must be a name, such as "slico:50", a label map or masks; got {array}')
    if array.dtype == bool and array.ndim != dimensions + 1:
        grid = ", ".join("HW") if dimensions == 2 else "*grid"
        raise RegionError(f"masks must be bool [n, *grid], here [n, {grid}]; got bool {list(array.shape)}")
    if array.ndim != dimensions + 1:
        return from_labels(array)
    if len(array) == 1 and array.dtype.kind in "iu" and array.max(initial=0) != 255:
        if array.min(initial=0) == 0 and array.max(initial=0) <= 1:
            raise RegionError(
                f"regions {list(array.shape)} of 0 and 1 may be one mask or a label map: give regions.astype(bool) for "
                "the mask, regions[0] for the label map"
            )
        return from_labels(array[0])
    return from_masks(array)


def are_partitions(spec: Any) -> bool:
    """Whether it is a list of partitions, by their names or as :class:`Regions`: several scales of one input."""
    listed = isinstance(spec, (list, tuple)) and len(spec) > 0
    return listed and all(isinstance(each, Regions) or (isinstance(each, str) and _is_named(each)) for each in spec)


def refuse_several(spec: Any) -> None:
    """Raises:
    RegionError: these are several partitions, a list or "slico:25,slico:100", where one is wanted.
    """
    listed = spec.split(",") if isinstance(spec, str) and "," in spec else spec
    if are_partitions(listed):
        raise RegionError(f"regions must be one partition here; several, {listed}, are for pysmdl.explain of one input")


def _is_named(spec: str) -> bool:
    return spec.partition(":")[0] in {*REGIONS, *(name.partition(":")[0] for name in GRIDS)}


def _by_name(spec: str, pixels: Pixels | None) -> Regions:
    refuse_several(spec)
    name, colon, count = spec.partition(":")
    if name not in REGIONS:
        raise one_of("regions", spec, (*REGIONS, "slico:50", *GRIDS))
    if colon and not (count.isdecimal() and int(count) > 0):
        raise ValueError(f"regions must be NAME or NAME:COUNT with a count of at least 1; got {spec!r}")
    if pixels is None or pixels.ndim != 3:
        ways = "a label map" if pixels is None else '"tubes:4x4x4", "tubes:5x25" or a label map'
        raise RegionError(f"regions={spec!r} needs an image; give {ways} for this input")
    return REGIONS[name](pixels, int(count) if count else DEFAULT_COUNT)
