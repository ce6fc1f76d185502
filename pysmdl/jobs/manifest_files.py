"""The files of manifests: CSV, JSON, JSON lines, Parquet, as rows by the names of their columns."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pysmdl import disk
from pysmdl.errors import described
from pysmdl.inputs import Opener
from pysmdl.jobs import schema
from pysmdl.jobs.cells import EXPECTED, INPUTS, Row, image_of

PACKED = ("image", "audio")  # whose cells are paths, or {bytes, path}
ABOUT = ("target", "id", "group", "regions", "label", "players")
COLUMNS = (*INPUTS, *ABOUT)
STRIPPED = (*PACKED, *ABOUT)
FIELD = 1 << 26  # characters of a cell
DELIMITERS = ",;\t"


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


def _csv(file: Path, kind: str) -> Iterator[tuple[int, Row | str]]:
    csv.field_size_limit(FIELD)
    with disk.opened(file) as content, io.TextIOWrapper(content, "utf-8-sig", newline="") as text:
        reader = csv.DictReader(text)
        try:
            delimiter = max(DELIMITERS, key=text.readline(FIELD).count)  # of the header
            text.seek(0)
            reader = csv.DictReader(text, delimiter=delimiter)
            reader.fieldnames = [column(name) for name in reader.fieldnames or ()]
            check(file, reader.fieldnames, kind)
            for number, row in enumerate(reader, 1):
                odd = None in row or None in row.values()
                yield number, "has another number of cells than the header" if odd else _stripped(row)
        except (csv.Error, UnicodeDecodeError) as error:
            line = f"after line {reader.line_num}"
            raise ValueError(
                f"{file} must be CSV in UTF-8, with cells of {FIELD} characters at most; {line}: {error}"
            ) from None


def _stripped(row: Mapping[str, str]) -> Row:
    return {name: cell.strip() if name in STRIPPED else cell for name, cell in row.items()}


def _json_lines(file: Path, kind: str) -> Iterator[tuple[int, Row | str]]:
    with disk.opened(file) as content:
        for number, line in enumerate(content, 1):
            if not line.strip():
                continue
            try:
                yield number, _object(json.loads(line))
            except (ValueError, RecursionError) as error:
                yield number, f"is no JSON: {error}"


def _json(file: Path, kind: str) -> Iterator[tuple[int, Row | str]]:
    with disk.opened(file) as content:
        try:
            rows = json.load(content)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{file} is no JSON: {error}") from None
    if not isinstance(rows, list):
        raise ValueError(f"{file} must hold a list, an object an input; it holds one {type(rows).__name__}")
    for number, row in enumerate(rows, 1):
        yield number, _object(row)


def _object(row: Any) -> Row | str:
    return {column(name): each for name, each in row.items()} if isinstance(row, dict) else "is no JSON object"


def _parquet(file: Path, kind: str) -> Iterator[tuple[int, Row | str]]:
    try:
        part = schema.arrow().parquet.ParquetFile(file)
    except schema.arrow().ArrowInvalid as error:
        raise ValueError(f"{file} is no Parquet: {error}") from None
    names = [column(name) for name in part.schema_arrow.names]
    check(file, names, kind)
    own = dict(zip(names, part.schema_arrow.names, strict=True))
    packed = [name for name in PACKED if name in own and not _is_text(part.schema_arrow.field(own[name]).type)]
    known = COLUMNS if set(INPUTS) & set(names) else names
    plain = [name for name in known if name in own and name not in packed]
    number = 0
    for group in range(part.num_row_groups):
        try:
            table = part.read_row_group(group, columns=[own[name] for name in plain])
        except (schema.arrow().ArrowInvalid, OSError) as error:
            raise ValueError(f"{file} is damaged: {described(error)}") from error
        cells = [table[own[name]].to_pylist() for name in plain]
        for at in range(part.metadata.row_group(group).num_rows):
            number += 1
            row = {name: values[at] for name, values in zip(plain, cells, strict=True)}
            yield number, {**row, **{name: Cell(str(file), own[name], group, at) for name in packed}}


def _is_text(kind: Any) -> bool:
    types = schema.arrow().types
    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


READERS: dict[str, Callable[[Path, str], Iterator[tuple[int, Row | str]]]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".json": _json,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}


@lru_cache(maxsize=2)
def _row_group(path: str, column: str, group: int) -> Any:
    return schema.arrow().parquet.ParquetFile(path).read_row_group(group, columns=[column])[column]


def column(name: str) -> str:
    """A column's name, where it is one of ours in capitals or with spaces around, as that; img is an image."""
    plain = name.strip().lower()
    return "image" if plain == "img" else plain if plain in COLUMNS else name


def check(file: Any, names: Sequence[str], kind: str) -> None:
    """See that there is something to explain, and each column once.

    Raises:
        ValueError: there is not.
    """
    if not set(INPUTS) & set(names) and (kind != "row" or not set(names) - set(ABOUT)):
        has = ", ".join(map(str, names)) or "none"
        raise ValueError(f"{file} must have a column {EXPECTED}; it has {has}")
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        raise ValueError(f"{file} must have each column once; {twice} are there twice")
