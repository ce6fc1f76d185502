"""CUDA graphs: compose, model and scores of one batch shape, captured once and replayed without launch costs."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pysmdl.engine.batch import Batch
from pysmdl.engine.device.forward import Forward, pinned, split
from pysmdl.engine.device.pool import CAPTURING
from pysmdl.errors import ScorerError
from pysmdl.profiling import stage
from pysmdl.removal.base import DeviceRows

WARM_UP = 1  # eager passes of a shape before it is captured: libraries choose algorithms and compile on the first
MOST = 256  # shapes captured; what comes then runs eagerly


@dataclass
class _Captured:
    graph: torch.cuda.CUDAGraph
    sent: Tensor  # the words that a replay reads its rows from
    values: Tensor


class GraphCache:
    """Replays batches of graph-safe scorers; runs all others, and those that want features, eagerly.

    The graphs share the memory between their kernels, so only one runs at a time: a slot has its own cache.
    """

    def __init__(self) -> None:
        self._captured: dict[Any, _Captured] = {}
        self._seen: dict[Any, int] = {}
        self._pool: Any = None  # of that memory

    def forward(self, forward: Forward, batch: Batch, buffer: Tensor, rows: DeviceRows) -> tuple[Tensor, Tensor | None]:
        """As Forward.forward, on the current stream."""
        if not forward.captures(batch) or any(len(part.wanted) for part in batch.parts):
            return forward.forward(batch, buffer, rows)
        version = forward.pools[batch.kind].version
        shapes = rows.bits.shape, rows.targets.shape, rows.room
        key = (batch.exact, forward.casts(), batch.kind, buffer.data_ptr(), version, shapes)
        captured = self._captured.get(key)
        if captured is None:
            here = (threading.get_ident(), key)  # a library's handles are a thread's own
            self._seen[here] = self._seen.get(here, 0) + 1
            if self._seen[here] <= WARM_UP or len(self._captured) == MOST:
                return forward.forward(batch, buffer, rows)
        with stage("transfer"):
            words = pinned(rows)
            if captured is None:
                captured = self._captured[key] = self._capture(forward, batch, buffer, rows, words)
            captured.sent.copy_(words, non_blocking=True)
        with stage("model"):
            captured.graph.replay()
        forward.scorer.check(rows.targets)
        return captured.values[: batch.rows], None

    def _capture(self, forward: Forward, batch: Batch, buffer: Tensor, rows: DeviceRows, words: Tensor) -> _Captured:
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        with torch.inference_mode(False):  # written to in later calls, in whatever mode these are
            sent = words.to(forward.device)
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        capture = torch.cuda.graph(graph, pool=self._pool, stream=stream, capture_error_mode="thread_local")
        try:
            with CAPTURING, _no_collection(), forward.scorer.capturing(), capture:
                values, _ = forward.compute(batch.kind, batch.exact, buffer, split(rows, sent))
        except RuntimeError as error:
            if "captur" not in str(error):
                raise
            raise ScorerError(
                "the model cannot be captured in a CUDA graph: say so with scorer.graph_safe = False, or run with "
                "EngineConfig(graphs=False)"
            ) from error
        return _Captured(graph, sent, values)


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collection inside: it may free another graph, which ends a capture."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
