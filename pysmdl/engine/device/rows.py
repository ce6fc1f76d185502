"""Rows: a batch as it travels to the device, a few words a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl import bitrows
from pysmdl.engine.requests.request import Request
from pysmdl.engine.scheduler import Batch, Part
from pysmdl.scorers.base import Scorer


@dataclass(frozen=True)
class Rows:
    """A batch as it travels to the device.

    Attributes:
        bits: Kept regions of each row. [B, W], int32.
        source: Place of its input in the pool; -1 for padding. [B], int32.
        targets: Rows of Scorer.encode. [B, t], of four bytes each.
        offsets: Where tokens are dropped, where those that each row keeps start, and where the last end. [B + 1],
            int32; else empty.
        tokens: Room for all of these.
    """

    bits: NDArray[np.int32]
    source: NDArray[np.int32]
    targets: NDArray[Any]
    offsets: NDArray[np.int32]
    tokens: int

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """What travels."""
        return self.bits, self.source, self.targets, self.offsets

    @property
    def shapes(self) -> tuple[Any, ...]:
        """What a captured graph depends on."""
        return self.bits.shape, self.targets.shape, self.tokens

    def pinned(self) -> Tensor:
        """All of it end to end, in memory from which a GPU copies while the host goes on."""
        size = sum(each.size for each in self.arrays)
        words = torch.empty(size, dtype=torch.int32, device="cpu", pin_memory=True)
        np.concatenate([each.ravel().view(np.int32) for each in self.arrays], out=words.numpy())
        return words

    def split(self, words: Tensor) -> tuple[Tensor, ...]:
        """That copy as the arrays again."""
        bits, source, targets, offsets = words.split([each.size for each in self.arrays])
        targets = targets.view(torch.from_numpy(self.targets).dtype).view(self.targets.shape)
        return bits.view(self.bits.shape), source, targets, offsets


def rows_of(
    batch: Batch, size: int, places: Mapping[Request, int], scorer: Scorer, drops: bool = False, few: bool = False
) -> Rows:
    """The rows of a batch.

    Args:
        size: Rows to pad to.
        places: Where each request's input is in the pool.
        drops: Whether tokens are dropped, so that they are to be counted.
        few: Whether there is to be room for a few different numbers of tokens only.
    """
    kept = [part.memo.rows(part.start, part.stop) for part in batch.parts]
    given = scorer.stack([part.request.known.target for part in batch.parts])
    bits = np.zeros((size, max(rows.shape[1] for rows in kept)), np.int32)  # inputs of fewer regions: empty words
    source = np.full(size, -1, np.int32)
    targets = np.empty((size, given.shape[1]), given.dtype)
    stop = 0
    for part, rows, target in zip(batch.parts, kept, given, strict=True):
        start, stop = stop, stop + len(rows)
        bits[start:stop, : rows.shape[1]] = rows
        source[start:stop] = places[part.request]
        targets[start:stop] = target
    targets[stop:] = given[-1]
    if not drops:
        return Rows(bits, source, targets, np.zeros(0, np.int32), 0)
    offsets = np.zeros(size + 1, np.int32)
    np.concatenate(list(map(_kept, batch.parts, kept))).cumsum(dtype=np.int32, out=offsets[1:])
    tokens = int(offsets[-1])
    step = 1 << max(6, (tokens // 32).bit_length() - 1) if few else 1
    return Rows(bits, source, targets, offsets, -(-tokens // step) * step)


def _kept(part: Part, bits: NDArray[np.int32]) -> NDArray[np.float32]:
    """Tokens that each of these rows of an input keeps: of each region its own, and those that are always shown."""
    areas, always = part.request.item.areas
    kept: NDArray[np.float32] = bitrows.unpack(bits, len(areas)).astype(np.float32) @ areas + always
    return kept
