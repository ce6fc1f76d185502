"""Several inputs at once, by name: an image and a text, two views. Each is read and divided by itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pysmdl.inputs.base import Input
from pysmdl.inputs.folders import names_file
from pysmdl.inputs.held import KEYS
from pysmdl.inputs.sound import HELD
from pysmdl.inputs.text import Text, TextReader, is_chat, plain
from pysmdl.types import Regions

SHOWN = "shown"  # what players= says of an input that stays as it is


@dataclass(frozen=True)
class Several(Input):
    """What is explained as one. Its x is the first input's.

    Attributes:
        parts: Each input by name, with its regions.
    """

    parts: Mapping[str, tuple[Input, Regions]] = field(default_factory=dict)

    def counted(self) -> Iterator[tuple[str, Input, Regions, int]]:
        """Each by its name, with its regions and the number that the first of them has among all."""
        start = 0
        for name, (each, regions) in self.parts.items():
            yield name, each, regions, start
            start += regions.n


class PassageReader(TextReader):
    """A text among several inputs: a string, messages, or a .txt file by its path, a string or a Path."""

    def __init__(self, divide: Callable[[Text, Any], Regions | None]) -> None:
        super().__init__(plain, divide)

    def takes(self, given: Any) -> bool:
        if isinstance(given, os.PathLike):
            return os.fsdecode(given).lower().endswith(".txt")
        return is_chat(given) or (isinstance(given, str) and not names_file(given))

    def text(self, given: Any) -> Text:
        named = isinstance(given, str) and given.lower().endswith(".txt") and os.path.isfile(given)
        return super().text(Path(given) if named else given)


def is_several(given: Any) -> bool:
    """Whether these are inputs by name: a dict that is no sound and no file."""
    return isinstance(given, Mapping) and not set(given) >= HELD and set(given) != KEYS


def undivided(regions: Regions) -> Regions:
    """The same input without players of its own: always shown."""
    return Regions(np.full_like(regions.labels, -1), 0)


def together(parts: Mapping[str, tuple[Input, Regions]]) -> tuple[Several, Regions]:
    """Inputs by name as one, and all of their regions as its players: named, with the inputs for groups. On the curves'
    axis each input counts for one, its regions for their share of it.
    """
    names: list[str] = []
    groups: list[str] = []
    weights = []
    for name, (_, regions) in parts.items():
        own = tuple(each.strip() or each for each in regions.names) or tuple(map(str, range(regions.n)))
        names += [f"{name}: {each}" for each in own]
        groups += [name] * regions.n
        areas = regions.areas()
        weights.append(areas / areas.sum())
    n = len(names)
    joint = Regions(np.arange(n, dtype=np.int32), n, tuple(names), tuple(groups), np.concatenate(weights))
    first, _ = next(iter(parts.values()))
    pictures = [read.picture for read, _ in parts.values() if read.picture is not None]
    return Several(first.x, None, pictures[0] if pictures else None, modality="several", parts=parts), joint
