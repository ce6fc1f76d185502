"""A waveform, a spectrogram, a clip's frames, a volume's slices: coloured by what players did, or what is enough."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.explanation.data import ExplanationData
from pysmdl.explanation.plotting import badges
from pysmdl.explanation.plotting.palette import KEPT, MARK
from pysmdl.explanation.plotting.panels import SMALL, colour_bar, picture, shades
from pysmdl.explanation.values import Values
from pysmdl.explanation.views import T, envelope, kept_points, labels_on, layers_of, parts_of_covers
from pysmdl.types import Bools, Ints

COLUMNS = 1200  # of a waveform
THIN = 0.015  # of its height, what silence is drawn as
PALE = "#d4d4d4"


def waveform(explanation: ExplanationData, unit: str | None, count: int, axes: Any, title: str) -> None:
    """The waveform over the colours of what each segment did, the first `count` numbered; or, without a unit, those
    first ones alone in blue, all else pale.
    """
    e = explanation
    assert e.shown is not None
    low, high = envelope(e.shown, COLUMNS)
    labels = along(e.labels if e.covers is None else parts_of_covers(e.covers)[0], len(low))
    seconds = e.labels.shape[-1] / (e.rate or 1.0)
    at = (np.arange(len(low)) + 0.5) * seconds / len(low)
    top = float(max(np.abs(low).max(), np.abs(high).max())) or 1.0
    if unit is None:
        kept = along(kept_points(e, e.order[:count]), len(low))
        axes.vlines(at[~kept], low[~kept], high[~kept] + THIN * top, color=PALE, linewidth=0.9)
        axes.vlines(at[kept], low[kept], high[kept] + THIN * top, color=KEPT, linewidth=0.9)
    else:
        points, (norm, map_) = worth(e)
        values = along(points, len(low))
        for player, start, stop in runs(labels):
            colour = map_(norm(values[start])) if player >= 0 else "white"
            axes.axvspan(start * seconds / len(low), stop * seconds / len(low), color=colour, linewidth=0)
        axes.vlines(at, low, high + THIN * top, color="#3a3a3a", linewidth=0.75)
        colour_bar(axes, norm, map_, unit)
    axes.set_xlim(0, seconds)
    axes.set_ylim(-1.08 * top, 1.3 * top if unit is not None else 1.08 * top)
    if unit is not None:
        inside = {place: along(where(e, player), len(low)) for place, player in enumerate(e.order[:count].tolist(), 1)}
        middles = {place: (at[points].mean(), 1.12 * top) for place, points in inside.items() if points.any()}
        badges.draw(axes, np.array([*middles.values()]), [*middles], on_line=True)
    axes.set_yticks([])
    dressed(axes, e, title)
    axes.spines["left"].set_visible(False)


def spectrogram(explanation: ExplanationData, unit: str | None, count: int, axes: Any, title: str) -> None:
    """The spectrogram, dark where it is loud, tinted by what each band did; or all but the first ones faded."""
    e = explanation
    assert e.shown is not None
    low, high = np.percentile(e.shown, (2, 99.5))
    loud = np.clip((e.shown - low) / ((high - low) or 1.0), 0, 1)
    grey = (1 - 0.8 * loud)[:, :, None]
    seconds = e.labels.shape[1] / (e.rate or 1.0)
    place = {"origin": "lower", "aspect": "auto", "extent": (0, seconds, 0, e.labels.shape[0])}
    if unit is None:
        kept = labels_on(kept_points(e, e.order[:count]), e.shown.shape)
        axes.imshow(np.where(kept[:, :, None], grey, 0.9 + 0.1 * grey).repeat(3, 2), **place)
    else:
        points, (norm, map_) = worth(e)
        tint = map_(norm(labels_on(points, e.shown.shape)))[:, :, :3]
        axes.imshow(np.clip(grey * tint, 0, 1), **place)
        middles = {}
        for number, player in enumerate(e.order[:count].tolist(), 1):
            rows, columns = np.nonzero(where(e, player))
            if not len(rows):  # of another input
                continue
            outline(axes, e, columns.min(), columns.max() + 1, rows.min(), rows.max() + 1)
            middles[number] = (columns.mean() + 0.5) / (e.rate or 1.0), rows.mean() + 0.5
        badges.draw(axes, np.array([*middles.values()]), [*middles])
        colour_bar(axes, norm, map_, unit)
    axes.set_ylabel("frequency bin", fontsize=SMALL)
    dressed(axes, e, title)


def frame(explanation: ExplanationData, number: int, count: int | None, unit: str, axes: Any, title: str) -> None:
    """One frame of a clip, or slice of a volume, tinted by what each player did; or, with a count, all but the first
    darkened.
    """
    e = explanation
    assert e.shown is not None
    pixels = layers_of(e.shown)[number]
    if count is not None:
        kept = labels_on(kept_points(e, e.order[:count]), e.shown.shape[:3])[number]
        picture(axes, np.where(kept[:, :, None], pixels, pixels // 5), title)
        return
    points, (norm, map_) = worth(e)
    light = 0.45 + 0.55 * (pixels @ np.array([0.2126, 0.7152, 0.0722]) / 255)
    tint = map_(norm(labels_on(points, e.shown.shape[:3])[number]))[:, :, :3]
    picture(axes, np.clip(light[:, :, None] * tint, 0, 1), title)
    if unit:
        colour_bar(axes, norm, map_, unit)


def where(explanation: ExplanationData, player: int) -> Bools:
    """The points of a player. [*grid]."""
    e = explanation
    found: Bools = e.labels == player if e.covers is None else e.covers[player]
    return found


def worth(explanation: ExplanationData) -> tuple[Values, tuple[Any, Any]]:
    """What the players of each point did together [*grid], and the scale and colours for it."""
    points = explanation.value_map(density=False)
    return points, shades(explanation, np.nan_to_num(explanation.values()), points)


def along(points: NDArray[T], count: int) -> NDArray[T]:
    """What is known of each point in time, which is the last axis, at so many places. [count]."""
    return labels_on(points.reshape(-1, points.shape[-1])[0], (count,))


def layer(explanation: ExplanationData) -> str:
    """What one picture of several is called."""
    return "slice" if explanation.modality == "volume" else "frame"


def runs(labels: Ints) -> list[tuple[int, int, int]]:
    """Spans of one player: its label, where it begins, where it ends."""
    ends = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    return [(int(labels[start]), start, stop) for start, stop in pairwise(ends)]


def outline(axes: Any, e: ExplanationData, left: int, right: int, low: int, high: int) -> None:
    """Around a band."""
    from matplotlib.patches import Rectangle

    rate = e.rate or 1.0
    place = (left / rate, low), (right - left) / rate, high - low
    axes.add_patch(Rectangle(*place, fill=False, edgecolor="white", linewidth=2.4))
    axes.add_patch(Rectangle(*place, fill=False, edgecolor=badges.HALO, linewidth=1))


def dressed(axes: Any, e: ExplanationData, title: str) -> None:
    """Axes of a signal."""
    axes.set_xlabel(
        "seconds" if e.rate else "frame" if e.modality == "spectrogram" else "point", fontsize=SMALL, color=MARK
    )
    axes.tick_params(labelsize=7.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, fontsize=SMALL, pad=4, parse_math=False)


def moments(explanation: ExplanationData, unit: str, axes: Any, title: str) -> None:
    """What the parts of the tubes that lie in each frame add, one bar a frame."""
    e = explanation
    sums = e.value_map().reshape(e.labels.shape[0], -1).sum(1)
    norm, map_ = shades(e, sums, most=float(np.abs(sums).max()) or 1.0)
    axes.bar(np.arange(len(sums)), sums, color=map_(norm(sums)), width=0.8, edgecolor=PALE, linewidth=0.6)
    axes.axhline(0, color=MARK, linewidth=0.8)
    axes.set_ylabel(unit, fontsize=SMALL)
    dressed(axes, e, title)
    axes.set_xlabel(layer(e), fontsize=SMALL, color=MARK)
