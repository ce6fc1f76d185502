"""Pictures on which ways to a model's input are compared and measured, and what is read off them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pysmdl.inputs.image import InputSpec
from pysmdl.inputs.image_files import Pixels

CARDS = ((97, 131), (301, 207))  # (height, width): wide and high, to be enlarged and made smaller


def cards() -> list[Pixels]:
    """Pictures to compare on: waves that no two filters make the same of, in other phases a channel."""
    made = []
    for height, width in CARDS:
        y, x = np.mgrid[:height, :width]
        waves = [np.sin(x * y / 150 + phase) + np.sin(x / 3 + phase) + np.sin(y / 5) for phase in (0, 1, 2)]
        made.append(((np.stack(waves, 2) + 3) * 42.5).astype(np.uint8))
    return made


def difference(first: Tensor, second: Tensor, spec: InputSpec) -> float:
    """The largest one between two inputs, as a share of a channel's range; infinite where the shapes differ."""
    if first.shape != second.shape:
        return math.inf
    std = torch.tensor(spec.std or (1.0,), device="cpu").view(-1, 1, 1)
    return float(((first - second) * std).abs().max())


def ends(levels: Any, side: int) -> tuple[float, float] | None:
    """Where a row of points begins and ends on a side of a picture, by their levels, 0 to 255 along that side; at its
    very ends within half a pixel. None where the levels do not rise evenly, or would begin or end outside.
    """
    if len(levels) < 2:
        return None
    places, seen = np.arange(len(levels)) + 0.5, (np.asarray(levels) + 0.5) / 255
    slope, start = np.polyfit(places, seen, 1)
    if slope <= 0 or np.abs(start + slope * places - seen).max() > 0.02:
        return None
    first, last = float(start) * side, float(start + slope * len(places)) * side
    slack = max(0.5, 0.01 * side)
    if first < -slack or last > side + slack:
        return None
    return 0.0 if first < 0.5 else first, float(side) if last > side - 0.5 else last
