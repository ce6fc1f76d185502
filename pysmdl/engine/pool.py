"""Pool: inputs, baselines and label maps of the live searches, resident on the device, one slot each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pysmdl.engine.request import Item


@dataclass(frozen=True)
class Kind:
    """What inputs must share to stand in one batch."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    constant: bool  # the baseline is one value a channel: one value is stored

    @classmethod
    def of(cls, item: Item) -> Kind:
        return cls(tuple(item.x.shape), item.x.dtype, not any(item.baseline.stride()[1:]))


class Pool:
    """Slots for inputs of one kind; grows by doubling."""

    def __init__(self, kind: Kind, device: torch.device) -> None:
        channels, *grid = kind.shape
        self._shapes = {
            "x": (kind.shape, kind.dtype),
            "baseline": ((channels, *[1] * len(grid)) if kind.constant else kind.shape, kind.dtype),
            "labels": (tuple(grid), torch.int32),
        }
        self._device = device
        self._free: list[int] = []
        self._stored: dict[str, Tensor] = {}
        self._grow(1)

    def put(self, item: Item) -> int:
        """Copy an input in; returns its slot."""
        if not self._free:
            self._grow(2 * len(self._stored["x"]))
        slot = self._free.pop()
        self._stored["x"][slot].copy_(item.x)
        stored = self._stored["baseline"][slot]
        stored.copy_(item.baseline[tuple(slice(side) for side in stored.shape)])
        self._stored["labels"][slot].copy_(torch.from_numpy(item.regions.labels))
        return slot

    def drop(self, slot: int) -> None:
        """Give a slot back."""
        self._free.append(slot)

    @property
    def x(self) -> Tensor:
        return self._stored["x"]

    @property
    def baseline(self) -> Tensor:
        return self._stored["baseline"].expand(self.x.shape)

    @property
    def labels(self) -> Tensor:
        return self._stored["labels"]

    def _grow(self, size: int) -> None:
        old = len(self._stored["x"]) if self._stored else 0
        for name, (shape, dtype) in self._shapes.items():
            grown = torch.empty((size, *shape), dtype=dtype, device=self._device)
            if old:
                grown[:old] = self._stored[name]
            self._stored[name] = grown
        self._free += range(size - 1, old - 1, -1)
