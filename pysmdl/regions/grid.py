"""Rectangular patches."""

from __future__ import annotations

import math

import numpy as np

from pysmdl.errors import whole_number
from pysmdl.inputs.image_files import Pixels
from pysmdl.types import Regions


def grid(pixels: Pixels, n: int = 49) -> Regions:
    """About n rectangles of equal size in rows and columns, as square as they come; exactly n where n is a square.

    Args:
        pixels: The image [H, W, 3]; only its size counts.
        n: Wanted number of regions; never more than the grid has points.

    Raises:
        ValueError: n is no whole number of at least 1.
    """
    n = whole_number("n", n, 1)
    height, width = pixels.shape[:2]
    rows = min(height, max(1, round(math.sqrt(n * height / width))))
    columns = min(width, max(1, round(n / rows)))
    return rectangles(height, width, rows, columns)


def rectangles(height: int, width: int, rows: int, columns: int) -> Regions:
    """`rows` x `columns` rectangles, sizes within one point of each other."""
    row = np.arange(height) * rows // height
    column = np.arange(width) * columns // width
    return Regions((row[:, None] * columns + column[None]).astype(np.int32), rows * columns)
