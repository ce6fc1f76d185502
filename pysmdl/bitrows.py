"""Subsets as rows of bits: region j is bit j % 32 of word j // 32, words are int32. The one place that knows it.

int32, not uint32: torch and Triton have no uint32 everywhere, and the bits are the same.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int32]


def words(n: int) -> int:
    """Words in a row over n regions."""
    return (n + 31) // 32


def pack(member: NDArray[np.bool_]) -> Rows:
    """Bool membership [..., n] to rows [..., W]."""
    n = member.shape[-1]
    padded = np.zeros((*member.shape[:-1], 32 * words(n)), bool)
    padded[..., :n] = member
    return np.packbits(padded, axis=-1, bitorder="little").view(np.int32)


def unpack(rows: Rows, n: int) -> NDArray[np.bool_]:
    """Rows [..., W] to bool membership [..., n]."""
    as_bytes = np.ascontiguousarray(rows).view(np.uint8)
    return np.unpackbits(as_bytes, axis=-1, count=n, bitorder="little").astype(bool)


def keys(member: NDArray[np.bool_]) -> list[bytes]:
    """Bool membership [a, n] to a dictionary key each."""
    return [row.tobytes() for row in np.packbits(member, axis=1)]


def of(regions: NDArray[np.int32], n: int) -> Rows:
    """The row [W] of one list of regions."""
    row: Rows = np.bitwise_or.reduce(singles(n)[regions], axis=0)
    return row


@lru_cache(maxsize=64)
def full(n: int) -> Rows:
    """The row [W] of all regions. Read-only."""
    return _fixed(pack(np.ones(n, bool)))


@lru_cache(maxsize=64)
def singles(n: int) -> Rows:
    """The row of each region alone: [n, W]. Read-only."""
    return _fixed(pack(np.eye(n, dtype=bool)))


def _fixed(rows: Rows) -> Rows:
    rows.flags.writeable = False
    return rows


def complement(rows: Rows, n: int) -> Rows:
    """Everything that is not in each row."""
    return ~rows & full(n)


def prefixes(order: NDArray[np.int32], n: int, sizes: NDArray[Any] | None = None) -> Rows:
    """The first 0, 1, ... len(order) regions of `order`, or as many as each of `sizes` says: [len(order) + 1, W]."""
    return pack(in_prefixes(order, n, sizes))


def in_prefixes(order: NDArray[np.int32], n: int, sizes: NDArray[Any] | None = None) -> NDArray[np.bool_]:
    """The same as bool membership [len(order) + 1, n]."""
    rank = np.full(n, len(order))
    rank[order] = np.arange(len(order))
    member: NDArray[np.bool_] = rank < (np.arange(len(order) + 1) if sizes is None else sizes)[:, None]
    return member
