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
    lengths = [len(part) for part in batch.parts]
    parts = [part.memo.rows(part.start, part.stop) for part in batch.parts]
    bits = parts[0] if len(parts) == 1 else _stacked(parts)
    source = np.repeat(np.array([places[part.request] for part in batch.parts], np.int32), lengths)
    targets = np.repeat(scorer.stack([part.request.target for part in batch.parts]), lengths, axis=0)
    padding = size - len(batch)
    if padding:
        bits = np.pad(bits, ((0, padding), (0, 0)))
        source = np.pad(source, (0, padding), constant_values=-1)
        targets = np.pad(targets, ((0, padding), (0, 0)), mode="edge")
    tokens = sum(map(_kept, batch.parts, parts)) if drops else 0
    if few:
        step = 64 if tokens < 2048 else 256
        tokens = -(-tokens // step) * step
    return Rows(bits, source, targets, tokens)


def _kept(part: Part, bits: NDArray[np.int32]) -> int:
    """Tokens that these rows of an input keep: of each region its own, and those that are always shown."""
    regions = part.request.item.regions
    areas = regions.areas()
    return int((bitrows.unpack(bits, regions.n) @ areas).sum()) + len(bits) * (regions.labels.size - int(areas.sum()))


def _stacked(rows: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Bit rows of inputs with more and fewer regions as one array: the shorter ones get empty words."""
    widest = max(each.shape[1] for each in rows)
    return np.concatenate([np.pad(each, ((0, 0), (0, widest - each.shape[1]))) for each in rows])
