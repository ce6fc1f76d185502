"""Slots of a GPU: a batch is launched on the slot's own stream, and collected when its few numbers per row have arrived
in pinned memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pysmdl.engine.device.slots import Flight, Slot
from pysmdl.engine.device.workspace import Workspace
from pysmdl.engine.scheduler import Batch, wanted_features
from pysmdl.profiling import stage
from pysmdl.types import Floats

if TYPE_CHECKING:
    from pysmdl.engine.device.runner import Runner


class CudaSlot(Slot):
    """Launches on a stream of its own and returns; the host decides on one slot while the device runs the other."""

    def __init__(self, runner: Runner, workspace: Workspace) -> None:
        super().__init__(runner, workspace)
        self._stream = workspace.stream
        self._stream.wait_stream(torch.cuda.current_stream(runner.device))  # the model's weights may still be arriving
        self._fresh = True

    def _launch(self, batch: Batch) -> Flight:
        runner, began = self._runner, None
        timed = not runner.settled(batch.kind)
        with torch.cuda.stream(self._stream):
            landed = torch.cuda.Event(enable_timing=timed)
            # Batches that are timed do not overlap; nor does a slot's first, in which a model may make what it keeps.
            if runner.landed is not None and (timed or self._fresh):
                self._stream.wait_event(runner.landed)
            self._fresh = False
            if timed:
                began = torch.cuda.Event(enable_timing=True)
                began.record()
            wanted, buffer = wanted_features(batch), self._buffer(batch)
            values, features = self._workspace.graphs.forward(runner, batch, buffer, wanted)
            values = _to_host(values)
            features = None if features is None else _to_host(features.float())
            landed.record()
        runner.landed = landed
        return Flight(batch, values, features, wanted, began=began, landed=landed)

    def _arrive(self, flight: Flight) -> tuple[Floats, Floats | None]:
        with stage("idle"):
            flight.landed.synchronize()
        if flight.began is not None:
            flight.seconds = flight.began.elapsed_time(flight.landed) / 1000
        return super()._arrive(flight)


def _to_host(values: Tensor) -> Tensor:
    """An asynchronous copy in pinned memory, in stream order."""
    host = torch.empty(values.shape, dtype=values.dtype, device="cpu", pin_memory=True)
    host.copy_(values, non_blocking=True)
    return host
