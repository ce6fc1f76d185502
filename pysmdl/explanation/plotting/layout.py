"""Where panels stand on a figure: strips of panels of one height, in inches, so that nothing lies on anything else."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pysmdl.explanation.letters import drawable, with_fonts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HIGH = 3.3  # inches of a panel
MARGIN = 0.12
LINE = 0.16  # of a line of a title
LETTERS = 14.5  # of a title, an inch


def letters(width: float) -> int:
    """How many stand on a line of a title over so many inches."""
    return max(12, round(width * LETTERS))


@dataclass(frozen=True)
class Panel:
    """One picture or plot.

    Attributes:
        width: In inches.
        title: Wrapped to its width.
        draw: Draws it, title included, on its axes.
        before, after, below, above: Room for what stands beside its axes, in inches: labels, a colour bar, a legend.
    """

    width: float
    title: str
    draw: Callable[[Any, str], None]
    before: float = 0.0
    after: float = 0.0
    below: float = 0.0
    above: float = 0.0

    @cached_property
    def wrapped(self) -> str:
        """The title, no line longer than the panel is wide."""
        most = letters(self.width)
        lines = drawable([self.title])[0].splitlines()
        return "\n".join(textwrap.fill(line, most, break_long_words=True) for line in lines)


@dataclass(frozen=True)
class Strip:
    """Panels beside each other, and a heading over them."""

    panels: Sequence[Panel]
    heading: str = ""
    height: float = HIGH

    @property
    def size(self) -> tuple[float, float]:
        """Width and height, margins included."""
        wide = sum(MARGIN + panel.before + panel.width + panel.after for panel in self.panels) + MARGIN
        return wide, self._bottom + self.height + self._top

    @property
    def _bottom(self) -> float:
        return MARGIN

    @property
    def _top(self) -> float:
        lines = (panel.above + LINE * len(panel.wrapped.splitlines()) for panel in self.panels)
        return MARGIN + max(lines, default=0.0) + (0.3 if self.heading else 0.0)

    def draw(self, figure: Figure, bottom: float) -> None:
        """On a figure, so many inches from its lower edge."""
        wide, high = figure.get_size_inches()
        left = MARGIN
        for panel in self.panels:
            left += panel.before
            low = bottom + self._bottom + panel.below
            place = (left / wide, low / high, panel.width / wide, (self.height - panel.below) / high)
            panel.draw(figure.add_axes(place), panel.wrapped)
            left += panel.width + panel.after + MARGIN
        if self.heading:
            top = (bottom + self.size[1] - MARGIN / 2) / high
            (words,) = drawable([self.heading])
            figure.text(MARGIN / wide, top, words, fontsize=10.5, fontweight="bold", va="top", parse_math=False)


def figure_of(strips: Sequence[Strip]) -> Figure:
    """The strips below each other."""
    from matplotlib.figure import Figure

    sizes = [strip.size for strip in strips]
    made = Figure(figsize=(max(wide for wide, _ in sizes), sum(high for _, high in sizes)))
    bottom = float(made.get_size_inches()[1])
    for strip, (_, high) in zip(strips, sizes, strict=True):
        bottom -= high
        strip.draw(made, bottom)
    with_fonts(made)
    return made
