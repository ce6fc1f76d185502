"""Manifests: a row an input, in CSV, JSON lines or Parquet. A bad row is an input that fails, and no more."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pysmdl import disk
from pysmdl.errors import described
from pysmdl.inputs import Opener
from pysmdl.inputs.held import content_of
from pysmdl.jobs import schema
from pysmdl.jobs.entries import Bad, Entry
from pysmdl.targets import Box

INPUTS = ("image", "audio", "text", "messages", "row")  # the first of these that a row has is what is explained
PACKED = ("image", "audio")  # whose cells are paths, or {bytes, path}
ABOUT = ("target", "id", "group", "regions", "label", "players")
COLUMNS = (*INPUTS, *ABOUT)
FIELD = 1 << 26  # characters of a cell
LABEL_MAPS = (".npy", ".png")

Row = Mapping[str, Any]


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
class Cell(Opener):
    """An image or a sound in a column of a Parquet file, as Hugging Face's data sets have them: {bytes, path}."""

    path: str
    column: str
    group: int
    row: int

    def open(self) -> Any:
        cell = _row_group(self.path, self.column, self.group)[self.row].as_py()
        return image_of(cell, f"{self.path}, row {self.row} of group {self.group}", Path(self.path).parent)


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
    return str(folder / path)


def entries(file: Path, kind: str = "image") -> Iterator[Entry]:
    """The inputs of a manifest: columns image, audio, text, messages or row, and where there are target (or label), id,
    group, regions (or players). Where the model reads rows, and there is none of the first five, all others are a
    row's.

    Paths are from the manifest's folder. A text is one as it stands, or a chat's messages; a row is a table's: numbers,
    or numbers by their columns, in CSV as JSON. A target is a class by number or name, or a box as JSON; regions are
    words, as explain takes them, or a label map's file (.npy, .png). An id that is not given is the file's name and the
    row.

    Args:
        file: .csv, .jsonl or .parquet.
        kind: Of the columns image, text and row the one that the model reads, which goes before the others.

    Raises:
        ValueError: it has no column of an input, or is none of these files.
        OSError: it cannot be read.
    """
    for number, row in READERS[file.suffix.lower()](file, kind):
        place = f"{file}:{number}"
        if isinstance(row, str):
            yield Entry(place, Bad(f"{place} {row}"), source=place)
            continue
        id = row.get("id")
        named = place if id is None or id == "" else str(id)
        group = None if row.get("group") in (None, "") else str(row["group"])
        try:
            rest = _rest(row, file.parent)
            given, source = _input(row, place, file.parent, kind)
        except Exception as error:
            yield Entry(named, Bad(f"{place}: {described(error)}"), source=place, group=group)
            continue
        yield Entry(named, given, rest, source, group)


def _input(row: Row, place: str, folder: Path, kind: str) -> tuple[Any, str]:
    """What a row gives to explain, and where that is from.

    Raises:
        ValueError: it gives nothing.
    """
    if kind == "row" and not set(INPUTS) & set(row):
        return {name: each for name, each in row.items() if name not in ABOUT}, place
    found = next((name for name in (kind, *INPUTS) if row.get(name) not in (None, "")), None)
    if found is None:
        raise ValueError(f"it has no {', '.join(name for name in INPUTS if name in row) or 'image'}")
    given = row[found]
    if found in PACKED and not isinstance(given, Opener):
        given = image_of(given, place, folder)
        return given, given if isinstance(given, str) else place
    return json.loads(given) if found in ("messages", "row") and isinstance(given, str) else given, place


def _rest(row: Row, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    target = first(row, "target", "label")
    if target is not None:
        found["target"] = _target(target)
    regions = first(row, "regions", "players")
    if regions is not None:
        is_file = isinstance(regions, str) and regions.lower().endswith(LABEL_MAPS)
        found["regions"] = LabelMap(str(folder / regions)) if is_file else regions
    return found


def class_of(text: str) -> int | str:
    """A class by number, also as "3.0", which is what pandas makes of numbers with gaps; or its name."""
    number = text.strip().removesuffix(".0")
    return int(number) if number.isdecimal() else text


def first(row: Row, *names: str) -> Any:
    """What the first of these columns says that says anything."""
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def _target(given: Any) -> Any:
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


def _csv(file: Path, kind: str) -> Iterator[tuple[int, Row | str]]:
    csv.field_size_limit(FIELD)
    with disk.opened(file) as content, io.TextIOWrapper(content, "utf-8-sig", newline="") as text:
        reader = csv.DictReader(text)
        try:
            reader.fieldnames = [_column(name) for name in reader.fieldnames or ()]
            _check(file, reader.fieldnames, kind)
            for number, row in enumerate(reader, 1):
                odd = None in row or None in row.values()
                yield number, "has another number of cells than the header" if odd else row
        except (csv.Error, UnicodeDecodeError) as error:
            line = f"after line {reader.line_num}"
            raise ValueError(
                f"{file} must be CSV in UTF-8, with cells of {FIELD} characters at most; {line}: {error}"
            ) from None


def _column(name: str) -> str:
    """A header's name, where it is one of ours in capitals or with spaces around, as that."""
    plain = name.strip().lower()
    return plain if plain in COLUMNS else name


def _json_lines(file: Path, kind: str) -> Iterator[tuple[int, Row | str]]:
    with disk.opened(file) as content:
        for number, line in enumerate(content, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                yield number, f"is no JSON: {error}"
                continue
            yield number, row if isinstance(row, dict) else "is no JSON object"


def _parquet(file: Path, kind: str) -> Iterator[tuple[int, Row | str]]:
    try:
        part = schema.arrow().parquet.ParquetFile(file)
    except schema.arrow().ArrowInvalid as error:
        raise ValueError(f"{file} is no Parquet: {error}") from None
    names = part.schema_arrow.names
    _check(file, names, kind)
    held = [name for name in PACKED if name in names]
    packed = [name for name in held if not schema.arrow().types.is_string(part.schema_arrow.field(name).type)]
    known = COLUMNS if set(INPUTS) & set(names) else names
    plain = [name for name in known if name in names and name not in packed]
    number = 0
    for group in range(part.num_row_groups):
        table = part.read_row_group(group, columns=plain)
        rows = table.to_pylist() if plain else [{} for _ in range(part.metadata.row_group(group).num_rows)]
        for at, row in enumerate(rows):
            number += 1
            yield number, {**row, **{name: Cell(str(file), name, group, at) for name in packed}}


READERS: dict[str, Callable[[Path, str], Iterator[tuple[int, Row | str]]]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}


@lru_cache(maxsize=2)
def _row_group(path: str, column: str, group: int) -> Any:
    return schema.arrow().parquet.ParquetFile(path).read_row_group(group, columns=[column])[column]


def _check(file: Path, names: Any, kind: str) -> None:
    if not set(INPUTS) & set(names) and (kind != "row" or not set(names) - set(ABOUT)):
        has = ", ".join(map(str, names)) or "none"
        raise ValueError(f"{file} must have a column image, audio, text, messages or row; it has {has}")
