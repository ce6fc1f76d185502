"""An input that is no image as a sheet with a region at each point: what the page shows, and pictures are drawn on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pysmdl.checks import legible
from pysmdl.explanation.data import ExplanationData
from pysmdl.explanation.text_sheets import is_text, sheet
from pysmdl.explanation.views import envelope, labels_on, nearest
from pysmdl.inputs.image_files import Pixels
from pysmdl.types import Ints

E = TypeVar("E", bound=ExplanationData)

WIDE, HIGH = 900, 240  # of a waveform, in pixels
LINE, LETTERS = 22, 60  # of a list of players: pixels a line, letters of a name
LINES = 40
INK, PAPER = 50, 250


def with_sheet(explanation: E) -> E:
    """The explanation as if it were of an image: the sheet and its labels. As it is where it is of one, or has
    more than 40 players without anything to look at.
    """
    if explanation.modality == "image":
        return explanation
    found = _sheet(explanation)
    if found is None:
        return explanation
    pixels, labels = found
    players = explanation.players or tuple(map(str, range(explanation.n)))  # one may have no point of the sheet
    return replace(explanation, pixels=pixels, labels=labels, covers=None, size=None, frame=None, players=players)


def _sheet(e: ExplanationData) -> tuple[Pixels, Ints] | None:
    if e.shown is not None and e.modality == "sound":
        return _waveform(e.shown, e.labels.reshape(-1, e.labels.shape[-1])[0])
    if e.shown is not None and e.modality == "spectrogram":
        return _spectrogram(e.shown, e.labels)
    if e.shown is not None and e.modality == "clip":
        return _contacts(e.shown, e.labels)
    if is_text(e):
        return sheet(e)
    return _listed(e) if e.n <= LINES else None


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


def _listed(e: ExplanationData) -> tuple[Pixels, Ints]:
    """A line for each player, its name on it."""
    names = [label(e, player, LETTERS) for player in range(e.n)]
    font = ImageFont.load_default(13)
    wide = int(max(font.getlength(name) for name in names)) + 24
    image = Image.new("RGB", (wide, LINE * e.n), (PAPER,) * 3)
    draw = ImageDraw.Draw(image)
    for player, name in enumerate(names):
        draw.text((12, LINE * player + 3), name, fill=(INK,) * 3, font=font)
    lines = np.repeat(np.arange(e.n, dtype=np.int32), LINE)
    return np.asarray(image), np.ascontiguousarray(np.broadcast_to(lines[:, None], (LINE * e.n, wide)))


def label(e: ExplanationData, player: int, letters: int) -> str:
    """A player's name in so many letters; in a table of one column also what stands in it."""
    name = " ".join(legible(e.players[player] if e.players else f"{e.called[:-1]} {player}").split())
    inside, value = np.flatnonzero(e.labels == player), ""
    if e.modality == "table" and e.shown is not None and len(inside) == 1 and e.shown.shape == e.labels.shape:
        value = f" = {e.shown[inside[0]]:.4g}"
    room = letters - len(value)
    return (name if len(name) <= room else name[: room - 1] + "…") + value
