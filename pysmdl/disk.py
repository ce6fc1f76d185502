"""Files on disk: read only where they are ordinary files, written whole or not at all.

What is written first lies in a hidden folder beside its place, and is moved there when all of it is on the disk. So a
write that fails, or a process that is killed, leaves what stood there before.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

STAGE = ".pysmdl-"  # begins the names of hidden folders
SETTLES = 2.0  # seconds: a younger hidden folder may not be locked yet by who made it


def opened(path: str | os.PathLike[str]) -> BinaryIO:
    """An ordinary file, for reading. Never waits, as a pipe would.

    Raises:
        FileNotFoundError: there is none.
        OSError: it is a folder, a pipe, a socket or a device, or must not be read.
    """
    path = os.fspath(path)  # no number of an open file, which would be closed
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "Not an ordinary file", path)
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))


@contextmanager
def written(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` when the block is left, and vanishes where that failed.

    Links are followed; a terminal or a pipe, which hold nothing that could be torn, are written to as they are.

    Raises:
        OSError: the folder does not exist, the disk is full ...; it names `path`.
    """
    place = Path(os.path.realpath(path))
    if place.exists() and not place.is_file():
        with place.open("wb") as file:
            yield file
        return
    with _named(path), _stage(place.parent) as (stage, _):
        with _staged(stage, place) as file:
            yield file
        os.replace(stage / place.name, place)


def write(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file whole or not at all. Raises as :func:`written`."""
    with written(path) as file:
        file.write(content)


def write_together(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files of one folder, by name: all of them or none, and where one stood there before, that.

    No system call moves several files at once, so a process of its own moves them: whatever ends this one does not come
    between two of them.

    Raises:
        OSError: one of them cannot be written.
    """
    with _named(folder), _stage(folder) as (stage, lock):
        for name, content in contents.items():
            if (folder / name).is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(folder / name))
            with _named(folder / name), _staged(stage, folder / name) as file:
                file.write(content)
        _move([stage / name for name in contents], folder, lock)


def ready(folder: Path) -> None:
    """Make a folder, try that it can be written to, and clear away what killed processes left in it.

    Raises:
        OSError: it cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{STAGE}*"):
        with suppress(OSError):
            _clear(left)
    with _named(folder), _stage(folder):
        pass


def _clear(left: Path) -> None:
    """Remove a hidden folder, unless the process that made it still holds its lock."""
    if time.time() - left.stat().st_mtime < SETTLES:
        return
    lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(left, ignore_errors=True)
    finally:
        os.close(lock)


@contextmanager
def _stage(folder: Path) -> Iterator[tuple[Path, int]]:
    """A hidden folder and the lock that says that somebody uses it; gone afterwards."""
    stage = Path(tempfile.mkdtemp(prefix=STAGE, dir=folder))
    lock = os.open(stage, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems have no locks: what is left there stays
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield stage, lock
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        os.close(lock)


@contextmanager
def _staged(stage: Path, place: Path) -> Iterator[BinaryIO]:
    """What shall stand at `place`, on the disk when the block is left; with the permissions of what stands there."""
    part, staged = stage / "part", stage / place.name  # what bears a file's name is whole, wherever it is found
    with part.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    part.rename(staged)
    with suppress(FileNotFoundError):
        shutil.copymode(place, staged)


def _move(files: Sequence[Path], folder: Path, lock: int) -> None:
    command = ["mv", "-f", "--", *map(str, files), str(folder)]
    try:
        mover = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            start_new_session=True, pass_fds=(lock,),
        )  # fmt: skip
    except OSError:  # no mv here, or no more processes: one after the other, which takes microseconds
        for file in files:
            os.replace(file, folder / file.name)
        return
    _, said = mover.communicate()
    if mover.returncode != 0:
        raise OSError(errno.EIO, said.decode(errors="backslashreplace").strip() or "mv failed", str(folder))


@contextmanager
def _named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Errors inside are of this file, not of the hidden one."""
    try:
        yield
    except OSError as error:
        if error.errno is None or (error.filename is not None and STAGE not in os.fsdecode(error.filename)):
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
