"""Runner: what a batch of subsets needs to go through the model: resident inputs, a batch size, compose, scores."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from math import prod
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.config import EngineConfig
from pysmdl.engine.graphs import bucket
from pysmdl.engine.plan import Kind
from pysmdl.engine.pool import Pool
from pysmdl.engine.request import Request
from pysmdl.engine.scheduler import Batch
from pysmdl.engine.slots import CudaSlot, Slot
from pysmdl.engine.tuner import Tuner
from pysmdl.kernels import compose
from pysmdl.profiling import count, stage
from pysmdl.scorers.base import Scorer, Wanted
from pysmdl.scorers.token_drop import TokenDropScorer, kept_tokens

Index = Tensor | slice
FIXED = 32  # rows of a deterministic batch where nobody says: one that is found would depend on the clock
TUNERS: WeakKeyDictionary[Scorer, dict[EngineConfig, dict[Kind, Tuner]]] = WeakKeyDictionary()
"""What was found for a scorer stays with it, from one call to the next."""


class Runner:
    """Owns the pools and the slots; knows rows and tensors, no search."""

    def __init__(self, scorer: Scorer, config: EngineConfig, confidence: str | None) -> None:
        self.scorer, self.config, self.device = scorer, config, scorer.device
        self.channels_last = scorer.channels_last
        self.composes = not isinstance(scorer, TokenDropScorer)
        self.pools: dict[Kind, Pool] = {}
        self.places: dict[Request, int] = {}
        self._confidence = confidence
        self._tuners = TUNERS.setdefault(scorer, {}).setdefault(config, {})
        cuda = self.device.type == "cuda"
        self.slots = [(CudaSlot if cuda else Slot)(self) for _ in range(config.slots or (2 if cuda else 1))]

    # Resident inputs

    def admit(self, request: Request) -> None:
        """Make the request's input resident."""
        kind = request.item.kind
        if kind not in self.pools:
            self.pools[kind] = Pool(kind, self.device, self.channels_last)
        self.places[request] = self.pools[kind].put(request.item)

    def drop(self, request: Request) -> None:
        """Give its place to the next."""
        self.pools[request.item.kind].drop(self.places.pop(request))

    # The batch size

    def room(self, kind: Kind) -> int:
        """Rows that a batch of this kind may have: what was asked for or is being found, within the memory bound."""
        return self._tuner(kind).rows

    def limit(self, kind: Kind, rows: int) -> None:
        """Memory ran out: never again more rows than these."""
        self._tuner(kind).limit(rows)

    def timed(self, kind: Kind, rows: int, seconds: float) -> None:
        """How long a batch took, for finding the best size."""
        self._tuner(kind).record(rows, seconds)

    def _tuner(self, kind: Kind) -> Tuner:
        if kind not in self._tuners:
            row_bytes = prod(kind.shape) * kind.dtype.itemsize
            most = max(1, self.config.memory_bytes // max(1, row_bytes))
            fixed = self.config.batch_size or (FIXED if self.config.deterministic else None)
            self._tuners[kind] = Tuner(most=most) if fixed is None else Tuner(min(fixed, most), min(fixed, most))
        return self._tuners[kind]

    def shape_of(self, batch: Batch) -> int:
        """Rows that the model is given for this batch: more than it has where batch shapes are fixed."""
        room = self.room(batch.kind)
        if not self.composes:
            return len(batch)
        if self.config.deterministic:
            return room
        captured = self.device.type == "cuda" and self.config.graphs and self.scorer.graph_safe
        return bucket(len(batch), room) if captured else len(batch)

    # The way through the model

    def rows_of(self, batch: Batch, size: int) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[Any]]:
        """Bit rows [size, W], sources [size] and targets [size, t] of a batch, padded to size."""
        lengths = [len(part) for part in batch.parts]
        rows = [part.memo.rows(part.start, part.stop) for part in batch.parts]
        bits = rows[0] if len(rows) == 1 else _stacked(rows)
        source = np.repeat(np.array([self.places[part.request] for part in batch.parts], np.int32), lengths)
        targets = np.repeat(self.scorer.stack([part.request.target for part in batch.parts]), lengths, axis=0)
        padding = size - len(batch)
        if padding:
            bits = np.pad(bits, ((0, padding), (0, 0)))
            source = np.pad(source, (0, padding), constant_values=-1)
            targets = np.pad(targets, ((0, padding), (0, 0)), mode="edge")
        return bits, source, targets

    def forward(self, batch: Batch, buffer: Tensor, wanted: Sequence[NDArray[Any]]) -> tuple[Tensor, Tensor | None]:
        """Compose the batch into the buffer and score it. Values [rows, V], and features of the rows wanted."""
        bits, source, targets = self.rows_of(batch, len(buffer))
        features_of = self._index(np.concatenate(wanted))
        if isinstance(self.scorer, TokenDropScorer):
            values, features = self._drop_tokens(self.scorer, batch, bits, source, targets, features_of)
        else:
            with stage("transfer"):
                sent = self.send(bits), self.send(source), self.send(targets)
            values, features = self.compute(batch, buffer, *sent, features_of)
        self.scorer.check(targets)
        self.counted(batch, len(buffer))
        return values[: len(batch)], features

    def _drop_tokens(
        self,
        scorer: TokenDropScorer,
        batch: Batch,
        bits: NDArray[np.int32],
        source: NDArray[np.int32],
        targets: NDArray[Any],
        features_of: Index | None,
    ) -> tuple[Tensor, Tensor | None]:
        """Compose by leaving tokens out: gather what each row keeps, packed end to end."""
        pool = self.pools[batch.kind]
        with stage("compose"):
            index, offsets = kept_tokens(bits, source, pool.host_labels)
            tokens = pool.x.flatten(0, 1).index_select(0, self.send(index))
        with stage("scores"), torch.no_grad(), self._precision(batch):
            longest = int(np.diff(offsets).max())
            wanted = Wanted(self._confidence, features_of)
            outputs = scorer.score_tokens(tokens, self.send(offsets), longest, self.send(targets), wanted)
        return outputs.values, outputs.features

    def compute(
        self, batch: Batch, buffer: Tensor, bits: Tensor, source: Tensor, targets: Tensor, features_of: Index | None
    ) -> tuple[Tensor, Tensor | None]:
        """The device's part: compose, model, scores."""
        pool = self.pools[batch.kind]
        with stage("compose"):
            compose(pool.x, pool.baseline, pool.labels, bits, source, out=buffer, backend=self.config.backend)
        with stage("scores"), torch.no_grad(), self._precision(batch):
            outputs = self.scorer.score(buffer, targets, Wanted(self._confidence, features_of))
        return outputs.values, outputs.features

    def _index(self, rows: NDArray[np.int32]) -> Index | None:
        """What picks these rows, ascending, from a batch: without copying where they are a single run."""
        if len(rows) == 0:
            return None
        run = slice(int(rows[0]), int(rows[-1]) + 1)
        return run if run.stop - run.start == len(rows) else self.send(rows)

    def _precision(self, batch: Batch) -> AbstractContextManager[Any]:
        """bfloat16 where the batch need not be exact."""
        return nullcontext() if batch.exact else torch.autocast(self.device.type, torch.bfloat16)

    def counted(self, batch: Batch, size: int) -> None:
        """Tell an active profile of a batch that went through the model."""
        count(batches=1, rows=len(batch), padded=size - len(batch), room=self.room(batch.kind))

    def send(self, array: NDArray[Any]) -> Tensor:
        """A host array on the device; to a GPU through pinned memory, without waiting."""
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        return tensor if self.device.type == "cpu" else tensor.pin_memory().to(self.device, non_blocking=True)


def _stacked(rows: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Bit rows of inputs with more and fewer regions as one array: the shorter ones get empty words."""
    widest = max(each.shape[1] for each in rows)
    return np.concatenate([np.pad(each, ((0, 0), (0, widest - each.shape[1]))) for each in rows])
