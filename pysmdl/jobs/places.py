"""Where a store is: a folder of this machine, or an address of fsspec's. Files are written whole or not at all."""

from __future__ import annotations

import fcntl
import os
import posixpath
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from pysmdl import disk
from pysmdl.errors import MissingPackageError, StoreError, need
from pysmdl.jobs import leases

FOLDERS = ("parts", "failures")


class Place(Protocol):
    """A store's files by their names below it: "job.json", "parts/NAME.parquet"."""

    def ready(self) -> None:
        """Make it, and see that it can be written to."""

    def names(self, folder: str, suffix: str = ".parquet") -> list[str]:
        """Files of one of its folders, or of itself (""), sorted."""

    def opened(self, name: str) -> BinaryIO:
        """A file, for reading."""

    def write(self, name: str, content: bytes) -> None:
        """A file, whole or not at all."""

    def remove(self, name: str) -> None:
        """A file, if it is there."""

    @contextmanager
    def held(self, share: str, by_all: bool = False, seconds: float = 0.0) -> Iterator[None]:
        """Keep others from the same share of the same job; or, by all workers of one run, a later run. Waits so long.

        Raises:
            StoreError: others hold it.
        """
        yield


def place_of(store: Any) -> Place:
    """A folder, "~" being the user's own, or what fsspec makes of an address with "://".

    Raises:
        ValueError: it is neither.
        MissingPackageError: the address needs fsspec, or a package of its own, which is not installed.
    """
    if not isinstance(store, (str, os.PathLike)) or not os.fspath(store):
        raise ValueError(f'store must be a folder, or an address as "s3://..."; got {store!r}')
    text = os.fspath(store)
    if "://" in text and not text.startswith("file://"):
        return Remote(text)
    return Folder(text.removeprefix("file://"))


class Folder:
    """A local folder: each file is written beside its place, synced, and moved there."""

    def __init__(self, path: str) -> None:
        self._path = Path(os.path.expanduser(path))

    def __str__(self) -> str:
        return str(self._path)

    def ready(self) -> None:
        if self._path.exists() and not self._path.is_dir():
            raise StoreError(f"the store {self} must be a folder; what is there is none")
        for folder in ("", *FOLDERS):
            disk.ready(self._path / folder)

    def names(self, folder: str, suffix: str = ".parquet") -> list[str]:
        with suppress(FileNotFoundError), os.scandir(self._path / folder) as found:
            return sorted(posixpath.join(folder, each.name) for each in found if each.name.endswith(suffix))
        return []

    def opened(self, name: str) -> BinaryIO:
        return disk.opened(self._path / name)

    def write(self, name: str, content: bytes) -> None:
        path = self._path / name
        disk.write(path, content)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the name, too
        finally:
            os.close(folder)

    def remove(self, name: str) -> None:
        (self._path / name).unlink(missing_ok=True)

    @contextmanager
    def held(self, share: str, by_all: bool = False, seconds: float = 0.0) -> Iterator[None]:
        lock = os.open(self._path / f".lock-{share}", os.O_RDWR | os.O_CREAT, 0o666)
        until = time.monotonic() + seconds
        try:
            while True:
                try:
                    fcntl.flock(lock, (fcntl.LOCK_SH if by_all else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() >= until:
                        raise StoreError(f"another run is at work on this share of the store {self}") from None
                    time.sleep(0.1)
                except OSError:  # some network file systems have no locks
                    break
                else:
                    break
            yield
        finally:
            os.close(lock)


class Remote:
    """An address of fsspec's: a bucket, say. What is put there is an object, which is there whole or not at all."""

    def __init__(self, address: str) -> None:
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            raise need("fsspec", f"The store {address}", "pysmdl[jobs]") from None
        self._address = address
        try:
            self._files, self._path = url_to_fs(address)
        except ImportError as error:
            raise MissingPackageError(f"The store {address} needs another package: {error}") from error
        except ValueError as error:
            raise ValueError(f"store must be a folder, or an address that fsspec knows; {address}: {error}") from error

    def __str__(self) -> str:
        return self._address

    def ready(self) -> None:
        for folder in (*FOLDERS, leases.FOLDER):
            self._files.makedirs(self._at(folder), exist_ok=True)

    def names(self, folder: str, suffix: str = ".parquet") -> list[str]:
        self._files.invalidate_cache()
        try:
            found = self._files.ls(self._at(folder), detail=False)
        except FileNotFoundError:
            return []
        names = (posixpath.basename(each) for each in found)
        return sorted(posixpath.join(folder, name) for name in names if name.endswith(suffix))

    def opened(self, name: str) -> BinaryIO:
        found: BinaryIO = self._files.open(self._at(name), "rb")
        return found

    def write(self, name: str, content: bytes) -> None:
        self._files.pipe_file(self._at(name), content)

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._files.rm_file(self._at(name))

    @contextmanager
    def held(self, share: str, by_all: bool = False, seconds: float = 0.0) -> Iterator[None]:
        with leases.leased(self, share, by_all, seconds):
            yield

    def _at(self, name: str) -> str:
        return posixpath.join(self._path, name)
