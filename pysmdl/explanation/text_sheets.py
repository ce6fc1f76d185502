"""A text as people read it: laid out on a sheet with the player of each point, and coloured in HTML and terminals."""

from __future__ import annotations

from html import escape
from itertools import groupby
from math import ceil
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rich.text import Text

from pysmdl.checks import legible
from pysmdl.explanation.data import ExplanationData
from pysmdl.explanation.letters import font_of, placed, with_marks
from pysmdl.inputs.image_files import Pixels
from pysmdl.types import Ints

WIDE, SIZE, LINE = 760, 16, 25  # of a sheet, in pixels: its width, letters and lines
LEAST = 240
SPACE = 4.5  # between words, at least
MARGIN = 12
LINES = 120
INK, PAPER = 40, 250
Drawn: TypeAlias = tuple[int, float, float, str]  # place in the text, where it begins and ends in its line, and what
UP, DOWN = (201, 79, 12), (38, 96, 178)  # what raises the score, and what lowers it


def is_text(explanation: ExplanationData) -> bool:
    """Whether the characters of a text are at hand, with the player of each."""
    e = explanation
    return e.modality == "text" and e.shown is not None and e.shown.shape == e.labels.shape


def pieces(explanation: ExplanationData) -> list[tuple[str, int]]:
    """Runs of characters of one player, or of none (-1), in the text's order."""
    e = explanation
    assert e.shown is not None
    pairs = zip(legible("".join(map(chr, e.shown.tolist()))), e.labels.tolist(), strict=True)
    return [("".join(letter for letter, _ in run), player) for player, run in groupby(pairs, key=lambda each: each[1])]


def tints(explanation: ExplanationData) -> NDArray[np.float64]:
    """How strongly each player is coloured, -1 to 1, by what it did. [n]."""
    values = np.nan_to_num(explanation.values())
    most = float(np.abs(values).max(initial=0))
    found: NDArray[np.float64] = np.zeros_like(values) if explanation.flat or most == 0 else values / most
    return found


def colour(tint: float) -> tuple[int, int, int]:
    """White to orange for what raises the score, to blue for what lowers it."""
    strong = abs(tint) ** 0.8 * 0.75
    red, green, blue = (round(255 + (end - 255) * strong) for end in (UP if tint > 0 else DOWN))
    return red, green, blue


def html(explanation: ExplanationData) -> str:
    """The text, each span on its colour; what it did shows under the pointer."""
    values, strong = np.nan_to_num(explanation.values()), tints(explanation)
    found = []
    for text, player in pieces(explanation):
        if player < 0:
            found.append(f'<span style="color:#777">{escape(text)}</span>')
            continue
        red, green, blue = colour(float(strong[player]))
        style = f"background:rgb({red},{green},{blue});color:#111;border-radius:2px"
        found.append(f'<span style="{style}" title="{values[player]:+.3g}">{escape(text)}</span>')
    box = "white-space:pre-wrap;max-width:60em;line-height:1.7;margin:0.6em 0;overflow-wrap:anywhere"
    return f'<div style="{box}">{"".join(found)}</div>'


def terminal(explanation: ExplanationData) -> Text:
    """The text for a terminal, each span on its colour."""
    strong, found = tints(explanation), Text()
    for text, player in pieces(explanation):
        tint = float(strong[player]) if player >= 0 else 0.0
        red, green, blue = colour(tint)
        found.append(text, "dim" if player < 0 else f"black on rgb({red},{green},{blue})" if tint else "")
    return found


def sheet(explanation: ExplanationData, wide: int = WIDE) -> tuple[Pixels, Ints]:
    """The text laid out in lines of so many pixels at most, and the player of each point.

    uint8 [H, W, 3] and int32 [H, W].
    """
    e = explanation
    assert e.shown is not None
    lines = _lines([chr(each) for each in e.shown.tolist()], wide)
    base = 2 + font_of("x", SIZE).getmetrics()[0]
    high = LINE * len(lines) + 2 * MARGIN
    longest = max((line[-1][2] for line in lines if line), default=0.0)
    wide = min(wide, max(LEAST, ceil(longest)))
    image = Image.new("RGB", (wide + 2 * MARGIN, high), (PAPER,) * 3)
    labels = np.full((high, image.width), -1, np.int32)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        top = MARGIN + LINE * number
        ends = placed([letter for *_, letter in line], [(left, right) for _, left, right, _ in line])
        for (place, _, _, letter), (left, right) in zip(line, ends, strict=True):
            player = int(e.labels[place])
            labels[top : top + LINE, round(left) + MARGIN : round(right) + MARGIN] = player
            if letter:
                ink, font = (INK if player >= 0 else 130,) * 3, font_of(letter, SIZE)
                draw.text((left + MARGIN, top + base), letter, fill=ink, font=font, anchor="ls")
    return np.asarray(image), labels


def _lines(letters: list[str], most: int) -> list[list[Drawn]]:
    """Characters in lines."""
    letters = with_marks(letters)
    widths = {each: font_of(each, SIZE).getlength(each) for each in set(letters) if each and each.isprintable()}
    if " " in widths:  # Pillow's own is a fifth of the letters' height
        widths[" "] = max(widths[" "], SPACE)
    lines: list[list[Drawn]] = [[]]
    left, start = 0.0, 0
    for stop in [i + 1 for i, letter in enumerate(letters) if letter.isspace()] + [len(letters)]:
        wide = sum(widths.get(letter, 0.0) for letter in letters[start:stop])
        if left + wide > most and left > 0:
            lines.append([])
            left = 0.0
        for place in range(start, stop):
            letter = letters[place]
            if left > most:
                lines.append([])
                left = 0.0
            if letter == "\n":
                lines.append([])
                left = 0.0
                continue
            end = left + widths.get(letter, 0.0)
            lines[-1].append((place, left, end, letter if letter in widths else ""))
            left = end
        start = stop
    return lines[:LINES]
