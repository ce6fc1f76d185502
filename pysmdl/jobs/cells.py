"""What a cell of a manifest or a data set says: an image, a target, regions in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pysmdl import disk
from pysmdl.inputs import Opener, image_files
from pysmdl.targets import Box

Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class LabelMap(Opener):
    """Regions in a file: an array of NumPy's, or a grey PNG whose values are regions."""

    path: str

    def open(self) -> Any:
        if self.path.endswith(".npy"):
            with disk.opened(self.path) as file:
                return np.load(file, allow_pickle=False)
        from PIL import Image

        with disk.opened(self.path) as file, Image.open(file, formats=("PNG",)) as found:
            return np.array(found)


def image_of(cell: Any, name: str, folder: Path) -> Any:
    """What a cell of a table says of an image: its bytes, or where it is.

    Raises:
        ValueError: it says neither.
    """
    content = cell.get("bytes") if isinstance(cell, Mapping) else cell
    if isinstance(content, bytes):
        return image_files.from_bytes(content, name)
    path = cell.get("path") if isinstance(cell, Mapping) else cell
    if not isinstance(path, str) or not path.strip():
        raise ValueError(f"{name} has no image")
    return str(folder / path)


def class_of(text: str) -> int | str:
    """A class by number, also as "3.0", which is what pandas makes of numbers with gaps; or its name."""
    number = text.strip().removesuffix(".0")
    return int(number) if number.isdecimal() else text


def first(row: Row, *names: str) -> Any:
    """What the first of these columns says that says anything."""
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def target_of(given: Any) -> Any:
    """A class by number or name, or a box."""
    if isinstance(given, str) and given.strip().startswith("{"):
        given = json.loads(given)
    if isinstance(given, Mapping):
        return Box(**{name: each for name, each in given.items() if each is not None})
    if isinstance(given, str):
        return class_of(given)
    if isinstance(given, float) and given.is_integer():  # a column of numbers of which some are missing
        return int(given)
    return given
