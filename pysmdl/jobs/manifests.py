"""Manifests: a row an input, in CSV, JSON lines or Parquet. A bad row is an input that fails, and no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pysmdl.errors import described
from pysmdl.inputs import Opener
from pysmdl.jobs import manifest_files
from pysmdl.jobs.cells import LabelMap, Row, first, image_of, target_of
from pysmdl.jobs.entries import Bad, Entry
from pysmdl.jobs.manifest_files import ABOUT, INPUTS

LABEL_MAPS = (".npy", ".png")


def entries(file: Path, kind: str = "image") -> Iterator[Entry]:
    """The inputs of a manifest: columns image, text or row, and where there are target (or label), id, group, regions
    (or players). Where the model reads rows, and there is none of the first three, all others are a row's.

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
    for number, row in manifest_files.READERS[file.suffix.lower()](file, kind):
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
    if found == "image" and not isinstance(given, Opener):
        given = image_of(given, place, folder)
        return given, given if isinstance(given, str) else place
    return json.loads(given) if found == "row" and isinstance(given, str) else given, place


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
