"""Subsets by number: each distinct bit row gets the next id, so what is known of a subset is a line of a table."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from pysmdl import _native
from pysmdl.types import Ints


class SubsetCache(Protocol):
    """The memo's index. The compiled one and :class:`DictCache` do the same."""

    def intern(self, rows: Ints) -> Ints:
        """Id of each row [a, W]; rows never seen before get the next ids."""

    def find(self, rows: Ints) -> Ints:
        """Id of each row, -1 where it was never seen."""

    def rows(self, start: int, stop: int) -> Ints:
        """The rows with ids start..stop-1."""

    def __len__(self) -> int: ...


class DictCache:
    """The plain twin of ``_C.SubsetCache``."""

    def __init__(self, words: int) -> None:
        self._ids: dict[bytes, int] = {}
        self._words = words

    def intern(self, rows: Ints) -> Ints:
        return np.array([self._ids.setdefault(row.tobytes(), len(self._ids)) for row in rows], np.int32)

    def find(self, rows: Ints) -> Ints:
        return np.array([self._ids.get(row.tobytes(), -1) for row in rows], np.int32)

    def rows(self, start: int, stop: int) -> Ints:
        return np.array([np.frombuffer(key, np.int32) for key in list(self._ids)[start:stop]], np.int32).reshape(
            stop - start, self._words
        )

    def __len__(self) -> int:
        return len(self._ids)


def subset_cache(words: int) -> SubsetCache:
    """An empty index over rows of that many words: compiled where the extension is there."""
    extension = _native.extension()
    if extension is None:
        return DictCache(words)
    cache: SubsetCache = extension.SubsetCache(words)
    return cache
