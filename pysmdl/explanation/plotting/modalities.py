"""Pictures of what is no image: which panels stand where for a sound, a clip, a volume, a text, a table's row."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from pysmdl.explanation.plotting import bars, kinds, panels, signals
from pysmdl.explanation.plotting.canvas import canvas
from pysmdl.explanation.plotting.layout import HIGH, Panel, Strip
from pysmdl.explanation.plotting.named import Named
from pysmdl.explanation.text_sheets import is_text, sheet
from pysmdl.explanation.views import nearest

WIDE = 9.6  # inches of a signal
TALL = 2.1
TALLEST = 9.0
PIXEL = WIDE / 784  # of a text's sheet
PALER = 1.5  # colours under letters, which are to be read
FRAMES = 6
DRAWN = ("sound", "spectrogram", "clip", "volume")


def row(named: Named) -> list[Strip]:
    """What the players are and did, what is enough, the curves."""
    e = named.explanation
    curves = kinds.curves_panel(named)
    if is_text(e):
        return [*alone(named), Strip([bars_panel(named), curves], height=max(HIGH, bars.height(e)))]
    if e.shown is None or e.modality not in DRAWN:
        return [Strip([bars_panel(named), curves], named.why.replace("\n", " "), height=max(HIGH, bars.height(e)))]
    if e.modality in ("clip", "volume"):
        frames = [Strip(_frames(named, part), heading, height=1.6) for part, heading in enumerate(_headings(named))]
        words, unit = f"what each {signals.layer(e)}'s share of the {e.called} adds", named.importance[1]
        by_frame = Panel(4.6, words, partial(signals.moments, e, unit), before=0.65, after=0.1, below=0.42)
        return [*frames, Strip([by_frame, curves])]
    return [*alone(named), Strip([_signal(named, enough=True, wide=WIDE - 1.35 * HIGH - 0.8), curves], height=HIGH)]


def alone(named: Named) -> list[Strip]:
    """What the players did, on the input itself where it can be drawn."""
    e = named.explanation
    if is_text(e):
        pixels, labels = sheet(e)
        on = canvas(replace(e, pixels=pixels, labels=labels))
        words, unit = named.importance
        most = PALER * panels.scale(e, np.nan_to_num(e.values()))

        def draw(axes: panels.Axes, title: str) -> None:
            panels.importance(axes, on, e.values(), title, unit, most)

        high = min(TALLEST, PIXEL * len(pixels))
        panel = Panel(high * on.pixels.shape[1] / on.pixels.shape[0], words, draw, after=0.8)
        return [Strip([panel], named.why.replace("\n", " "), height=high)]
    if e.shown is None or e.modality not in DRAWN:
        return bars_alone(named)
    if e.modality in ("clip", "volume"):
        return [Strip(_frames(named, 0), _headings(named)[0], height=1.6)]
    return [Strip([_signal(named)], named.why.replace("\n", " "), height=TALL if e.modality == "sound" else HIGH)]


def bars_alone(named: Named) -> list[Strip]:
    """A bar for each of the players that did most, by name."""
    return [Strip([bars_panel(named)], named.why.replace("\n", " "), height=bars.height(named.explanation))]


def bars_panel(named: Named) -> Panel:
    """Those bars."""
    words, unit = named.importance
    draw = partial(bars.bars, named.explanation, unit)
    return Panel(4.6, words, draw, before=bars.room(named.explanation), after=0.5, below=0.42)


def _signal(named: Named, *, enough: bool = False, wide: float = WIDE) -> Panel:
    e = named.explanation
    drawn = signals.waveform if e.modality == "sound" else signals.spectrogram
    words, unit = named.importance
    shown = partial(drawn, e, None if enough else unit, named.best if enough else named.numbered)
    return Panel(wide, named.enough if enough else words, shown, 0.5, 0.1 if enough else 0.8, below=0.42)


def _headings(named: Named) -> tuple[str, str]:
    return named.why.replace("\n", " ") + f": {named.importance[0]}", named.enough.replace("\n", " ")


def _frames(named: Named, part: int) -> list[Panel]:
    """Some frames of a clip, or slices of a volume, tinted by what each player did, or all but the first darkened."""
    e = named.explanation
    assert e.shown is not None
    chosen = nearest(len(e.shown), min(len(e.shown), FRAMES)).tolist()
    wide = 1.6 * float(np.clip(e.shown.shape[2] / e.shown.shape[1], 0.5, 2.0))
    found = []
    for place, frame in enumerate(chosen):
        last = place == len(chosen) - 1 and part == 0
        count = named.best if part else None
        draw = partial(signals.frame, e, frame, count, named.importance[1] if last else "")
        number = frame * e.labels.shape[0] // len(e.shown)
        found.append(Panel(wide, f"{signals.layer(e)} {number}", draw, after=0.8 if last else 0.0))
    return found
