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
from pysmdl.engine.request import Request
from pysmdl.engine.scheduler import Batch, Part
from pysmdl.scorers.base import Scorer


@dataclass(frozen=True)
class Rows:
    """A batch as it travels to the device.

    Attributes:
        bits: Kept regions of each row. [B, W], int32.
        source: Place of its input in the pool; -1 for padding. [B], int32.
        targets: Rows of Scorer.encode. [B, t], of four bytes each.
        tokens: Where tokens are dropped, room for those that all rows keep; else 0.
    """

    bits: NDArray[np.int32]
    source: NDArray[np.int32]
    targets: NDArray[Any]
    tokens: int

    @property
    def shapes(self) -> tuple[Any, ...]:
        """What a captured graph depends on."""
        return self.bits.shape, self.targets.shape, self.tokens

    def pinned(self) -> Tensor:
        """All of it end to end, in memory from which a GPU copies while the host goes on."""
        words = np.concatenate([each.ravel().view(np.int32) for each in (self.bits, self.source, self.targets)])
        return torch.from_numpy(words).pin_memory()

    def split(self, words: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """That copy as bits, source and targets again."""
        bits, source, targets = words.split([self.bits.size, self.source.size, self.targets.size])
        targets = targets.view(torch.from_numpy(self.targets).dtype)
        return bits.view(self.bits.shape), source, targets.view(self.targets.shape)


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
    given = scorer.stack([part.request.target for part in batch.parts])
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
    tokens = sum(map(_kept, batch.parts, kept)) if drops else 0
    if few:
        step = 64 if tokens < 2048 else 256
        tokens = -(-tokens // step) * step
    return Rows(bits, source, targets, tokens)


def _kept(part: Part, bits: NDArray[np.int32]) -> int:
    """Tokens that these rows of an input keep: of each region its own, and those that are always shown."""
    regions = part.request.item.regions
    areas = regions.areas()
    return int((bitrows.unpack(bits, regions.n) @ areas).sum()) + len(bits) * (regions.labels.size - int(areas.sum()))
