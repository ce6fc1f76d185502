"""A sketch's strokes as players: where they cross, a point belongs to both."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from pysmdl.checks import as_array, image_size
from pysmdl.errors import RegionError, whole_number
from pysmdl.regions.masks import overlapping
from pysmdl.types import Regions


def strokes(polylines: Sequence[Any], size: tuple[int, int], width: int = 3, pieces: int = 1) -> Regions:
    """Polylines drawn on a grid, each a player that keeps its overlaps; all else is always shown.

    Args:
        polylines: One [p, 2] each, x and y in points of the grid.
        size: (height, width) of the grid.
        width: Of a stroke, in points.
        pieces: Parts of equal length that each stroke is cut into, players of their own in groups of their stroke's.

    Raises:
        RegionError: no stroke, one that is no polyline, or that lies outside of the grid.
        ValueError: width or pieces is no whole number of at least 1.
    """
    width, pieces = whole_number("width", width, 1), whole_number("pieces", pieces, 1)
    size = image_size("size", size)
    masks, names, groups = [], [], []
    for number, given in enumerate(polylines):
        points = np.array(as_array(f"polylines[{number}]", given, RegionError), np.float64)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 2:
            raise RegionError(f"polylines[{number}] must be [p, 2] with 2 points at least; got {list(points.shape)}")
        for piece, line in enumerate(_cut(points, pieces)):
            image = Image.new("1", (size[1], size[0]))
            ImageDraw.Draw(image).line([tuple(point) for point in line.tolist()], fill=1, width=width, joint="curve")
            masks.append(np.asarray(image))
            names.append(f"stroke {number}" + (f", part {piece}" if pieces > 1 else ""))
            groups.append(f"stroke {number}")
    found = overlapping(masks, "any", names)
    return Regions(found.labels, found.n, found.names, tuple(groups), found.weights, found.covers, found.cover)


def _cut(points: Any, pieces: int) -> list[Any]:
    """A polyline in parts of equal length, its corners kept."""
    along = np.append(0, np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum())
    ends = np.linspace(0, along[-1], pieces + 1)
    found = []
    for start, stop in itertools.pairwise(ends):
        at = np.concatenate(([start], along[(along > start) & (along < stop)], [stop]))
        found.append(np.stack([np.interp(at, along, points[:, axis]) for axis in (0, 1)], 1))
    return found
