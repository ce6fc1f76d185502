"""Pool: inputs, baselines and label maps of the live searches, resident on the device, one slot each."""

from __future__ import annotations

from itertools import count

import torch
from torch import Tensor

from pysmdl.engine.device.graphs import CAPTURING
from pysmdl.engine.plan import Item, Kind

VERSIONS = count(1)


class Pool:
    """Slots for inputs of one kind; grows by doubling."""

    def __init__(self, kind: Kind, device: torch.device, channels_last: bool = False) -> None:
        flat = (kind.shape[0], *[1] * len(kind.shape[1:]))
        self._format = torch.channels_last if channels_last and len(kind.shape) == 3 else torch.contiguous_format
        self.version = 0  # another number, of this pool alone, whenever the stored tensors move
        self._shapes = {
            "x": (kind.shape, kind.dtype),
            "baseline": (flat if kind.constant else kind.shape, kind.dtype),
            "labels": (kind.grid, torch.int32),
        }
        self._device = device
        self._free: list[int] = []
        self._stored: dict[str, Tensor] = {}
        self._grow(1)

    def put(self, item: Item) -> int:
        """Copy an input in; returns its slot."""
        if not self._free:
            self._grow(2 * len(self._stored["x"]))
        slot = self._free.pop()  # a batch under way reads it only for an input that failed: nobody waits for that
        self._stored["x"][slot].copy_(item.x)
        stored = self._stored["baseline"][slot]
        stored.copy_(item.baseline[tuple(slice(side) for side in stored.shape)])
        self._stored["labels"][slot].copy_(torch.from_numpy(item.regions.labels))
        if self._device.type == "cuda":  # and the slots' streams must see it
            torch.cuda.current_stream(self._device).synchronize()
        return slot

    def drop(self, slot: int) -> None:
        """Give a slot back."""
        self._free.append(slot)

    @property
    def empty(self) -> bool:
        """Whether no input is in it."""
        return len(self._free) == len(self.x)

    @property
    def x(self) -> Tensor:
        return self._stored["x"]

    @property
    def labels(self) -> Tensor:
        return self._stored["labels"]

    def _grow(self, size: int) -> None:
        old = len(self._stored["x"]) if self._stored else 0
        if old and self._device.type == "cuda":  # batches under way still read the tensors that are given back
            with CAPTURING:
                torch.cuda.synchronize(self._device)
        stored = {}  # in place of the old ones when all of it is there: memory may run out
        for name, (shape, dtype) in self._shapes.items():
            with torch.inference_mode(False):  # written to in later calls, in whatever mode these are
                grown = torch.empty((size, *shape), dtype=dtype, device=self._device)
                stored[name] = grown.contiguous(memory_format=self._format) if grown.dim() == 4 else grown
            if old:
                stored[name][:old] = self._stored[name]
        self._stored = stored
        self.baseline = self._stored["baseline"].expand(self.x.shape)
        self._free += range(size - 1, old - 1, -1)
        self.version = next(VERSIONS)
