"""What a job may be given as inputs: files, folders, patterns, manifests, data sets, or any iterable."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pysmdl.inputs import folders
from pysmdl.inputs.items import as_dict
from pysmdl.jobs import datasets, manifests
from pysmdl.jobs.entries import Bad, Entry


def entries_of(inputs: Any) -> Iterable[Entry]:
    """A list where all are known at once, as of files; else they come as they are read.

    Args:
        inputs: A path or several: images, folders of them, patterns, texts (.txt), manifests (.csv, .jsonl, .parquet),
            WebDataset's .tar, a folder or file of Hugging Face's datasets; or items as explain_many takes them.

    Raises:
        ValueError: a folder or a pattern holds nothing, a file is no manifest.
        OSError: a file cannot be read.
    """
    if isinstance(inputs, (str, os.PathLike)):
        return entries_of([inputs])
    if isinstance(inputs, (list, tuple)) and all(isinstance(each, (str, os.PathLike)) for each in inputs):
        return [entry for each in inputs for entry in _of_path(os.fspath(each))]
    if isinstance(inputs, (list, tuple)):
        return list(_of_items(inputs))
    if isinstance(inputs, Mapping) or not isinstance(inputs, Iterable):
        raise ValueError(f"inputs must be paths or an iterable of inputs; got {type(inputs).__name__}")
    return _of_items(inputs)


def _of_path(path: str) -> Iterator[Entry]:
    if datasets.is_dataset(Path(path)):
        yield from datasets.of_folder(Path(path))
        return
    for file in folders.images([path]):
        kind = file.suffix.lower()
        if kind in manifests.READERS:
            yield from manifests.entries(file)
        elif kind == ".tar":
            yield from datasets.of_tar(file)
        elif kind == ".arrow":
            yield from datasets.of_arrow(file)
        else:
            given = file if kind == ".txt" else os.fspath(file)  # of a text a string is its words, a Path where it is
            yield Entry(os.fsdecode(file), given, source=os.fsdecode(file))


def _of_items(items: Iterable[Any]) -> Iterator[Entry]:
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
        source = os.fsdecode(image) if isinstance(image, (str, os.PathLike)) else None
        yield Entry(str(id) if id is not None else source or place, image, item, source, group)
