"""Boxes that an answer names by tokens of location, as Florence-2 does: "cat<loc_52><loc_333><loc_932><loc_774>"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pysmdl.targets import Tokens

LOCATION = re.compile(r"\s*<loc_(\d+)>\s*")
BINS = 1000  # along each side


@dataclass(frozen=True)
class NamedBox:
    """A box of an answer.

    Attributes:
        name: What stands before it, or before the boxes that it follows on.
        xyxy: x0, y0, x1, y1 in the pixels of the given image.
        tokens: Its four tokens, as a target.
    """

    name: str
    xyxy: tuple[float, float, float, float]
    tokens: Tokens


def boxes(pieces: Sequence[str], size: tuple[int, int]) -> list[NamedBox]:
    """The boxes of an answer: of locations that follow on each other four and four, each the middle of its bin.

    Source: transformers/models/florence2/processing_florence2.py, post_process_generation and dequantize.

    Args:
        pieces: The answer's text, token by token.
        size: (height, width) of the image.
    """
    found, name = [], ""
    run: list[tuple[int, int]] = []
    sides = (size[1], size[0]) * 2
    for position, piece in enumerate(pieces):
        location = LOCATION.fullmatch(piece)
        if location is None:
            name = piece if run or not name else name + piece
            run = []
            continue
        run.append((position, int(location.group(1))))
        if len(run) % 4 == 0:
            last = run[-4:]
            xyxy = tuple((each + 0.5) * side / BINS for (_, each), side in zip(last, sides, strict=True))
            found.append(NamedBox(name.strip(), xyxy, Tokens([at for at, _ in last])))  # type: ignore[arg-type]
    return found
