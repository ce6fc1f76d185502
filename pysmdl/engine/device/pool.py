"""Pool: what stays on the device of the inputs of the live searches, a place each."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from itertools import count

import torch
from torch import Tensor

from pysmdl.engine.item import Item, Kind

VERSIONS = count(1)
CAPTURING = threading.Lock()
"""Held while a graph is captured, and while the whole device is waited for: such a wait in another thread ends a
capture."""


class Pool:
    """Places for inputs of one kind; grows by doubling.

    Attributes:
        tensors: What the removal reads: the resident tensors of all places by name, [M, ...] each.
        version: Another number, of this pool alone, whenever these move.
    """

    def __init__(self, kind: Kind, device: torch.device, channels_last: bool = False) -> None:
        self._kind, self._device = kind, device
        self._channels_last = channels_last
        self._free: list[int] = []
        self._stored: dict[str, Tensor] = {}
        self._places = 0
        self.tensors: Mapping[str, Tensor] = {}
        self.version = 0
        self._grow(1)

    def put(self, item: Item) -> int:
        """Copy an input in; returns its place."""
        if not self._free:
            self._grow(2 * self._places)
        place = self._free.pop()  # a batch under way reads it only for an input that failed: nobody waits for that
        try:
            for name, given in item.resident.tensors.items():
                stored = self._stored[name][place]
                stored.copy_(given[tuple(slice(side) for side in stored.shape)])
        except Exception:
            self._free.append(place)
            raise
        if self._device.type == "cuda":  # and the slots' streams must see it
            torch.cuda.current_stream(self._device).synchronize()
        return place

    def drop(self, place: int) -> None:
        """Give a place back."""
        self._free.append(place)

    @property
    def empty(self) -> bool:
        """Whether no input is in it."""
        return len(self._free) == self._places

    def _grow(self, places: int) -> None:
        old = self._places
        if old and self._device.type == "cuda":  # batches under way still read the tensors that are given back
            with CAPTURING:
                torch.cuda.synchronize(self._device)
        stored, tensors = {}, {}  # in place of the old ones when all of it is there: memory may run out
        for name, shape, kept, dtype in self._kind.stored:
            last = self._channels_last and len(kept) == 3 and kept == shape
            with torch.inference_mode(False):  # written to in later calls, in whatever mode these are
                grown = torch.empty((places, *kept), dtype=dtype, device=self._device)
                stored[name] = grown.contiguous(memory_format=torch.channels_last) if last else grown
            if old:
                stored[name][:old] = self._stored[name]
            tensors[name] = stored[name].expand(places, *shape)
        self._stored, self.tensors, self._places = stored, tensors, places
        self._free += range(places - 1, old - 1, -1)
        self.version = next(VERSIONS)
