"""The kinds of pictures: which panels stand where, and what is written above them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from pysmdl.explanation.plotting import badges, panels
from pysmdl.explanation.plotting.canvas import Canvas
from pysmdl.explanation.plotting.layout import HIGH, Panel, Strip, letters
from pysmdl.explanation.plotting.named import Named
from pysmdl.explanation.plotting.palette import GONE, KEPT, OTHER
from pysmdl.explanation.values import Values, gains

BIG = 1.5  # times the height, where a picture stands alone
SMALL = 1.9  # inches of a view, and
STEPS = 6  # columns of the picture of steps
LONG = 2.5  # times as wide as high, or more: pictures stand below each other


def row(named: Named, on: Canvas) -> list[Strip]:
    """The order, what each region did, what is enough, the curves; of a long image below each other."""
    curves = curves_panel(named, "")
    if _shape(on) >= LONG:
        high = BIG * HIGH
        pictures = order_panel(named, on, high=high), map_panel(named, on, high=high, numbers=0)
        low = [Strip([each], height=_low(_shape(on), high)) for each in (*pictures, enough_panel(named, on, high=high))]
        return [*low, Strip([curves])]
    return [Strip([order_panel(named, on), map_panel(named, on, numbers=0), enough_panel(named, on), curves])]


def alone(make: Callable[..., Panel], named: Named, on: Canvas) -> list[Strip]:
    """One panel, larger."""
    return [Strip([make(named, on, high=BIG * HIGH)], height=_low(_shape(on), BIG * HIGH))]


def order_panel(named: Named, on: Canvas, *, high: float = HIGH, word: str = "") -> Panel:
    """The image, its regions, the first ones numbered."""
    return Panel(_wide(_shape(on), high), _lines(word, named.why), partial(_order, on, named.numbered))


def map_panel(
    named: Named,
    on: Canvas,
    *,
    high: float = HIGH,
    word: str = "",
    numbers: int | None = None,
    most: float | None = None,
) -> Panel:
    """What each region did."""
    words, unit = named.importance
    shown = named.numbered if numbers is None else numbers
    title = _lines(word, named.why, words) if shown or word else words
    draw = partial(_map, on, named.explanation.values(), unit, shown, most)
    return Panel(_wide(_shape(on), high), title, draw, after=0.8)


def fused_panel(named: Named, on: Canvas, points: Values, word: str) -> Panel:
    """A map of the image [h, w], such as that of several partitions."""
    points = points / (np.abs(points).max(initial=0) or 1.0)
    coloured = panels.shades(named.explanation, points.ravel(), most=1.0)

    def draw(axes: panels.Axes, title: str) -> None:
        panels.tinted(axes, on, points, coloured, title, "share of the highest")

    return Panel(_wide(_shape(on), HIGH), word, draw, after=0.8)


def enough_panel(named: Named, on: Canvas, *, high: float = HIGH) -> Panel:
    """The fewest regions that are enough."""
    return Panel(_wide(_seen(on), high), named.enough, lambda axes, title: panels.enough(axes, on, named.best, title))


def curves_panel(named: Named, word: str = "", limits: tuple[float, float] | None = None) -> Panel:
    """Insertion and deletion."""

    def draw(axes: panels.Axes, title: str) -> None:
        panels.curves(axes, named.explanation, named.best)
        if limits is not None:
            axes.set_ylim(*limits)
        axes.set_title(title, fontsize=panels.SMALL, pad=32, parse_math=False)  # above the legend

    return Panel(1.35 * HIGH, word, draw, before=0.6, after=0.08, below=0.42, above=0.4)


def steps(named: Named, on: Canvas) -> list[Strip]:
    """The views kept, and below them the views removed, from the first region to more than is enough."""
    e, k = named.explanation, len(named.explanation.order)
    last = min(k, max(STEPS, round(1.5 * named.best)))
    chosen = np.unique(np.append(0, np.geomspace(1, max(last, 1), STEPS - 1).round().astype(int)))
    chosen = chosen[chosen <= k]

    def panel(count: int, part: int) -> Panel:
        first, always = on.first(count), on.labels < 0
        shown, word, curve = ((first, "kept", e.insertion), (~first | always, "removed", e.deletion))[part]
        says = "" if e.predicted is None else named.title(int(e.predicted[part, count]))
        title = _lines(f"{count} {word}: {float(curve[count]):.2f}", _cut(says, 2 * letters(_wide(_seen(on), SMALL))))
        return Panel(_wide(_seen(on), SMALL), title, lambda axes, title: panels.picture(axes, on.dimmed(shown), title))

    heading, high = named.why.replace("\n", " "), _low(_seen(on), SMALL)
    return [
        Strip([panel(int(count), part) for count in chosen], "" if part else heading, height=high) for part in (0, 1)
    ]


def mistake(named: Named, on: Canvas) -> list[Strip]:
    """What speaks for the target, and what for the class that was traced along: each region's gain for the one less its
    gain for the other (after LiMA's figures of mistakes); and both classes' curves.

    Raises:
        ValueError: no other class was traced.
    """
    e = named.explanation
    other = next((index for index in e.traced if index != e.target), None)
    if other is None:
        raise ValueError('kind="mistake" needs another class: explain with trace="predicted", or a class that it names')
    theirs_kept, theirs_removed = e.traced[other]
    mine, theirs = named.title(e.target), named.title(other)
    apart = gains(e.order, e.insertion - theirs_kept, e.deletion - theirs_removed, e.n)
    draw = partial(_map, on, apart, "change of the scores' difference", 0, None)

    def curves(axes: panels.Axes, title: str) -> None:
        dash = (0, (5, 1.5))
        axes.plot(e.area, e.insertion, color=KEPT, label=f"{mine}, kept")
        axes.plot(e.area, e.deletion, color=GONE, linestyle=dash, label=f"{mine}, removed")
        axes.plot(e.area, e.traced[other][0], color=OTHER, label=f"{theirs}, kept")
        axes.plot(e.area, e.traced[other][1], color=OTHER, linestyle=(0, (1, 1)), label=f"{theirs}, removed")
        panels.dressed(axes, e, np.concatenate((e.insertion, e.deletion, *e.traced[other])))
        axes.set_ylabel("score", fontsize=panels.SMALL)

    shown = Panel(_wide(_shape(on), HIGH), f"orange: for {mine}\nblue: for {theirs}", draw, after=0.8)
    return [
        Strip([order_panel(named, on), shown, Panel(1.5 * HIGH, "", curves, 0.6, 0.08, below=0.42, above=0.4)]),
    ]


def _order(on: Canvas, count: int, axes: panels.Axes, title: str) -> None:
    panels.order(axes, on, count, title)


def _map(on: Canvas, values: Values, unit: str, count: int, most: float | None, axes: panels.Axes, title: str) -> None:
    panels.importance(axes, on, values, title, unit, most)
    if count:
        panels.numbers(axes, on, count)


def _shape(on: Canvas) -> float:
    """How many times as wide as high."""
    return float(on.pixels.shape[1] / on.pixels.shape[0])


def _seen(on: Canvas) -> float:
    """Likewise what the model sees of it."""
    x0, y0, x1, y1 = on.framed or (0, 0, on.pixels.shape[1], on.pixels.shape[0])
    return (x1 - x0) / (y1 - y0)


def _wide(shape: float, high: float) -> float:
    """Inches of a picture's place; beyond these shapes it is smaller than its place."""
    return high * float(np.clip(shape, 0.6, 2.0))


def _low(shape: float, high: float) -> float:
    """Inches of a strip of such pictures: no higher than they are, with room for numbers below narrow ones."""
    low = _wide(shape, high) / shape
    return min(high, low + (0.5 if low < badges.NARROW else 0.0))


def _cut(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1].rstrip()}…"


def _lines(*parts: str) -> str:
    return "\n".join(filter(None, parts))
