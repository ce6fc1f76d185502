"""What each region did, as a number and as a map, from arrays alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pysmdl.types import Floats, Ints

Values = NDArray[np.float64]
Frame = tuple[float, float, float, float]


def gains(order: NDArray[np.int64], insertion: Floats, deletion: Floats, n: int) -> Values:
    """What each region changed when its turn came, the mean of both views. [n], signed, in units of the score.

        g[o_k] = ((I_k - I_(k-1)) + (D_(k-1) - D_k)) / 2

    0 for regions that were not ordered, NaN where a point was not measured. Along a full order they add up to what the
    full input scores above the empty one.
    """
    found = np.zeros(n)
    found[order] = (np.diff(insertion.astype(np.float64)) - np.diff(deletion.astype(np.float64))) / 2
    return found


def grouped(groups: Sequence[str], values: Values) -> dict[str, float]:
    """Values [n] added up by group [n].

    Raises:
        ValueError: there are no groups, or another number of values.
    """
    if not groups:
        raise ValueError("the regions have no groups: give players with some, such as pysmdl.regions.players(groups=)")
    if np.shape(values) != (len(groups),):
        raise ValueError(f"values must be [{len(groups)}], one a region; got {list(np.shape(values))}")
    found = dict.fromkeys(groups, 0.0)
    for group, value in zip(groups, np.nan_to_num(values).tolist(), strict=True):
        found[group] += value
    return found


def ranks(order: NDArray[np.int64], insertion: Floats, deletion: Floats, n: int) -> Floats:
    """The papers' value of each region, 0 to 1, from its place: see ``Explanation.saliency``. [n + 1], the last one 0
    for label -1.
    """
    s = insertion + 1 - deletion
    v = -np.nan_to_num(np.abs(np.diff(s.astype(np.float64)))).cumsum()
    found = np.zeros(n + 1, np.float32)
    span = v.max() - v.min() if len(v) else 0.0
    if span > 0:
        found[order] = (v - v.min()) / span
    return found


def spread(values: Values, labels: Ints, density: bool = True) -> Values:
    """A value a region to a value a point: [n] and labels [*grid] to [*grid]. What is unknown, and label -1, carry 0.

    Args:
        density: Divide a region's value by its points, so that the map adds up to the values.
    """
    each = np.append(np.nan_to_num(values), 0.0)  # the last serves label -1
    if density:
        each[:-1] /= np.maximum(np.bincount(labels[labels >= 0].ravel(), minlength=len(values)), 1)
    found: Values = each[labels]
    return found


def labels_at(labels: Ints, size: tuple[int, int], frame: Frame | None = None) -> Ints:
    """The label map [h, w] on an image of another size (height, width), by the nearest point; -1 outside its frame.

    Args:
        frame: Where the map lies in the image: x0, y0, x1, y1 as shares of its width and height; None: all of it.
    """
    x0, y0, x1, y1 = frame or (0.0, 0.0, 1.0, 1.0)
    rows, row_inside = _nearest(labels.shape[0], size[0], y0, y1)
    columns, column_inside = _nearest(labels.shape[1], size[1], x0, x1)
    found = labels[np.ix_(rows, columns)]
    if not (row_inside.all() and column_inside.all()):
        found = np.where(row_inside[:, None] & column_inside, found, -1)
    return found


def window(frame: Frame, size: Sequence[int]) -> tuple[slice, slice]:
    """Rows and columns of an image (height, width) that lie in a frame, as of :func:`labels_at`: whole pixels, and one
    at least, for a long narrow image may be a pixel wide.
    """
    x0, y0, x1, y1 = frame
    rows, columns = (_whole(*each) for each in ((y0, y1, size[0]), (x0, x1, size[1])))
    return rows, columns


def _whole(low: float, high: float, side: int) -> slice:
    start = min(round(low * side), side - 1)
    return slice(start, max(round(high * side), start + 1))


def _nearest(points: int, pixels: int, low: float, high: float) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """For each pixel of a side its point of the grid that lies from `low` to `high`, and whether it lies on it."""
    if (low, high) == (0.0, 1.0):
        return np.arange(pixels) * points // pixels, np.ones(pixels, bool)
    place = ((np.arange(pixels) + 0.5) / pixels - low) / (high - low)
    return np.clip((place * points).astype(np.intp), 0, points - 1), (place >= 0) & (place < 1)
