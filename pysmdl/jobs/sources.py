"""What a job may be given as inputs: files, folders, patterns, manifests, data sets, or any iterable."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pysmdl.inputs import folders
from pysmdl.inputs.items import as_dict
from pysmdl.inputs.table import rows_of
from pysmdl.jobs import datasets, manifest_files, manifests
from pysmdl.jobs.entries import Bad, Entry

FILES = (".txt", ".tar", ".arrow", *manifest_files.READERS)  # what a string that ends so names
SHARDS = ((".tar",), (".parquet",), (".arrow",), (".jsonl", ".ndjson"), (".csv", ".tsv"))  # of a folder without images
PACKED = (".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".rar")
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
    if hasattr(inputs, "columns") and not (kind == "row" and hasattr(inputs, "iterrows")):
        return manifests.of_frame(inputs, kind)
    if getattr(inputs, "ndim", 0) in _of_one(kind):
        raise ValueError(f"inputs must be several; got a single one, {list(inputs.shape)}: put it in a list")
    if isinstance(inputs, (Mapping, bytes)) or not isinstance(inputs, Iterable):
        raise ValueError(f"inputs must be paths or an iterable of inputs; got {type(inputs).__name__}")
    if isinstance(inputs, (list, tuple)) and all(isinstance(each, (str, os.PathLike)) for each in inputs):
        times = Counter[str]()
        texts = ((each, _is_text(each, kind)) for each in inputs)
        return [
            entry for each, is_text in texts for entry in (_of_text(each, times) if is_text else _of_path(each, kind))
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


def _of_text(text: str, times: Counter[str]) -> Iterator[Entry]:
    yield Entry(_apart(text, times), text)


def _apart(text: str, times: Counter[str]) -> str:
    """An id of a text: itself, and with #2, #3 and so on where it was there before."""
    times[text] += 1
    return text if times[text] == 1 else _apart(f"{text}#{times[text]}", times)


def _of_path(path: str | os.PathLike[str], kind: str) -> Iterator[Entry]:
    if datasets.is_dataset(Path(path)):
        yield from datasets.of_folder(Path(path), kind)
        return
    for file in _files(path):
        suffix = file.suffix.lower()
        if suffix in PACKED:
            raise ValueError(f"{file} is compressed, and inputs are read at any place of it: unpack it first")
        if suffix in manifest_files.READERS:
            yield from manifests.entries(file, kind)
        elif suffix == ".tar":
            yield from datasets.of_tar(file, kind)
        elif suffix == ".arrow":
            yield from datasets.of_arrow(file, kind)
        else:
            is_text = suffix == ".txt" or kind == "text"  # of which a string is its words, a Path where it is
            yield Entry(os.fsdecode(file), file if is_text else os.fspath(file), source=os.fsdecode(file))


def _files(path: str | os.PathLike[str]) -> list[Path]:
    """A file, what a pattern matches, or what a folder holds of one kind: images, or else sounds, clips, texts; or
    else tars, tables or manifests.
    """
    try:
        return folders.images([os.fspath(path)])
    except ValueError:
        files = sorted(each for each in Path(path).rglob("*") if each.is_file()) if os.path.isdir(path) else []
        if os.path.exists(os.path.join(path, "job.json")):
            raise ValueError(f"inputs must be what is explained; {os.fspath(path)!r} is a store") from None
        for kind in SHARDS:
            if found := [each for each in files if each.suffix.lower() in kind]:
                return found
        raise


def _of_items(items: Iterable[Any], kind: str) -> Iterator[Entry]:
    times = Counter[str]()
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
        is_text = kind == "text" and isinstance(image, str)
        if id is None:
            id = _apart(image, times) if is_text and image else said or place
        yield Entry(str(id), image, item, None if is_text else said, group)
