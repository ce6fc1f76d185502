"""Inputs of which only a number stays on the device: rows find what is known of theirs on the host by it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from pysmdl import bitrows
from pysmdl.removal.base import DeviceRows, Removal, Resident


@dataclass(eq=False)
class _Held:
    """A place for it that may be referred to weakly."""

    known: Any
    n: int


class Hands:
    """Numbers by which rows find what is known of their inputs, as long as somebody holds these; a pickle has none."""

    def __init__(self) -> None:
        self._numbers = count()
        self._held: WeakValueDictionary[int, _Held] = WeakValueDictionary()

    def __reduce__(self) -> Any:
        return Hands, ()

    def hold(self, known: Any, n: int) -> tuple[Tensor, Any]:
        """The number of an input with n players [1], and what must be kept for it to be found."""
        held = _Held(known, n)
        number = next(self._numbers)
        self._held[number] = held
        return torch.tensor([number]), held

    def runs(self, numbers: Tensor, rows: DeviceRows, soft: bool = False) -> Iterator[tuple[Any, Any]]:
        """Of each input in a batch in turn, which players its rows keep, bool [b, n], and what is known of it.

        Args:
            numbers: Of the inputs in the pool. [M, 1].
            rows: Of the batch.
            soft: Whether rows are soft: how much of each player they keep, float32 [b, n].
        """
        own = numbers[rows.source.long(), 0].cpu().numpy()
        bits = rows.bits.cpu().numpy()
        ends = [0, *(np.flatnonzero(np.diff(own)) + 1).tolist(), len(own)]
        for start, stop in pairwise(ends):
            held = self._held[int(own[start])]
            words = np.ascontiguousarray(bits[start:stop, : held.n if soft else bitrows.words(held.n)])
            yield words.view(np.float32) if soft else bitrows.unpack(words, held.n), held.known


class Handed(Removal):
    """What is common to removals that make rows on the host."""

    painted = fixed_rows = captured = False
    soft = False  # rows

    def __init__(self) -> None:
        self._hands = Hands()

    @property
    def form(self) -> Hashable:
        return self

    def hand(self, known: Any, n: int) -> Resident:
        """A number by which rows of an input with n players find what is known of it."""
        number, held = self._hands.hold(known, n)
        return Resident({"number": number}, None, held)

    def runs(self, pool: Mapping[str, Tensor], rows: DeviceRows) -> Iterator[tuple[Any, Any]]:
        """Of each input in a batch in turn, which players its rows keep [b, n], and what is known of it."""
        return self._hands.runs(pool["number"], rows, self.soft)
