"""Workspace: what a slot needs and keeps from one call to the next: memory for batches, a GPU's stream and graphs."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
from torch import Tensor

from pysmdl.engine.device.buffers import empty
from pysmdl.engine.device.graphs import GraphCache
from pysmdl.engine.device.pool import Pool
from pysmdl.engine.plan import Kind
from pysmdl.session import KeptWith

VIEWS = 256  # kept of a workspace's memory


class Workspace:
    """One slot's own.

    Attributes:
        stream: Where the slot's batches run; None on the CPU.
        graphs: What was captured on that stream.
    """

    def __init__(self, device: torch.device) -> None:
        self.stream: Any = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.graphs = GraphCache()
        self._device = device
        self._memory = empty((0,), torch.uint8, device)
        self._batches: dict[tuple[int, Kind], Tensor] = {}  # views of it, of the sizes that came last

    def batch(self, rows: int, room: int, kind: Kind, channels_last: bool) -> Tensor:
        """Memory for so many composed rows of a kind, [rows, *shape]; grows to `room` of them, and serves all kinds."""
        found = self._batches.get((rows, kind))
        if found is not None:
            return found
        row = prod(kind.shape) * kind.dtype.itemsize
        if self._memory.numel() < rows * row:
            self.clear()
            with torch.inference_mode(False):  # written to in later calls, in whatever mode these are
                self._memory = empty((max(rows, room) * row,), torch.uint8, self._device)
        flat = self._memory[: rows * row].view(kind.dtype)
        if channels_last and len(kind.shape) == 3:
            channels, *grid = kind.shape
            batch = flat.view(rows, *grid, channels).permute(0, 3, 1, 2)
        else:
            batch = flat.view(rows, *kind.shape)
        if len(self._batches) == VIEWS:
            self._batches.clear()
        self._batches[rows, kind] = batch
        return batch

    def wait(self) -> None:
        """Until nothing runs here."""
        if self.stream is not None:
            self.stream.synchronize()

    def clear(self) -> None:
        """Give the memory back, and with it the graphs that write there."""
        self.wait()
        self.graphs = GraphCache()
        self._batches.clear()
        self._memory = empty((0,), torch.uint8, self._device)
        if self.stream is not None:
            torch.cuda.empty_cache()


@dataclass
class Resident:
    """What stays on the device between two calls with one scorer or bare model.

    Attributes:
        key: What it was made for; it serves nothing else.
        workspaces: One for each slot.
        pools: Of the inputs of each kind.
    """

    key: Any
    workspaces: list[Workspace]
    pools: dict[Kind, Pool] = field(default_factory=dict)


RESIDENT: KeptWith[Resident] = KeptWith()
"""While no call is using it."""
