"""CUDA graphs: compose, model and scores of one batch shape, captured once and replayed without launch costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.engine.scheduler import Batch
from pysmdl.profiling import stage

if TYPE_CHECKING:
    from pysmdl.engine.runner import Runner

WARM_UP = 2  # eager passes of a shape before it is captured: libraries choose algorithms and allocate on the first


@dataclass
class _Captured:
    graph: torch.cuda.CUDAGraph
    inputs: tuple[Tensor, Tensor, Tensor]  # bits, source, targets: what a replay reads
    values: Tensor


def bucket(rows: int, most: int) -> int:
    """The captured size for a batch: the next power of two, at most `most`."""
    return min(most, 1 << max(0, rows - 1).bit_length())


class GraphCache:
    """Replays batches of graph-safe scorers; runs all others, and those that want features, eagerly."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._captured: dict[Any, _Captured] = {}
        self._seen: dict[Any, int] = {}

    def forward(self, batch: Batch, buffer: Tensor, wanted: Sequence[NDArray[Any]]) -> tuple[Tensor, Tensor | None]:
        """As Runner.forward, on the current stream."""
        runner = self._runner
        if not (runner.config.graphs and runner.scorer.graph_safe) or any(len(rows) for rows in wanted):
            return runner.forward(batch, buffer, wanted)
        bits, source, targets = runner.rows_of(batch, len(buffer))
        key = (
            batch.exact,
            batch.kind,
            runner.pools[batch.kind].version,
            buffer.data_ptr(),
            len(buffer),
            bits.shape[1],
            targets.shape[1],
        )
        self._seen[key] = self._seen.get(key, 0) + 1
        if key not in self._captured and self._seen[key] <= WARM_UP:
            return runner.forward(batch, buffer, wanted)
        runner.counted(batch, len(buffer))
        with stage("transfer"):
            sent = tuple(runner.send(array) for array in (bits, source, targets))
        if key not in self._captured:
            self._captured[key] = self._capture(batch, buffer, sent)
        captured = self._captured[key]
        for static, new in zip(captured.inputs, sent, strict=True):
            static.copy_(new, non_blocking=True)
        with stage("model"):
            captured.graph.replay()
        runner.scorer.check(targets)
        return captured.values[: len(batch)], None

    def clear(self) -> None:
        """Forget everything captured, and the memory it holds."""
        self._captured.clear()
        self._seen.clear()

    def _capture(self, batch: Batch, buffer: Tensor, inputs: tuple[Tensor, ...]) -> _Captured:
        bits, source, targets = (each.clone() for each in inputs)
        graph = torch.cuda.CUDAGraph()
        torch.cuda.current_stream().synchronize()
        with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
            values, _ = self._runner.compute(batch, buffer, bits, source, targets, None)
        return _Captured(graph, (bits, source, targets), values)
