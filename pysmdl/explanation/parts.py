"""Several inputs that were explained as one: each as it would be shown alone, its players still those of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pysmdl.inputs.base import Input
from pysmdl.inputs.image_files import Pixels
from pysmdl.types import Ints, Regions

E = TypeVar("E", bound=Any)
SHOWN = ("labels", "modality", "pixels", "size", "frame", "shown", "rate")  # fields that stand for an explanation's own


@dataclass(frozen=True, eq=False)
class Part:
    """One of several inputs. All but labels are as of :class:`pysmdl.Explanation`.

    Attributes:
        labels: The player of each point, counted through all inputs; -1 for always shown. [*grid], int32.
    """

    labels: Ints
    modality: str = "image"
    pixels: Pixels | None = None
    size: tuple[int, int] | None = None
    frame: tuple[float, float, float, float] | None = None
    shown: NDArray[Any] | None = None
    rate: float | None = None


def parts_of(inputs: Mapping[str, tuple[Input, Regions]]) -> dict[str, Part]:
    """What is shown of inputs by name, whose regions are counted through in their order."""
    found, start = {}, 0
    for name, (read, regions) in inputs.items():
        labels = np.where(regions.labels < 0, -1, regions.labels + start).astype(np.int32)
        size = None if read.picture is None else (read.picture.shape[0], read.picture.shape[1])
        found[name] = Part(labels, read.modality, read.picture, size, _shares(read), read.shown, read.rate)
        start += regions.n
    return found


def part(explanation: E, name: str) -> E:
    """The explanation as if it were of this one of its inputs: what is drawn on it is of its own players, whose places
    and values stay those among all.
    """
    e, own = explanation, explanation.inputs[name]
    before = f"{name}: "
    players = tuple(each.removeprefix(before) for each in e.players)
    fields = {field: getattr(own, field) for field in SHOWN}
    found: E = replace(e, players=players, inputs={}, **fields)
    return found


def _shares(read: Input) -> tuple[float, float, float, float] | None:
    """Where the grid lies in the picture, as shares of its width and height."""
    if read.frame is None or read.picture is None:
        return None
    height, width = read.picture.shape[:2]
    x0, y0, x1, y1 = read.frame
    return x0 / width, y0 / height, x1 / width, y1 / height
