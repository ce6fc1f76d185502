"""Pictures of several inputs at once: each in its own form, the colours and the places in the order those of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from pysmdl.explanation.data import ExplanationData
from pysmdl.explanation.parts import part
from pysmdl.explanation.plotting import bars, kinds, modalities, panels
from pysmdl.explanation.plotting.canvas import Canvas, canvas
from pysmdl.explanation.plotting.layout import HIGH, Panel, Strip
from pysmdl.explanation.plotting.named import Named
from pysmdl.explanation.text_sheets import is_text, sheet
from pysmdl.explanation.values import grouped

TEXT, NARROW = 4.4, 420  # of a text beside an image: inches, and pixels of its sheet


def row(named: Named) -> list[Strip]:
    """The inputs, what of the images is enough, each player by name, the curves."""
    e = named.explanation
    placed = Named(_placed(e), named.names)
    last = Strip([modalities.bars_panel(placed), kinds.curves_panel(named)], height=max(HIGH, bars.height(e)))
    if not any(_drawn(part(e, name)) for name in e.inputs):
        return [last]
    return [*alone(named, enough=True), last]


def alone(named: Named, enough: bool = False) -> list[Strip]:
    """The inputs: images and short texts beside each other, then one below the other; what no picture is made of as
    bars, if it is not all of them.
    """
    e = named.explanation
    parts = {name: Named(part(e, name), named.names) for name in e.inputs}
    if not any(_drawn(each.explanation) for each in parts.values()):
        return modalities.bars_alone(named)
    beside: list[tuple[Panel, float]] = []
    below: list[Strip] = []
    for name, each in parts.items():
        title = f"{name}: {each.importance[0]}{_sum(named, name)}"
        if each.explanation.pictured:
            beside += ((panel, HIGH) for panel in _image(each, title, enough))
        elif is_text(each.explanation) and (panel := _text(each, title)) is not None:
            beside.append(panel)
        else:
            below += [_titled(strip, title) for strip in modalities.alone(each)]
    strips = [*_lines(beside), *below]
    return [replace(strips[0], heading=_heading(named)), *strips[1:]]


def _drawn(e: ExplanationData) -> bool:
    """Whether there is more to draw on than names."""
    return e.pixels is not None or is_text(e) or (e.shown is not None and e.modality in modalities.DRAWN)


def _placed(e: ExplanationData) -> ExplanationData:
    """With regions that have no names called by their places, as they are on the images."""
    places = {player: place for place, player in enumerate(e.order.tolist(), 1)}
    names = tuple(
        f"{group}: number {places[player]}"
        if player in places and name.removeprefix(f"{group}: ").isdecimal()
        else name
        for player, (name, group) in enumerate(zip(e.players, e.groups, strict=True))
    )
    return replace(e, players=names)


def _heading(named: Named) -> str:
    return f"{named.why}\n{named.enough}".replace(":\n", ": ").replace("\n", "; ")


def _sum(named: Named, name: str) -> str:
    """What all players of an input did together."""
    e = named.explanation
    if name not in e.groups:
        return ", always shown"
    return "" if e.flat else f", {grouped(e.groups, e.values())[name]:+.2f} in all"


def _image(named: Named, title: str, enough: bool) -> Iterator[Panel]:
    """The map, and what is kept of the image by those that are enough."""
    on = canvas(named.explanation)
    yield replace(kinds.map_panel(named, on, numbers=named.numbered), title=title)
    if enough and (named.explanation.labels >= 0).any():
        yield replace(kinds.enough_panel(named, on), title=_kept(named))


def _kept(named: Named) -> str:
    e = named.explanation
    if e.flat:
        return "nothing decides"
    own = int(np.isin(e.order[: named.best], e.labels).sum())
    return f"of the {named.best} that are enough, {own} in it" if own else "none of it is needed"


def _text(named: Named, title: str) -> tuple[Panel, float] | None:
    """A text that goes beside an image, and how high it is; None of a longer one."""
    pixels, labels = sheet(named.explanation, NARROW)
    on = canvas(replace(named.explanation, pixels=pixels, labels=labels))
    if on.pixels.shape[0] / on.pixels.shape[1] > HIGH / TEXT:
        return None
    e = named.explanation
    most = modalities.PALER * panels.scale(e, np.nan_to_num(e.values()))
    draw = partial(_coloured, on, named.importance[1], most)
    return Panel(TEXT, title, draw), TEXT * on.pixels.shape[0] / on.pixels.shape[1]


def _coloured(on: Canvas, unit: str, most: float, axes: panels.Axes, title: str) -> None:
    panels.importance(axes, on, on.explanation.values(), title, "", most)
    axes.set_anchor("N")


def _titled(strip: Strip, title: str) -> Strip:
    """Under the name of its input, in the place of what is explained."""
    if len(strip.panels) == 1:
        return replace(strip, panels=[replace(strip.panels[0], title=title)], heading="")
    return replace(strip, heading=title)


def _lines(beside: Sequence[tuple[Panel, float]], wide: float = 14.0) -> Iterator[Strip]:
    """Panels, each with its height, beside each other, as many as fit into so many inches."""
    line: list[tuple[Panel, float]] = []
    for panel, high in beside:
        if line and sum(each.width + each.after for each, _ in line) + panel.width + panel.after > wide:
            yield _line(line)
            line = []
        line.append((panel, high))
    if line:
        yield _line(line)


def _line(panels: Sequence[tuple[Panel, float]]) -> Strip:
    return Strip([panel for panel, _ in panels], height=max(high for _, high in panels))
