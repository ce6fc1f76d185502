"""Manifests: a row an input, in a file or a frame. A bad row is an input that fails, and no more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pysmdl.errors import described
from pysmdl.jobs import manifest_files
from pysmdl.jobs.cells import EXPECTED, INPUTS, Address, LabelMap, Row, first, id_and_group, image_of, target_of
from pysmdl.jobs.entries import Bad, Entry
from pysmdl.jobs.manifest_files import ABOUT, PACKED, column

LABEL_MAPS = (".npy", ".png")
CONTENT = (str, bytes, dict)  # what a cell says of an image or a sound


def entries(file: Path, kind: str = "image") -> Iterator[Entry]:
    """The inputs of a manifest: columns image, audio, text, messages or row, and where there are target (or label), id,
    group, regions (or players). Where the model reads rows, and there is none of the first five, all others are a
    row's.

    Paths are from the manifest's folder. A text is one as it stands, or a chat's messages; a row is a table's: numbers,
    or numbers by their columns, in CSV as JSON. A target is a class by number or name, or a box as JSON; regions are
    words, as explain takes them, or a label map's file (.npy, .png). An id that is not given is the file's name and the
    row.

    Args:
        file: .csv (with commas, semicolons or tabs), .tsv, .json, .jsonl or .parquet.
        kind: Of the columns image, text and row the one that the model reads, which goes before the others.

    Raises:
        ValueError: it has no column of an input, or is none of these files.
        OSError: it cannot be read.
    """
    for number, row in manifest_files.READERS[file.suffix.lower()](file, kind):
        place = f"{file}:{number}"
        if isinstance(row, str):
            yield Entry(place, Bad(f"{place} {row}"), source=place)
        else:
            yield _entry(row, place, file.parent, kind)


def of_frame(frame: Any, kind: str = "image") -> Iterable[Entry]:
    """Likewise the rows of a frame, pandas' or polars', or of a pyarrow.Table. Paths are as given, and an id that is
    not given is the number of the row.

    Raises:
        ValueError: it has no column of an input.
    """
    names = list(getattr(frame, "column_names", frame.columns))
    manifest_files.check("a frame", [column(str(name)) for name in names], kind)
    if hasattr(frame, "iterrows"):
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    else:
        rows = frame.to_dicts() if hasattr(frame, "to_dicts") else frame.to_pylist()
    return [
        _entry({column(str(name)): cell for name, cell in row.items()}, f"#{number}", Path(), kind)
        for number, row in enumerate(rows)
    ]


def _entry(row: Row, place: str, folder: Path, kind: str) -> Entry:
    id, group = id_and_group(row, place)
    try:
        rest = _rest(row, folder)
        given, source = _input(row, place, folder, kind)
    except Exception as error:
        why = str(error) if isinstance(error, ValueError) else described(error)
        return Entry(id, Bad(f"{place}: {why}"), source=place, group=group)
    return Entry(id, given, rest, source, group)


def _input(row: Row, place: str, folder: Path, kind: str) -> tuple[Any, str]:
    """What a row gives to explain, and where that is from.

    Raises:
        ValueError: it gives nothing.
    """
    if kind == "row" and not set(INPUTS) & set(row):
        return {name: each for name, each in row.items() if name not in ABOUT}, place
    found = next((name for name in (kind, *INPUTS) if first(row, name) is not None), None)
    if found is None:
        mine = ", ".join(name for name in INPUTS if name in row)
        raise ValueError(f"it has no {mine}" if mine else f"it has no {EXPECTED}, but {', '.join(row)}")
    if found in ("text", "messages") and kind != "text":
        raise ValueError("it has a text, which the model does not read, and no image")
    given = row[found]
    if found in PACKED and isinstance(given, CONTENT):
        given = image_of(given, "it", folder)
        source = given.path if isinstance(given, Address) else given
        return given, source if isinstance(source, str) else place
    return json.loads(given) if found in ("messages", "row") and isinstance(given, str) else given, place


def _rest(row: Row, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    target = first(row, "target", "label")
    if target is not None:
        found["target"] = target_of(target)
    regions = first(row, "regions", "players")
    if regions is not None:
        is_file = isinstance(regions, str) and regions.lower().endswith(LABEL_MAPS)
        found["regions"] = LabelMap(str(folder / regions)) if is_file else regions
    return found
