"""What a cell of a manifest or a data set says: an image, a sound, a target, regions in a file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pysmdl import disk
from pysmdl.errors import need
from pysmdl.inputs import Opener
from pysmdl.inputs.held import content_of
from pysmdl.targets import Box

Row: TypeAlias = Mapping[str, Any]

INPUTS = ("image", "audio", "text", "messages", "row")  # the first of these that a row has is what is explained
EXPECTED = f"{', '.join(INPUTS[:-1])} or {INPUTS[-1]}"


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


@dataclass(frozen=True)
class Address(Opener):
    """An image or a sound at an address of fsspec's: "s3://...", "file://..."."""

    path: str

    def open(self) -> Any:
        try:
            import fsspec
        except ImportError:
            raise need("fsspec", f"The file {self.path}", "pysmdl[jobs]") from None
        with fsspec.open(self.path, "rb") as file:
            return content_of(file.read(), self.path)


def image_of(cell: Any, name: str, folder: Path) -> Any:
    """What a cell of a table says of an image, or a sound: its bytes, or where it is.

    Raises:
        ValueError: it says neither.
    """
    content = cell.get("bytes") if isinstance(cell, Mapping) else cell
    if isinstance(content, bytes):
        return content_of(content, name)
    path = cell.get("path") if isinstance(cell, Mapping) else cell
    if not isinstance(path, str) or not path.strip():
        raise ValueError(f"{name} has no image")
    return Address(path) if "://" in path else str(folder / path)


def class_of(text: str) -> int | str:
    """A class by number, also as "3.0", which is what pandas makes of numbers with gaps; or its name."""
    number = text.strip().removesuffix(".0")
    return int(number) if number.removeprefix("-").isdecimal() else text


def first(row: Row, *names: str) -> Any:
    """What the first of these columns says that says anything; "" and NaN do not."""
    return next((cell for cell in map(row.get, names) if not _is_silent(cell)), None)


def id_and_group(row: Row, place: str) -> tuple[str, str | None]:
    """What a row calls its input, its place where it does not say, and the group that it is of, if any."""
    id, group = first(row, "id"), first(row, "group")
    return place if id is None else str(id), None if group is None else str(group)


def _is_silent(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell) or (isinstance(cell, float) and math.isnan(cell))


def target_of(given: Any) -> Any:
    """A class by number or name, or a box.

    Raises:
        ValueError: it is a box with other fields.
    """
    try:
        found = json.loads(given) if isinstance(given, str) and given.strip().startswith("{") else given
        if isinstance(found, Mapping):
            return Box(**{name: each for name, each in found.items() if each is not None})
    except (TypeError, json.JSONDecodeError):
        raise ValueError(f'a box must be as {{"xyxy": [0, 0, 50, 50], "labels": [3]}}; got {given}') from None
    if isinstance(given, str):
        return class_of(given)
    if isinstance(given, (float, Decimal)) and given % 1 == 0:  # a column of numbers of which some are missing
        return int(given)
    return given
