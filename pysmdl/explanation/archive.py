"""Arrays in an .npz that may come from anywhere: their headers first, and no more unpacked than these announce."""

from __future__ import annotations

import math
import zipfile
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray


class Header(NamedTuple):
    """What a file says of an array before it is read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Of its values, unpacked."""
        return self.size * self.dtype.itemsize


class Archive:
    """The arrays of an .npz by name.

    Args:
        file: Open for reading.

    Attributes:
        headers: Of each array, in the order of the file.

    Raises:
        ValueError: it holds what is no array, two of one name, or an array of Python objects.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file)
        self.headers: dict[str, Header] = {}
        for member in self._zip.infolist():
            name = member.filename.removesuffix(".npy")
            if name == member.filename or name in self.headers:
                raise ValueError(f"it must hold arrays, each once; got {member.filename!r}")
            with self._zip.open(member) as opened:
                self.headers[name] = _header(name, opened)

    def array(self, name: str) -> NDArray[Any]:
        """An array, in the machine's byte order.

        Raises:
            KeyError: there is none of that name.
            ValueError: it is shorter or longer than its header says.
        """
        with self._zip.open(f"{name}.npy") as opened:
            found: NDArray[Any] = npy.read_array(opened, allow_pickle=False)
            if opened.read(1):  # to the end, where the checksum is
                raise ValueError(f"{name} is longer than its header says")
        return found.astype(found.dtype.newbyteorder("="), copy=False)


def _header(name: str, opened: IO[bytes]) -> Header:
    if npy.read_magic(opened) != (1, 0):  # the later ones, for fields with names, may announce headers of gigabytes
        raise ValueError(f"{name} is an array of a form that np.save gives to no plain numbers")
    shape, _, dtype = npy.read_array_header_1_0(opened)
    if min(shape, default=0) < 0 or dtype.hasobject:
        raise ValueError(f"{name} must be an array of numbers; got {dtype} {list(shape)}")
    return Header(shape, dtype)
