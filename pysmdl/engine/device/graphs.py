"""CUDA graphs: compose, model and scores of one batch shape, captured once and replayed without launch costs."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.engine.device.rows import Rows
from pysmdl.engine.scheduler import Batch
from pysmdl.errors import ScorerError
from pysmdl.profiling import stage

if TYPE_CHECKING:
    from pysmdl.engine.device.runner import Runner

WARM_UP = 1  # eager passes of a shape before it is captured: libraries choose algorithms and compile on the first
MOST = 256  # shapes captured; what comes then runs eagerly
CAPTURING = threading.Lock()  # for what waits for the whole device, as a capture first does: it ends one under way


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

    def forward(
        self, runner: Runner, batch: Batch, buffer: Tensor, wanted: Sequence[NDArray[Any]]
    ) -> tuple[Tensor, Tensor | None]:
        """As Runner.forward, of the batch's rows, on the current stream."""
        rows = runner.rows_of(batch, buffer.shape[0])
        if not runner.captures(batch) or any(len(each) for each in wanted):
            return runner.forward(batch, buffer, rows, wanted)
        version = runner.pools[batch.kind].version
        key = (batch.exact, runner.casts(), batch.kind, buffer.data_ptr(), version, rows.shapes)
        captured = self._captured.get(key)
        if captured is None:
            here = (threading.get_ident(), key)  # a library's handles are a thread's own
            self._seen[here] = self._seen.get(here, 0) + 1
            if self._seen[here] <= WARM_UP or len(self._captured) == MOST:
                return runner.forward(batch, buffer, rows, wanted)
        runner.counted(batch, buffer.shape[0])
        with stage("transfer"):
            words = rows.pinned()
            if captured is None:
                captured = self._captured[key] = self._capture(runner, batch, buffer, rows, words)
            captured.sent.copy_(words, non_blocking=True)
        with stage("model"):
            captured.graph.replay()
        runner.scorer.check(rows.targets)
        return captured.values[: len(batch)], None

    def _capture(self, runner: Runner, batch: Batch, buffer: Tensor, rows: Rows, words: Tensor) -> _Captured:
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        with torch.inference_mode(False):  # written to in later calls, in whatever mode these are
            sent = words.to(runner.device)
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        capture = torch.cuda.graph(graph, pool=self._pool, stream=stream, capture_error_mode="thread_local")
        try:
            with CAPTURING, _no_collection(), _unmasked(), capture:
                values, _ = runner.compute(batch, buffer, rows, rows.split(sent), None)
        except RuntimeError as error:
            if "captur" not in str(error):
                raise
            raise ScorerError(
                "the model cannot be captured in a CUDA graph: say so with scorer.graph_safe = False, or run with "
                "EngineConfig(graphs=False)"
            ) from error
        return _Captured(graph, sent, values)


@contextmanager
def _unmasked() -> Iterator[None]:
    """Hugging Face's models see that they are captured; releases before 5.24 then attend with a mask of ones, and with
    any mask at a third of the speed. Nothing is padded here, so they are told that this is a pass like any other.
    """
    masking: Any = sys.modules.get("transformers.masking_utils")
    before = getattr(masking, "is_tracing", None)
    if before is not None:
        masking.is_tracing = lambda *_, **__: False
    try:
        yield
    finally:
        if before is not None:
            masking.is_tracing = before


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
