"""Forward: the way of a batch through the model: rows, compose, model, scores. Knows rows and tensors, no search."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.config import EngineConfig
from pysmdl.engine.batch import Batch
from pysmdl.engine.device.pool import Pool
from pysmdl.engine.item import Kind
from pysmdl.errors import ScorerError
from pysmdl.kernels.dispatch import serves
from pysmdl.profiling import stage
from pysmdl.removal.base import NOTHING, DeviceRows, Removal
from pysmdl.scorers.base import Scorer, Wanted


class Forward:
    """What all slots of a call share.

    Attributes:
        device: Where the model runs.
        channels_last: How rows are laid out for it.
        graphs: Whether batches may be captured in CUDA graphs.
    """

    def __init__(
        self,
        scorer: Scorer,
        removal: Removal,
        config: EngineConfig,
        confidence: str | None,
        pools: Mapping[Kind, Pool],
    ) -> None:
        self.scorer, self.removal, self.device = scorer, removal, scorer.device
        self.channels_last = scorer.channels_last
        self.graphs = self.device.type == "cuda" and config.graphs and scorer.graph_safe and removal.captured
        self.graphs = self.graphs and self._reads_nothing_back(config.backend)
        self.pools = pools
        self._backend, self._deterministic = config.backend, config.deterministic
        self._rough = torch.float16 if config.precision == "mixed-float16" else torch.bfloat16
        self._plain = Wanted(confidence, backend=config.backend)

    def _reads_nothing_back(self, backend: str) -> bool:
        """Whether the ops run without the host looking at what is on the device, as their definitions do."""
        ops = ("class_scores", "match_boxes", *self.removal.ops)
        return all(serves(op, backend, self.device.type) != "reference" for op in ops)

    def size_of(self, batch: Batch, room: int) -> int:
        """Rows that the model is given for this batch: more than it has where all batches are to be of one size."""
        return room if self._deterministic and batch.kind.row is not None else batch.rows

    def captures(self, batch: Batch) -> bool:
        """Whether a graph may serve the batch. Rows of their own sizes, of several inputs, hardly ever add up to the
        same twice.
        """
        return self.graphs and self.removal.captured and (batch.kind.row is not None or len(batch.parts) == 1)

    def rows_of(self, batch: Batch, size: int) -> DeviceRows:
        """The rows of a batch on the host, padded to size."""
        parts = batch.parts
        if len(parts) == 1 and batch.rows == size:
            (part,) = parts
            bits, source = part.bits, np.full(size, part.place, np.int32)
            targets = np.repeat(part.target[None], size, axis=0)
        else:
            bits, source, targets = self._stacked(batch, size)
        if not self.removal.plans:
            return DeviceRows(bits, source, targets, NOTHING)
        given = [part.bits for part in parts], [part.host for part in parts]
        return DeviceRows(bits, source, targets, *self.removal.plan(*given, size, self.captures(batch)))

    def _stacked(self, batch: Batch, size: int) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[Any]]:
        parts = batch.parts
        given = self.scorer.stack([part.target for part in parts])
        words = max(part.bits.shape[1] for part in parts)
        bits = np.zeros((size, words), np.int32)  # inputs of fewer regions: empty words
        source = np.full(size, -1, np.int32)
        targets = np.empty((size, given.shape[1]), given.dtype)
        stop = 0
        for part, target in zip(parts, given, strict=True):
            start, stop = stop, stop + len(part.bits)
            bits[start:stop, : part.bits.shape[1]] = part.bits
            source[start:stop] = part.place
            targets[start:stop] = target
        targets[stop:] = given[-1]
        return bits, source, targets

    def forward(self, batch: Batch, buffer: Tensor, rows: DeviceRows) -> tuple[Tensor, Tensor | None]:
        """Compose the rows into the buffer and score them. Values [rows, V], and features of the rows wanted."""
        with stage("transfer"):
            sent = self._send(rows)
        wanted = self._plain
        if any(len(part.wanted) for part in batch.parts):
            wanted = Wanted(wanted.confidence, self._index(batch), wanted.backend)
        values, features = self.compute(batch.kind, batch.exact, buffer, sent, wanted)
        if len(values) != len(rows.source):  # of fewer, what is missing would be asked for again, and again
            raise ScorerError(
                f"each of {len(rows.source)} rows must get a score; removal {self.removal.name!r} and the scorer made "
                f"{len(values)}"
            )
        self.scorer.check(rows.targets)
        return values[: batch.rows], features

    def compute(
        self, kind: Kind, exact: bool, buffer: Tensor, sent: DeviceRows, wanted: Wanted | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The device's part: compose, model, scores. `sent`: the rows on the device."""
        pool, wanted = self.pools[kind].tensors, wanted or self._plain
        if self.removal.draws > 1:
            return self._drawn(pool, exact, buffer, sent, wanted)
        with stage("compose"):
            view = self.removal.view(pool, sent, buffer, self._backend)
        with stage("scores"), torch.no_grad(), self._precision(exact):
            outputs = self.scorer.score(view, sent.targets, wanted)
        return outputs.values, outputs.features

    def _drawn(
        self, pool: Mapping[str, Tensor], exact: bool, buffer: Tensor, sent: DeviceRows, wanted: Wanted
    ) -> tuple[Tensor, Tensor | None]:
        """The same, each row seen several times, with something else in the place of what is absent."""
        found, views = [], self.removal.views(pool, sent, buffer, self._backend)
        for _ in range(self.removal.draws):
            with stage("compose"):
                view = next(views)
            with stage("scores"), torch.no_grad(), self._precision(exact):
                found.append(self.scorer.score(view, sent.targets, wanted))
        outputs = self.scorer.averaged(found)
        return outputs.values, outputs.features

    def _index(self, batch: Batch) -> Tensor | slice:
        """What picks the rows whose features are wanted: without copying where they are a single run."""
        starts = np.cumsum([0, *(len(part.bits) for part in batch.parts)])
        rows = np.concatenate([part.wanted + start for part, start in zip(batch.parts, starts, strict=False)])
        run = slice(int(rows[0]), int(rows[-1]) + 1)
        return run if run.stop - run.start == len(rows) else torch.from_numpy(rows).to(self.device)

    def casts(self) -> torch.dtype | None:
        """The type that the caller's own autocast casts to, if the call is made under one."""
        on = torch.is_autocast_enabled(self.device.type)
        return torch.get_autocast_dtype(self.device.type) if on else None

    def _precision(self, exact: bool) -> AbstractContextManager[Any]:
        """Half precision where the batch need not be exact; else the caller's autocast, if any.

        Weights that it casts are kept within the batch alone: its cache would hand them from stream to stream, and to
        graphs that outlive it.
        """
        casts = self.casts()
        if exact and casts is None:
            return nullcontext()
        dtype = casts if exact else self._rough
        return torch.autocast(self.device.type, dtype, cache_enabled=casts is None)

    def _send(self, rows: DeviceRows) -> DeviceRows:
        if self.device.type == "cuda":
            return split(rows, pinned(rows).to(self.device, non_blocking=True))
        bits, source, targets, extra = map(torch.from_numpy, (rows.bits, rows.source, rows.targets, rows.extra))
        return DeviceRows(bits, source, targets, extra, rows.room)


def pinned(rows: DeviceRows) -> Tensor:
    """The host's rows end to end, in memory from which a GPU copies while the host goes on."""
    arrays = (rows.bits, rows.source, rows.targets, rows.extra)
    words = torch.empty(sum(each.size for each in arrays), dtype=torch.int32, device="cpu", pin_memory=True)
    np.concatenate([each.ravel().view(np.int32) for each in arrays], out=words.numpy())
    return words


def split(rows: DeviceRows, words: Tensor) -> DeviceRows:
    """That copy as rows again."""
    sizes = [each.size for each in (rows.bits, rows.source, rows.targets, rows.extra)]
    bits, source, targets, extra = words.split(sizes)
    targets = targets.view(torch.from_numpy(rows.targets).dtype).view(rows.targets.shape)
    return DeviceRows(bits.view(rows.bits.shape), source, targets, extra, rows.room)
