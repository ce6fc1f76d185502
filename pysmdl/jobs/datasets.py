"""Data sets as they lie on a disk: WebDataset's tars, and folders of Hugging Face's `datasets`, read by pyarrow."""

from __future__ import annotations

import json
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from pysmdl import disk
from pysmdl.errors import described
from pysmdl.inputs import Opener, sound
from pysmdl.inputs.held import content_of
from pysmdl.inputs.image_files import SUFFIXES
from pysmdl.jobs import schema
from pysmdl.jobs.cells import EXPECTED, first, id_and_group, image_of, target_of
from pysmdl.jobs.entries import Bad, Entry

MARKS = ("dataset_info.json", "dataset_dict.json")  # of a folder that save_to_disk() wrote
IMAGES = ("image", "img", "audio")  # columns
CACHES = ("cache-", "tmp")  # what map() and filter() leave beside a data set
SMALL = 1 << 20  # bytes of a member that is no image


@dataclass(frozen=True)
class Member(Opener):
    """An image or a sound in a tar."""

    tar: str
    name: str
    offset: int
    size: int

    def open(self) -> Any:
        with disk.opened(self.tar) as file:
            file.seek(self.offset)
            return content_of(file.read(self.size), f"{self.tar}/{self.name}")


@dataclass(frozen=True)
class Passage(Member):
    """A text in a tar."""

    def open(self) -> Any:
        with disk.opened(self.tar) as file:
            file.seek(self.offset)
            return file.read(self.size).decode()


@dataclass(frozen=True)
class Record(Opener):
    """An image, a text or a table's row in a file of Arrow's."""

    path: str
    column: str
    row: int

    def open(self) -> Any:
        cell = _table(self.path)[self.column][self.row].as_py()
        if self.column not in IMAGES and cell is not None:
            return cell
        return image_of(cell, f"{self.path}, row {self.row}", Path(self.path).parent)


def of_tar(file: Path, kind: str = "image") -> Iterator[Entry]:
    """WebDataset's samples: files of one name up to its first dot, none where it begins with that. An image, or a sound
    where there is none, or a .txt where the model reads texts, and a class in .cls; .json may name target (or label),
    id and group.

    Raises:
        ValueError: it is no tar.
    """
    samples: dict[str, dict[str, tarfile.TarInfo]] = defaultdict(dict)
    try:
        with disk.opened(file) as content, tarfile.open(fileobj=content, mode="r:") as tar:
            for member in tar:
                folder, name = PurePosixPath(member.name).parent, PurePosixPath(member.name).name
                key, _, extension = name.partition(".")
                if member.isfile() and key:
                    samples[(folder / key).as_posix()][extension.lower()] = member
            for key, parts in samples.items():
                yield _sample(file, key, parts, tar, kind)
    except tarfile.TarError as error:
        raise ValueError(f"{file} must be a whole tar that is not compressed: {error}") from error


def _sample(file: Path, key: str, parts: dict[str, tarfile.TarInfo], tar: tarfile.TarFile, kind: str) -> Entry:
    place = f"{file}/{key}"
    of_kind = (".txt",) if kind == "text" else (*SUFFIXES, *sound.ENDINGS)
    own = [name for name in parts if f".{name.rpartition('.')[2]}" in of_kind]
    own.sort(key=lambda name: ("." in name, name.endswith(tuple(each[1:] for each in sound.ENDINGS))))
    given = parts[own[0]] if own else None  # "png" before "mask.png"
    try:
        said = json.loads(_text(tar, parts["json"])) if "json" in parts else {}
        said = said if isinstance(said, dict) else {}
        if "cls" in parts:
            said.setdefault("target", target_of(_text(tar, parts["cls"]).strip()))
        if given is None:
            raise ValueError(f"it has no {'text' if kind == 'text' else 'image'}, but {', '.join(parts)}")
    except Exception as error:
        why = str(error) if type(error) is ValueError else described(error)
        return Entry(place, Bad(f"{place}: {why}"), source=place)
    target, (id, group) = first(said, "target", "label"), id_and_group(said, place)
    rest = {} if target is None else {"target": target}
    opened = (Passage if kind == "text" else Member)(str(file), given.name, given.offset_data, given.size)
    return Entry(id, opened, rest, place, group)


def _text(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    opened = tar.extractfile(member)
    if opened is None or member.size > SMALL:
        raise ValueError(f"{member.name} must be a file of {SMALL} bytes at most")
    return opened.read().decode()


def is_dataset(path: Path) -> bool:
    """Whether `datasets` saved this folder."""
    return path.is_dir() and any((path / mark).is_file() for mark in MARKS)


def of_folder(folder: Path, kind: str = "image") -> Iterator[Entry]:
    """What `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote: all splits.

    Raises:
        ValueError: there is no Arrow file in it.
    """
    files = sorted(file for file in folder.rglob("*.arrow") if not file.name.startswith(CACHES))
    if not files:
        raise ValueError(f"{folder} is a folder of Hugging Face's datasets without an .arrow file")
    for file in files:
        yield from of_arrow(file, kind)


def of_arrow(file: Path, kind: str = "image") -> Iterator[Entry]:
    """The rows of an Arrow file with a column image (or img), audio, text, messages or row, and where there are label
    or target, id and group. What the model reads goes before the others.

    Raises:
        ValueError: it has no such column, or is no file of Arrow's.
    """
    table = _table(str(file))
    column = next((name for name in (kind, *IMAGES, "text", "messages", "row") if name in table.column_names), None)
    if column is None:
        raise ValueError(f"{file} must have a column {EXPECTED}; it has {', '.join(table.column_names)}")
    about = ("target", "label", "id", "group")
    others = {name: table[name].to_pylist() for name in about if name in table.column_names}
    for row in range(table.num_rows):
        said = {name: values[row] for name, values in others.items()}
        place = f"{file}#{row}"
        target, (id, group) = first(said, "target", "label"), id_and_group(said, place)
        rest = {} if target is None else {"target": target_of(target)}
        yield Entry(id, Record(str(file), column, row), rest, place, group)


@lru_cache(maxsize=16)
def _table(path: str) -> Any:
    """Mapped into memory, not read."""
    arrow = schema.arrow()
    for reader in (arrow.ipc.open_stream, arrow.ipc.open_file):
        try:
            return reader(arrow.memory_map(path)).read_all()
        except arrow.ArrowInvalid as error:
            reason = error
    raise ValueError(f"{path} is no file of Arrow's: {reason}")
