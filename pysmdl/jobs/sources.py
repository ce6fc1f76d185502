"""What a job may be given as inputs: files, folders, patterns, manifests, data sets, or any iterable."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pysmdl.inputs import folders
from pysmdl.inputs.items import as_dict
from pysmdl.inputs.table import rows_of
from pysmdl.jobs import datasets, manifest_files, manifests
from pysmdl.jobs.entries import Bad, Entry

FILES = (".txt", ".tar", ".arrow", *manifest_files.READERS)  # what a string that ends so names
LONGEST = 4096  # characters of a path


def entries_of(inputs: Any, kind: str = "image") -> Iterable[Entry]:
    """A list where all are known at once, as of files; else they come as they are read.

    Args:
        inputs: A path or several: images, folders of them, patterns, texts (.txt), manifests (.csv, .jsonl, .parquet),
            WebDataset's .tar, a folder or file of Hugging Face's datasets; or items as explain_many takes them.
        kind: What the model reads: "text" makes a string that is no file an input itself; "row" takes rows of frames,
            and manifests that have a table's own columns; "image" is all else.

    Raises:
        ValueError: a folder or a pattern holds nothing, a file is no manifest; it is a single input.
        OSError: a file cannot be read.
    """
    if isinstance(inputs, (str, os.PathLike)):
        return entries_of([inputs], kind)
    if getattr(inputs, "ndim", 0) in _of_one(kind):
        raise ValueError(f"inputs must be several; got a single one, {list(inputs.shape)}: put it in a list")
    if isinstance(inputs, Mapping) or not isinstance(inputs, Iterable):
        raise ValueError(f"inputs must be paths or an iterable of inputs; got {type(inputs).__name__}")
    if isinstance(inputs, (list, tuple)) and all(isinstance(each, (str, os.PathLike)) for each in inputs):
        return [
            entry for each in inputs for entry in (_of_text(each) if _is_text(each, kind) else _of_path(each, kind))
        ]
    found = _of_items(rows_of(inputs) if kind == "row" else inputs, kind)
    return list(found) if isinstance(inputs, (list, tuple)) else found


def _of_one(kind: str) -> tuple[int, ...]:
    """The dimensions of an array that is one input."""
    return (1,) if kind == "row" else (2, 3)


def _is_text(given: Any, kind: str) -> bool:
    """Whether a string is a text itself: no file or folder, no pattern of any, and no name of a file of inputs."""
    if kind != "text" or not isinstance(given, str) or given.lower().endswith(FILES) or os.path.exists(given):
        return False
    return len(given) > LONGEST or not (glob.has_magic(given) and glob.glob(given, recursive=True))


def _of_text(text: str) -> Iterator[Entry]:
    yield Entry(text, text)


def _of_path(path: str | os.PathLike[str], kind: str) -> Iterator[Entry]:
    if datasets.is_dataset(Path(path)):
        yield from datasets.of_folder(Path(path), kind)
        return
    for file in folders.images([os.fspath(path)]):
        suffix = file.suffix.lower()
        if suffix in manifest_files.READERS:
            yield from manifests.entries(file, kind)
        elif suffix == ".tar":
            yield from datasets.of_tar(file, kind)
        elif suffix == ".arrow":
            yield from datasets.of_arrow(file, kind)
        else:
            given = file if suffix == ".txt" else os.fspath(file)  # of a text a string is its words, a Path where it is
            yield Entry(os.fsdecode(file), given, source=os.fsdecode(file))


def _of_items(items: Iterable[Any], kind: str) -> Iterator[Entry]:
    for number, given in enumerate(items):
        place = f"#{number}"
        group = None
        if isinstance(given, Mapping) and "group" in given:
            group = None if given["group"] is None else str(given["group"])
            given = {name: each for name, each in given.items() if name != "group"}
        try:
            item = dict(as_dict(given))
        except ValueError as error:
            yield Entry(place, Bad(str(error)))
            continue
        image, id = item.pop("image"), item.pop("id", None)
        said = os.fsdecode(image) if isinstance(image, (str, os.PathLike)) else None
        source = None if kind == "text" and isinstance(image, str) else said
        yield Entry(str(id) if id is not None else said or place, image, item, source, group)
