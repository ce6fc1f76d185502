"""Workspace: what a slot needs and keeps from one call to the next: memory for batches, a GPU's stream and graphs."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
from torch import Tensor

from pysmdl.engine.device.buffers import empty, keep_freed
from pysmdl.engine.device.graphs import GraphCache
from pysmdl.engine.device.pool import Pool
from pysmdl.engine.item import Kind

ROOMS = 256  # kinds whose memory is at hand


class Workspace:
    """One slot's own.

    Attributes:
        stream: Where the slot's batches run; None on the CPU.
        graphs: What was captured on that stream.
        rooms: By kind, memory for composed rows [room, *row]; a batch is composed into the first of them.
    """

    def __init__(self, device: torch.device) -> None:
        self.stream: Any = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.graphs = GraphCache()
        self.rooms: dict[Kind, Tensor] = {}
        self._device = device
        self._memory = empty((0,), torch.uint8, device)
        if device.type == "cpu":
            keep_freed()

    def make_room(self, rows: int, kind: Kind, channels_last: bool) -> Tensor:
        """Memory for at least so many composed rows of a kind, the same for all kinds. [room, *row]."""
        if kind.row is None:  # its rows have memory of their own
            self.rooms[kind] = torch.empty((rows, 0), device="cpu")
            return self.rooms[kind]
        if len(self.rooms) == ROOMS:
            self.rooms.clear()
        row = prod(kind.row) * kind.dtype.itemsize
        if self._memory.numel() < rows * row:
            self.clear()
            with torch.inference_mode(False):  # written to in later calls, in whatever mode these are
                self._memory = empty((rows * row,), torch.uint8, self._device)
        room = self._memory.numel() // row
        flat = self._memory[: room * row].view(kind.dtype)
        if channels_last and len(kind.row) == 3:
            channels, *grid = kind.row
            made = flat.view(room, *grid, channels).permute(0, 3, 1, 2)
        else:
            made = flat.view(room, *kind.row)
        self.rooms[kind] = made
        return made

    def wait(self) -> None:
        """Until nothing runs here."""
        if self.stream is not None:
            self.stream.synchronize()

    def clear(self) -> None:
        """Give the memory back, and with it the graphs that write there."""
        self.wait()
        self.graphs = GraphCache()
        self.rooms.clear()
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
