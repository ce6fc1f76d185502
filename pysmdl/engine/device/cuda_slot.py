"""Slots of a GPU: a batch is launched on the slot's own stream, and collected when its few numbers per row have arrived
in pinned memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pysmdl.engine.batch import Batch
from pysmdl.engine.device.forward import Forward
from pysmdl.engine.device.sizes import Sizes
from pysmdl.engine.device.slots import Flight, Slot
from pysmdl.engine.device.workspace import Workspace
from pysmdl.profiling import stage
from pysmdl.types import Floats


@dataclass
class LastLanding:
    """The CUDA event that ends the batch launched last, on whichever slot; all slots of a call share this."""

    event: Any = None


class CudaSlot(Slot):
    """Launches on a stream of its own and returns; the host decides on one slot while the device runs the other."""

    def __init__(self, forward: Forward, sizes: Sizes, workspace: Workspace, last: LastLanding) -> None:
        super().__init__(forward, sizes, workspace)
        self._last, self._stream = last, workspace.stream
        self._stream.wait_stream(torch.cuda.current_stream(forward.device))  # the model's weights may still be arriving
        self._fresh = True

    def _launch(self, batch: Batch) -> Flight:
        began = None
        timed = self._sizes.timed(batch.kind)
        with torch.cuda.stream(self._stream):
            landed = torch.cuda.Event(enable_timing=timed)
            # Batches that are timed do not overlap; nor does a slot's first, in which a model may make what it keeps.
            if self._last.event is not None and (timed or self._fresh):
                self._stream.wait_event(self._last.event)
            self._fresh = False
            if timed:
                began = torch.cuda.Event(enable_timing=True)
                began.record()
            buffer = self._buffer(batch)
            rows = self._forward.rows_of(batch, len(buffer))
            values, features = self._workspace.graphs.forward(self._forward, batch, buffer, rows)
            values = _to_host(values)
            features = None if features is None else _to_host(features.float())
            landed.record()
        self._count(batch, len(buffer))
        self._last.event = landed
        return Flight(batch, values, features, began=began, landed=landed)

    def _arrive(self, flight: Flight) -> tuple[Floats, Floats | None]:
        with stage("idle"):
            flight.landed.synchronize()
        if flight.began is not None:
            flight.seconds = flight.began.elapsed_time(flight.landed) / 1000
        return flight.values.numpy(), None if flight.features is None else flight.features.numpy()


def _to_host(values: Tensor) -> Tensor:
    """An asynchronous copy in pinned memory, in stream order."""
    host = torch.empty(values.shape, dtype=values.dtype, device="cpu", pin_memory=True)
    host.copy_(values, non_blocking=True)
    return host
