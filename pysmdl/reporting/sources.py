"""Where a report's explanations come from: memory, files, folders; one at a time."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any

from pysmdl.errors import ImageError, StoreError, described
from pysmdl.explanation import Explanation, load
from pysmdl.inputs import image_files
from pysmdl.jobs.job_json import is_store
from pysmdl.jobs.store import Store, open_store

log = logging.getLogger("pysmdl")


def explanations_of(given: Any, skipped: list[str]) -> Iterator[Explanation]:
    """The explanations of what :func:`pysmdl.report` takes. Files are read one by one, a folder's in order of names.

    Args:
        given: An explanation, a store or a path (a file, a folder of them, a store), or an iterable of these.
        skipped: Gets a line for each file that cannot be read.

    Raises:
        ValueError: one of them is neither, or a folder holds no explanation.
        FileNotFoundError: there is no such file or folder.
    """
    alone = isinstance(given, (Explanation, Store, str, PathLike)) or not isinstance(given, Iterable)
    for number, each in enumerate([given] if alone else given):
        if isinstance(each, Explanation):
            yield each
        elif isinstance(each, Store):
            yield from with_pictures(each)
        elif isinstance(each, (str, PathLike)):
            yield from _read(Path(each), skipped)
        else:
            place = "explanations" if alone else f"explanations[{number}]"
            raise ValueError(f"{place} must be a pysmdl.Explanation, a file or a folder; got {type(each).__name__}")


def _read(path: Path, skipped: list[str]) -> Iterator[Explanation]:
    """Those of a file, of a folder's files, or of a store."""
    if is_store(path):
        yield from with_pictures(open_store(path))
        return
    for file in _files(path):
        try:
            yield load(file)
        except (StoreError, OSError) as error:
            log.warning("%s skipped: %s", file, described(error))
            skipped.append(f"{file.name}: {described(error)}".replace(str(file), file.name))


def with_pictures(store: Store) -> Iterator[Explanation]:
    """A store's explanations; one without a picture gets that of its image, where the file is there still."""
    for found in store:
        source = found.provenance.get("source")
        if found.pixels is None and isinstance(source, str):
            with suppress(ImageError, OSError):
                pixels = image_files.load(source)
                found.pixels = pixels if found.size in (None, pixels.shape[:2]) else None
        yield found


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.npz"))
    if not files:
        raise ValueError(f"explanations must be a folder with .npz files, as `pysmdl explain` writes them; got {path}")
    return files
