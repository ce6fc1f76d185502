"""Places in the order as numbers on a picture: none lies on another, and a line leads from one that had to move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pysmdl.explanation.values import Values

ACROSS = 0.205  # inches of a number's circle
NARROW = 1.0  # inches of a picture's shorter side, below which crowded numbers stand beside it
ROUNDS = 200
HALO = "#101010"


def draw(axes: Any, points: Values, numbers: Sequence[int], *, on_line: bool = False) -> None:
    """Numbers at points x, y in the axes' own units [k, 2], once its limits and its place are settled.

    Args:
        on_line: Crowded ones move to the left and to the right alone.
    """
    from matplotlib.patheffects import withStroke

    if not len(points):
        return
    axes.set_autoscale_on(False)
    axes.apply_aspect()
    place, inches = axes.get_position(), axes.figure.get_size_inches()
    size = np.array([place.width, place.height]) * inches
    low = np.array([axes.get_xlim()[0], axes.get_ylim()[0]])
    unit = size / (np.array([axes.get_xlim()[1], axes.get_ylim()[1]]) - low)
    wanted = (points - low) * unit
    found = row(wanted, size, 0) if on_line else placed(wanted, size)
    for here, there, number in zip(wanted / unit + low, found / unit + low, numbers, strict=True):
        if np.hypot(*((there - here) * unit)) > ACROSS / 2:
            (line,) = axes.plot(*zip(here, there, strict=True), color="white", linewidth=0.9, clip_on=False, zorder=3)
            line.set_path_effects([withStroke(linewidth=2.2, foreground=HALO)])
        axes.text(
            *there, str(number), color="white", fontsize=8, fontweight="bold", ha="center", va="center", zorder=4,
            bbox={"boxstyle": "circle,pad=0.25", "facecolor": HALO, "edgecolor": "white", "linewidth": 0.8},
        )  # fmt: skip


def placed(points: Values, size: Values) -> Values:
    """Where numbers that belong to points of a picture stand; all [k, 2] and [2] in inches from its corner.

    Where none would lie on another, on their points. On a narrow picture, in a row along its longer side, beside it.
    Elsewhere they push each other away.
    """
    if _apart(points).min(initial=np.inf) >= ACROSS:
        return points
    if size.min() >= NARROW:
        return pushed(points)
    along = int(size[1] > size[0])
    found = row(points, size, along)
    found[:, 1 - along] = -0.6 * ACROSS if along == 0 else size[0] + 0.8 * ACROSS
    return found


def row(points: Values, size: Values, along: int) -> Values:
    """Points moved along one axis, as little as keeps neighbours a circle apart, within the picture if they fit."""
    order = np.argsort(points[:, along], kind="stable")
    steps = ACROSS * np.arange(len(order))
    blocks: list[tuple[float, int]] = []  # means that grow, and of how many: the closest row that never falls
    for wanted in points[order, along] - steps:
        mean, count = float(wanted), 1
        while blocks and blocks[-1][0] > mean:
            before, several = blocks.pop()
            mean, count = (mean * count + before * several) / (count + several), count + several
        blocks.append((mean, count))
    level = np.repeat([mean for mean, _ in blocks], [count for _, count in blocks])
    found: Values = points.copy()
    found[order, along] = np.clip(level, 0, max(size[along] - steps[-1], 0)) + steps
    return found


def pushed(points: Values) -> Values:
    """Points of which those that are too close have moved away from each other."""
    turn = 2 * np.pi * np.arange(len(points)) / len(points)
    found: Values = points + 1e-3 * np.stack((np.cos(turn), np.sin(turn)), 1)  # no two in one place
    for _ in range(ROUNDS):
        far = _apart(found)
        if far.min() >= ACROSS:
            break
        push = np.maximum(1.05 * ACROSS - far, 0) / (2 * far)
        found += ((found[:, None] - found) * push[..., None]).sum(1)
    return found


def _apart(points: Values) -> Values:
    """How far each is from each other, infinitely from itself. [k, k]."""
    far: Values = np.hypot(*np.moveaxis(points[:, None] - points, 2, 0))
    np.fill_diagonal(far, np.inf)
    return far
