"""Names beside a plot: one below another however close the points lie, each with a line to its own."""

from __future__ import annotations

from typing import Any

LINE = 0.055  # of a plot's height, that a name takes


def label(ax: Any, points: list[tuple[str, float, float, str]]) -> None:
    """Write the names of points, (name, x, y, colour) each, at the right of a plot whose scales are set."""
    ax.autoscale_view()
    to_axes = ax.transData + ax.transAxes.inverted()
    heights = {name: to_axes.transform((x, y))[1] for name, x, y, _ in points}
    at = apart(heights)
    for name, x, y, colour in points:
        line = {
            "arrowstyle": "-", "color": colour, "linewidth": 0.5, "alpha": 0.4,
            "relpos": (0, 0.5), "shrinkA": 0, "shrinkB": 2,
        }  # fmt: skip
        ax.annotate(
            name, (x, y), xytext=(1.05, at[name]), textcoords="axes fraction", fontsize=7, color=colour, va="center",
            arrowprops=line,
        )  # fmt: skip


def apart(heights: dict[str, float]) -> dict[str, float]:
    """The heights of names near those of their points, a line apart and above the plot's foot."""
    names = sorted(heights, key=heights.__getitem__, reverse=True)
    at: list[float] = []
    for name in names:
        at.append(min(heights[name], at[-1] - LINE) if at else heights[name])
    foot = 0.0
    for i in reversed(range(len(at))):
        at[i] = max(at[i], foot)
        foot = at[i] + LINE
    return dict(zip(names, at, strict=True))
