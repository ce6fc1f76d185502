"""Bars: players by name, those that did most above, the rest together."""

from __future__ import annotations

from typing import Any

import numpy as np

from pysmdl.explanation.data import ExplanationData
from pysmdl.explanation.letters import drawable
from pysmdl.explanation.plotting.palette import MARK
from pysmdl.explanation.plotting.panels import SMALL, shades
from pysmdl.explanation.sheets import label

MOST = 14
LETTERS = 34
ROW, THICKEST = 0.235, 0.4  # inches of a bar with what is between, at least and at most


def height(explanation: ExplanationData) -> float:
    """Of the panel, in inches."""
    return 0.6 + ROW * len(_rows(explanation))


def room(explanation: ExplanationData) -> float:
    """For the names, left of the bars, in inches."""
    return 0.25 + 0.075 * max(len(label) for label, _ in _rows(explanation))


def bars(explanation: ExplanationData, unit: str, axes: Any, title: str) -> None:
    """Draws them."""
    rows = _rows(explanation)
    values = np.array([value for _, value in rows])
    norm, map_ = shades(explanation, np.append(np.nan_to_num(explanation.values()), values))
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    places = np.arange(len(rows))[::-1]
    strong = np.abs(np.where(values == 0, 0, values))
    colours = map_(norm(np.sign(values) * np.maximum(strong, 0.45 * norm.vmax)))  # no bar is too pale to be seen
    axes.barh(places, values, color=colours, height=0.72)
    span = (high - low) or 1.0
    for place, value in zip(places, values, strict=True):
        left = value < 0
        axes.annotate(
            _signed(value), (value, place), (-3 if left else 3, 0), textcoords="offset points", fontsize=7.5,
            ha="right" if left else "left", va="center", color=MARK,
        )  # fmt: skip
    axes.axvline(0, color=MARK, linewidth=0.8)
    axes.set_xlim(low - 0.14 * span * (low < 0), high + 0.14 * span)
    thick = axes.get_position().height * axes.figure.get_size_inches()[1] / THICKEST
    axes.set_ylim(len(rows) - 0.4 - max(len(rows) + 0.2, thick), len(rows) - 0.4)  # few bars stand above
    axes.set_yticks(places, drawable([label for label, _ in rows]), fontsize=8, parse_math=False)
    axes.set_xlabel(unit, fontsize=SMALL)
    axes.tick_params(axis="x", labelsize=7.5)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_title(title, fontsize=SMALL, pad=4, parse_math=False)


def _signed(value: float) -> str:
    """With its sign, as the axis writes it; nothing of what is nothing."""
    return f"{value:+.3g}".replace("-", "−") if value else "0"


def _rows(explanation: ExplanationData) -> list[tuple[str, float]]:
    """A label and a value for each bar, from above."""
    e = explanation
    values = np.nan_to_num(e.values())
    order = np.argsort(-np.abs(values), kind="stable")
    if e.covers is None:  # of several inputs those of one
        order = order[np.isin(order, e.labels)]
    most = len(order) if len(order) <= MOST + 1 else MOST
    found = [(label(e, int(player), LETTERS), float(values[player])) for player in order[:most]]
    if most < len(order):
        found.append((f"{len(order) - most} others", float(values[order[most:]].sum())))
    return found
