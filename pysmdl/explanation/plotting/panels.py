"""One panel each: the regions by their order, what each did, what is enough, the curves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.explanation.data import FLAT, ExplanationData, counted
from pysmdl.explanation.plotting import badges
from pysmdl.explanation.plotting.canvas import Canvas
from pysmdl.explanation.plotting.palette import GONE, KEPT, MARK, colours
from pysmdl.explanation.values import Values
from pysmdl.targets import outline

NUMBERED = 9  # regions that bear their number, at most
Axes = Any  # matplotlib's, which is imported late
SMALL = 9  # points of a title


def picture(axes: Axes, pixels: NDArray[Any], title: str) -> None:
    """An image and its title, no axes."""
    axes.imshow(pixels, interpolation="antialiased")
    axes.set_title(title, fontsize=SMALL, pad=4, parse_math=False)  # names of classes may hold any character
    axes.set_axis_off()


def order(axes: Axes, on: Canvas, count: int, title: str) -> None:
    """The image with all borders, and the first regions outlined and numbered."""
    shown = on.pixels.copy()
    shown[on.borders] = shown[on.borders] // 2 + 110
    picture(axes, on.faded(shown), title)
    numbers(axes, on, count)
    _marks(axes, on)


def numbers(axes: Axes, on: Canvas, count: int) -> None:
    """Outlines and numbers of the first regions."""
    from matplotlib.patheffects import withStroke

    points, places = [], []
    for place, region in enumerate(on.explanation.order[:count].tolist(), 1):
        spot = on.spot(region)
        if spot is None:
            continue
        inside = np.pad(on.inside(region), 1).astype(float)
        x, y = np.arange(-1, inside.shape[1] - 1), np.arange(-1, inside.shape[0] - 1)
        drawn = axes.contour(x, y, inside, [0.5], colors="white", linewidths=1.2)
        drawn.set_path_effects([withStroke(linewidth=2.6, foreground=badges.HALO)])
        points.append(spot)
        places.append(place)
    axes.set_xlim(-0.5, on.pixels.shape[1] - 0.5)
    axes.set_ylim(on.pixels.shape[0] - 0.5, -0.5)
    badges.draw(axes, np.array(points, float).reshape(-1, 2), places)


def importance(axes: Axes, on: Canvas, values: Values, title: str, unit: str, most: float | None = None) -> None:
    """The grey image tinted by what each region did, and a colour bar in that unit.

    Args:
        values: One a region; NaN counts as 0. [n].
        most: The value that has full colour; None: see :func:`scale`.
    """
    known = np.nan_to_num(values)
    points = on.of_each(known)
    tinted(axes, on, points, shades(on.explanation, known, points, most), title, unit)


def tinted(axes: Axes, on: Canvas, points: NDArray[Any], coloured: tuple[Any, Any], title: str, unit: str) -> None:
    """The grey image tinted by a value a pixel [h, w], in the scale and the colours of :func:`shades`; with a unit, a
    colour bar beside it.
    """
    norm, map_ = coloured
    tint = map_(norm(points))[:, :, :3]
    picture(axes, on.faded(np.clip(on.grey * tint, 0, 1)), title)
    _marks(axes, on)
    if unit:
        colour_bar(axes, norm, map_, unit)


def shades(
    explanation: ExplanationData, values: Values, points: Values | None = None, most: float | None = None
) -> tuple[Any, Any]:
    """The scale and the colours of values without NaN [n], as matplotlib's.

    Args:
        points: What regions are worth together where they lie. [*grid].
        most: The value that has full colour; None: see :func:`scale`.
    """
    from matplotlib.colors import Normalize

    if most is None:
        most = scale(explanation, values)
        if points is not None and explanation.covers is not None:  # where regions overlap there is more than any adds
            most = max(most, float(np.abs(points).max()))
    signed = bool(values.min(initial=0) < -0.02 * most)
    return Normalize(-most if signed else 0, most), colours(signed)


def colour_bar(axes: Axes, norm: Any, map_: Any, unit: str) -> None:
    """What the colours stand for, to the right of a picture's place, as high as the picture is."""
    from matplotlib.cm import ScalarMappable

    axes.apply_aspect()
    place, inch = axes.get_position(), 1 / axes.figure.get_size_inches()[0]
    beside = (axes.get_position(original=True).x1 + 0.08 * inch, place.y0, 0.12 * inch, place.height)
    bar = axes.inset_axes(beside, transform=axes.figure.transFigure)
    axes.figure.colorbar(ScalarMappable(norm, map_), cax=bar)
    bar.tick_params(labelsize=7.5, length=2)
    if place.height * axes.figure.get_size_inches()[1] > 0.08 * len(unit):  # else it would not fit
        bar.set_ylabel(unit, fontsize=8, parse_math=False)
    bar.spines[:].set_visible(False)


def scale(explanation: ExplanationData, values: Values) -> float:
    """The value that has full colour: the largest, but where the curves are flat no value that there is, so that
    nothing is stretched.
    """
    largest = float(np.abs(values).max(initial=0))
    scores = np.abs(np.nan_to_num(np.concatenate((explanation.insertion, explanation.deletion))))
    floor = max(FLAT * max(1.0, float(scores.max())), 10 * largest if explanation.flat else 0.0)
    return max(largest, floor)


def enough(axes: Axes, on: Canvas, count: int, title: str) -> None:
    """The image with all but the first regions darkened."""
    picture(axes, on.dimmed(on.first(count)), title)


def curves(axes: Axes, explanation: ExplanationData, best: int) -> None:
    """Insertion and deletion against the share of the area, the best subset marked."""
    area = explanation.area
    axes.plot(area, explanation.insertion, color=KEPT, label=f"insertion, AUC {explanation.insertion_auc:.3f}")
    axes.plot(
        area, explanation.deletion, color=GONE, linestyle=(0, (5, 1.5)),
        label=f"deletion, AUC {explanation.deletion_auc:.3f}",
    )  # fmt: skip
    axes.axvline(area[best], color=MARK, linewidth=0.8, linestyle=":")
    label = f"{counted(best, explanation.called)}, {explanation.insertion[best]:.3f}"
    axes.plot(area[best], explanation.insertion[best], "o", color=MARK, markersize=5, clip_on=False, label=label)
    dressed(axes, explanation, np.concatenate((explanation.insertion, explanation.deletion)))


def dressed(axes: Axes, explanation: ExplanationData, scores: NDArray[Any]) -> None:
    """Axes, labels and legend of curves of these scores."""
    axes.set_xlim(0, float(explanation.area[-1]) or 1)
    axes.set_ylim(*limits(scores))
    axes.set_xlabel(f"share of the {explanation.extent} kept or removed", fontsize=SMALL)
    axes.set_ylabel("score of the target", fontsize=SMALL)
    axes.tick_params(labelsize=SMALL)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(  # above: inside it would lie on a curve
        frameon=False, fontsize=8, ncols=2, columnspacing=1.2, loc="lower left", bbox_to_anchor=(0, 1),
        borderaxespad=0.2,
    )  # fmt: skip


def limits(scores: NDArray[Any]) -> tuple[float, float]:
    """Of an axis for scores: from 0, or below, to the highest; to 1 where that is near, or none is known."""
    known = scores[np.isfinite(scores)]
    low, high = min(0.0, float(known.min(initial=0))), float(known.max(initial=-np.inf))
    high = 1.0 if 0.6 < high <= 1 or not np.isfinite(high) else max(high, low + FLAT)
    margin = 0.02 * (high - low)
    return low - margin, high + margin


def _marks(axes: Axes, on: Canvas) -> None:
    """The box that is explained, where a box is; what the model sees of the image, where that is not all."""
    from matplotlib.patches import Rectangle

    corners = outline(on.explanation.target)
    if corners is not None:
        x0, y0, x1, y1 = on.scaled(corners)
        axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, color=GONE, linewidth=2))
    if on.framed is not None:
        x0, y0, x1, y1 = on.framed
        axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, color="white", linewidth=1, linestyle="--"))
