"""The files of manifests: CSV, JSON lines, Parquet, as rows by the names of their columns."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pysmdl import disk
from pysmdl.inputs import Opener
from pysmdl.jobs import schema
from pysmdl.jobs.cells import Row, image_of

INPUTS = ("image", "text", "row")  # the first of these that a row has is what is explained
ABOUT = ("target", "id", "group", "regions", "label", "players")
COLUMNS = (*INPUTS, *ABOUT)
FIELD = 1 << 26  # characters of a cell


@dataclass(frozen=True)
class Cell(Opener):
    """An image in a column of a Parquet file, as Hugging Face's data sets have them: {bytes, path}."""

    path: str
    column: str
    group: int
    row: int

    def open(self) -> Any:
        cell = _row_group(self.path, self.column, self.group)[self.row].as_py()
        return image_of(cell, f"{self.path}, row {self.row} of group {self.group}", Path(self.path).parent)


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
    packed = "image" in names and not schema.arrow().types.is_string(part.schema_arrow.field("image").type)
    known = COLUMNS if set(INPUTS) & set(names) else names
    plain = [name for name in known if name in names and not (packed and name == "image")]
    number = 0
    for group in range(part.num_row_groups):
        table = part.read_row_group(group, columns=plain)
        rows = table.to_pylist() if plain else [{} for _ in range(part.metadata.row_group(group).num_rows)]
        for at, row in enumerate(rows):
            number += 1
            yield number, {**row, "image": Cell(str(file), "image", group, at)} if packed else row


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
        raise ValueError(f"{file} must have a column image, text or row; it has {has}")
