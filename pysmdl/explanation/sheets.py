"""An input that is no image as a sheet with a region at each point: what the page shows, and pictures are drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pysmdl.checks import legible
from pysmdl.explanation.data import ExplanationData
from pysmdl.explanation.parts import part
from pysmdl.explanation.text_sheets import is_text, sheet
from pysmdl.explanation.values import labels_at
from pysmdl.explanation.views import envelope, labels_on, layers_of, nearest, parts_of_covers
from pysmdl.inputs.image_files import Pixels
from pysmdl.types import Bools, Ints

E = TypeVar("E", bound=ExplanationData)

WIDE, HIGH = 900, 240  # of a waveform, in pixels
LINE, LETTERS = 22, 60  # of a list of players: pixels a line, letters of a name
LINES = 40
FRONT = 26  # before a name, for a number
LEAST = 120  # pixels of a frame, about
IMAGE, NARROW = 300, 260  # of several: an image's height, a text's width
TITLE, GAP = 22, 8  # their names, and what is between
INK, PAPER = 50, 250


def with_sheet(explanation: E) -> E:
    """The explanation as if it were of an image: the sheet and its labels. As it is where it is of one, or has
    more than 40 players without anything to look at.
    """
    if explanation.modality == "image":
        return explanation
    if explanation.covers is not None and explanation.shown is not None:
        return _with_covers(explanation, explanation.covers)
    found = _sheet(explanation)
    if found is None:
        return explanation
    pixels, labels = found
    players = explanation.players or tuple(map(str, range(explanation.n)))  # one may have no point of the sheet
    return replace(explanation, pixels=pixels, labels=labels, covers=None, size=None, frame=None, players=players)


def cornered(explanation: ExplanationData) -> bool:
    """Whether numbers stand at the corners of a sheet's regions, above what is written; else in front of it."""
    return explanation.modality == "text" or bool(explanation.inputs)


def _with_covers(explanation: E, covers: Bools) -> E:
    """Likewise where regions overlap, which they do on the sheet too."""
    parts, members = parts_of_covers(covers)
    found = _sheet(replace(explanation, labels=parts, covers=None))
    if found is None:
        return explanation
    pixels, labels = found
    above = members[:, labels] & (labels >= 0)
    sizes = covers.reshape(len(covers), -1).sum(1)[:, None, None]
    smallest = np.where(above.any(0), np.where(above, sizes, sizes.max() + 1).argmin(0), -1).astype(np.int32)
    return replace(explanation, pixels=pixels, labels=smallest, covers=above, size=None, frame=None)


def _sheet(e: ExplanationData) -> tuple[Pixels, Ints] | None:
    if e.inputs:
        return _together(e)
    if e.shown is not None and e.modality == "sound":
        return _waveform(e.shown, e.labels.reshape(-1, e.labels.shape[-1])[0])
    if e.shown is not None and e.modality == "spectrogram":
        return _spectrogram(e.shown, e.labels)
    if e.shown is not None and e.modality in ("clip", "volume"):
        return _contacts(layers_of(e.shown), e.labels)
    if is_text(e):
        return sheet(e)
    players = range(e.n) if e.covers is not None else np.unique(e.labels[e.labels >= 0]).tolist()
    return _listed(e, players) if len(players) <= LINES else None


def _together(e: ExplanationData) -> tuple[Pixels, Ints] | None:
    """Several inputs, each under its name: images and short texts beside each other, all else below."""
    beside: list[tuple[Pixels, Ints]] = []
    below: list[tuple[Pixels, Ints]] = []
    for name in e.inputs:
        own = part(e, name)
        found = _image(own) if own.pictured else _twice(*sheet(own, NARROW)) if is_text(own) else _sheet(own)
        if found is not None:
            (beside if own.pictured or (is_text(own) and len(found[1]) <= IMAGE) else below).append(
                _titled(name, *found)
            )
    rows = [_joined(beside, 1), *below] if beside else below
    return _joined(rows, 0) if rows else None


def _image(e: ExplanationData) -> tuple[Pixels, Ints]:
    """An image and its regions, as high as others beside it."""
    assert e.pixels is not None
    size = IMAGE, max(1, round(IMAGE * e.pixels.shape[1] / e.pixels.shape[0]))
    pixels = np.asarray(Image.fromarray(e.pixels).resize(size[::-1], Image.Resampling.LANCZOS))
    return pixels, labels_at(e.labels, size, e.frame)


def _twice(pixels: Pixels, labels: Ints) -> tuple[Pixels, Ints]:
    """Twice as large, to be read beside an image."""
    size = 2 * pixels.shape[1], 2 * pixels.shape[0]
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)), labels.repeat(2, 0).repeat(2, 1)


def _titled(name: str, pixels: Pixels, labels: Ints) -> tuple[Pixels, Ints]:
    """Under a line with its name."""
    font = ImageFont.load_default(TITLE)
    wide = max(pixels.shape[1], round(font.getlength(legible(name))) + 8)
    line = Image.new("RGB", (wide, round(1.7 * TITLE)), (PAPER,) * 3)
    ImageDraw.Draw(line).text((4, 3), legible(name), fill=(INK,) * 3, font=font)
    return _joined([(np.asarray(line), np.full(line.size[::-1], -1, np.int32)), (pixels, labels)], 0)


def _joined(sheets: Sequence[tuple[Pixels, Ints]], axis: int) -> tuple[Pixels, Ints]:
    """Sheets below each other, or beside, on paper as wide as the widest, or as high as the highest."""
    long = max(labels.shape[1 - axis] for _, labels in sheets)
    pixels, marked = [], []
    for image, labels in sheets:
        pad = [(0, GAP), (0, GAP)]
        pad[1 - axis] = (0, long - labels.shape[1 - axis])
        pixels.append(np.pad(image, (*pad, (0, 0)), constant_values=PAPER))
        marked.append(np.pad(labels, pad, constant_values=-1))
    return np.concatenate(pixels, axis), np.concatenate(marked, axis)


def _waveform(signal: NDArray[Any], labels: Ints) -> tuple[Pixels, Ints]:
    low, high = envelope(signal, WIDE)
    top = float(max(np.abs(low).max(), np.abs(high).max())) or 1.0
    height = (1 - np.arange(HIGH) / (HIGH - 1) * 2)[:, None] * top * 1.05
    inked = (height >= low - 0.01 * top) & (height <= high + 0.01 * top)
    grey = np.where(inked, INK, PAPER).astype(np.uint8)
    grey = np.repeat(grey, max(1, HIGH // grey.shape[1]), 1)
    along = labels_on(labels, (grey.shape[1],))
    return np.repeat(grey[:, :, None], 3, 2), np.ascontiguousarray(np.broadcast_to(along, grey.shape))


def _spectrogram(shown: NDArray[Any], labels: Ints) -> tuple[Pixels, Ints]:
    low, high = np.percentile(shown, (2, 99.5))
    loud = np.clip((shown - low) / ((high - low) or 1.0), 0, 1)
    grey = (PAPER - (PAPER - INK) * loud).astype(np.uint8)[::-1]
    up = max(1, HIGH // grey.shape[0]), max(1, WIDE // grey.shape[1])
    pixels = np.kron(grey, np.ones(up, np.uint8))
    along = labels_on(labels, shown.shape)[::-1]
    return np.repeat(pixels[:, :, None], 3, 2), np.kron(along, np.ones(up, np.int32))


def _contacts(frames: Pixels, labels: Ints) -> tuple[Pixels, Ints]:
    """Six frames of a clip in two rows, white lines between."""
    up = max(1, LEAST // frames.shape[2])
    frames = frames.repeat(up, 1).repeat(up, 2)
    chosen = nearest(len(frames), min(len(frames), 6))
    inside = labels_on(labels, tuple(frames.shape[:3]))
    columns = min(3, len(chosen))
    margin = max(1, frames[0].shape[1] // 40)
    pixels = [np.pad(frames[t], ((0, margin), (0, margin), (0, 0)), constant_values=255) for t in chosen]
    marked = [np.pad(inside[t], (0, margin), constant_values=-1) for t in chosen]
    while len(pixels) % columns:
        pixels.append(np.full_like(pixels[0], 255))
        marked.append(np.full_like(marked[0], -1))
    starts = range(0, len(pixels), columns)
    return (
        np.concatenate([np.concatenate(pixels[i : i + columns], 1) for i in starts]),
        np.concatenate([np.concatenate(marked[i : i + columns], 1) for i in starts]),
    )


def _listed(e: ExplanationData, players: Sequence[int]) -> tuple[Pixels, Ints]:
    """A line for each of these players, its name on it."""
    names = [label(e, player, LETTERS) for player in players]
    font = ImageFont.load_default(13)
    wide = int(max(font.getlength(name) for name in names)) + FRONT + 12
    image = Image.new("RGB", (wide, LINE * len(names)), (PAPER,) * 3)
    draw = ImageDraw.Draw(image)
    for number, name in enumerate(names):
        draw.text((FRONT, LINE * number + 3), name, fill=(INK,) * 3, font=font)
    lines = np.repeat(np.asarray(players, np.int32), LINE)
    return np.asarray(image), np.ascontiguousarray(np.broadcast_to(lines[:, None], (len(lines), wide)))


def label(e: ExplanationData, player: int, letters: int) -> str:
    """A player's name in so many letters; in a table of one column also what stands in it."""
    name = " ".join(legible(e.players[player] if e.players else f"{e.called[:-1]} {player}").split())
    inside, value = np.flatnonzero(e.labels == player), ""
    if e.modality == "table" and e.shown is not None and len(inside) == 1 and e.shown.shape == e.labels.shape:
        value = f" = {e.shown[inside[0]]:.4g}"
    room = letters - len(value)
    return (name if len(name) <= room else name[: room - 1] + "…") + value
