"""Runner: what a batch of subsets needs to go through the model: resident inputs, a batch size, compose, scores."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.config import EngineConfig
from pysmdl.engine.device.cuda_slot import CudaSlot
from pysmdl.engine.device.pool import Pool
from pysmdl.engine.device.rows import Rows, rows_of
from pysmdl.engine.device.sizes import Tuner
from pysmdl.engine.device.slots import Slot
from pysmdl.engine.device.workspace import RESIDENT, Resident, Workspace
from pysmdl.engine.plan import Kind
from pysmdl.engine.requests.request import Request
from pysmdl.engine.scheduler import Batch
from pysmdl.kernels import compose, pack_tokens
from pysmdl.kernels.dispatch import resolved
from pysmdl.profiling import count, stage
from pysmdl.scorers.base import Scorer, Wanted
from pysmdl.scorers.token_drop import TokenDropScorer
from pysmdl.session import KeptWith

Index = Tensor | slice
FIXED = 32  # rows of a deterministic batch where nobody says: one that is found would depend on the clock
KINDS = 8  # of inputs that stay resident without a search that needs them
MOST_ROWS = 65_534  # of a batch: what a GPU launches along one axis, and one more for padding
TUNERS: KeptWith[dict[tuple[EngineConfig, torch.device], dict[Kind, Tuner]]] = KeptWith()
"""What was found for a scorer's owner."""


class Runner:
    """Owns the pools and the slots; knows rows and tensors, no search."""

    def __init__(self, scorer: Scorer, config: EngineConfig, confidence: str | None) -> None:
        self.scorer, self.config, self.device = scorer, config, scorer.device
        self.channels_last = scorer.channels_last
        self.composes = not isinstance(scorer, TokenDropScorer)
        self.graphs = self.device.type == "cuda" and config.graphs and scorer.graph_safe and self._reads_nothing_back()
        self.places: dict[Request, int] = {}
        self.landed: Any = None  # the CUDA event that ends the batch launched last
        self._confidence = confidence
        self._tuners = TUNERS.get_or(scorer.owner, dict).setdefault((config, scorer.device), {})
        self._resident = self._take()
        self.pools = self._resident.pools
        make = CudaSlot if self.device.type == "cuda" else Slot
        self.slots = [make(self, workspace) for workspace in self._resident.workspaces]

    def _take(self) -> Resident:
        """What the owner's last call left, if it fits: memory, and graphs while the weights lie where they lay."""
        weights = self.scorer.addresses() if self.graphs else None
        key = (self.config, self._confidence, type(self.scorer), self.device, self.channels_last, weights)
        found = RESIDENT.take(self.scorer.owner)
        if found is not None and found.key == key:
            return found
        slots = self.config.slots or (2 if self.device.type == "cuda" else 1)
        return Resident(key, [Workspace(self.device) for _ in range(slots)])

    def close(self) -> None:
        """Leave what is resident to the owner's next call, unless something is still under way."""
        if not self.places and not any(slot.busy for slot in self.slots):
            RESIDENT[self.scorer.owner] = self._resident
        else:
            for workspace in self._resident.workspaces:
                workspace.wait()  # until no batch reads what is given back
        self.slots = []  # they know the runner

    def _reads_nothing_back(self) -> bool:
        """Whether the ops run without the host looking at what is on the device, as their definitions do."""
        ops = ("class_scores", "match_boxes") if self.composes else ("class_scores", "varlen_attention")
        return all(resolved(op, self.device.type) != "reference" for op in ops)

    # Resident inputs

    def admit(self, request: Request) -> None:
        """Make the request's input resident."""
        kind = request.item.kind
        if kind not in self.pools:
            self.pools[kind] = Pool(kind, self.device, self.channels_last)
        self.places[request] = self.pools[kind].put(request.item)

    def drop(self, request: Request) -> None:
        """Give its place to the next; the pool goes too where there are many that nobody uses."""
        kind = request.item.kind
        self.pools[kind].drop(self.places.pop(request))
        if len(self.pools) > KINDS and self.pools[kind].empty:
            del self.pools[kind]

    # The batch size

    def room(self, kind: Kind) -> int:
        """Rows that a batch of this kind may have: what was asked for or is being found, within the memory bound."""
        return self._tuner(kind).rows

    def settled(self, kind: Kind) -> bool:
        """Whether the batch size is found."""
        return self._tuner(kind).settled

    def limit(self, kind: Kind, rows: int) -> None:
        """Memory ran out: never again more rows than these."""
        self._tuner(kind).limit(rows)

    def timed(self, kind: Kind, rows: int, seconds: float) -> None:
        """How long a batch took, for finding the best size."""
        self._tuner(kind).record(rows, seconds)

    def _tuner(self, kind: Kind) -> Tuner:
        if kind not in self._tuners:
            row_bytes = prod(kind.shape) * kind.dtype.itemsize
            most = min(MOST_ROWS, max(1, self.config.memory_bytes // max(1, row_bytes)))
            fixed = self.config.batch_size or (FIXED if self.config.deterministic else None)
            if fixed is None:
                self._tuners[kind] = Tuner(8 if self.device.type == "cpu" else 128, most)
            else:
                self._tuners[kind] = Tuner(min(fixed, most), min(fixed, most))
        return self._tuners[kind]

    def size_of(self, batch: Batch) -> int:
        """Rows that the model is given for this batch: more than it has where all batches are to be of one size."""
        return self.room(batch.kind) if self.config.deterministic and self.composes else len(batch)

    def captures(self, batch: Batch) -> bool:
        """Whether a graph may serve the batch. Tokens of several inputs hardly ever add up to the same number twice."""
        return self.graphs and (self.composes or len(batch.parts) == 1)

    # The way through the model

    def rows_of(self, batch: Batch, size: int) -> Rows:
        """The rows of a batch, padded to size."""
        return rows_of(batch, size, self.places, self.scorer, drops=not self.composes, few=self.captures(batch))

    def forward(
        self, batch: Batch, buffer: Tensor, rows: Rows, wanted: Sequence[NDArray[Any]]
    ) -> tuple[Tensor, Tensor | None]:
        """Compose the rows into the buffer and score them. Values [rows, V], and features of the rows wanted."""
        features_of = self._index(wanted)
        with stage("transfer"):
            sent = self._send(rows)
        values, features = self.compute(batch, buffer, rows, sent, features_of)
        self.scorer.check(rows.targets)
        self.counted(batch, buffer.shape[0])
        return values[: len(batch)], features

    def compute(
        self, batch: Batch, buffer: Tensor, rows: Rows, sent: Sequence[Tensor], features_of: Index | None
    ) -> tuple[Tensor, Tensor | None]:
        """The device's part: compose, model, scores. `sent`: what travels of the rows (Rows), on the device."""
        pool, wanted = self.pools[batch.kind], Wanted(self._confidence, features_of)
        bits, source, targets, offsets = sent
        if isinstance(self.scorer, TokenDropScorer):
            with stage("compose"):
                tokens = pool.x.new_empty((rows.tokens, pool.x.shape[2]))
                pack_tokens(pool.x, pool.labels, bits, source, offsets, out=tokens)
            with stage("scores"), torch.no_grad(), self._precision(batch):
                outputs = self.scorer.score_tokens(tokens, offsets, pool.x.shape[1], targets, wanted)
        else:
            with stage("compose"):
                compose(pool.x, pool.baseline, pool.labels, bits, source, out=buffer, backend=self.config.backend)
            with stage("scores"), torch.no_grad(), self._precision(batch):
                outputs = self.scorer.score(buffer, targets, wanted)
        return outputs.values, outputs.features

    def _index(self, wanted: Sequence[NDArray[np.int32]]) -> Index | None:
        """What picks these rows, ascending, from a batch: without copying where they are a single run."""
        if not any(map(len, wanted)):
            return None
        rows = np.concatenate(wanted)
        run = slice(int(rows[0]), int(rows[-1]) + 1)
        return run if run.stop - run.start == len(rows) else torch.from_numpy(rows).to(self.device)

    def casts(self) -> torch.dtype | None:
        """The type that the caller's own autocast casts to, if the call is made under one."""
        on = torch.is_autocast_enabled(self.device.type)
        return torch.get_autocast_dtype(self.device.type) if on else None

    def _precision(self, batch: Batch) -> AbstractContextManager[Any]:
        """bfloat16 where the batch need not be exact; else the caller's autocast, if any.

        Weights that it casts are kept within the batch alone: its cache would hand them from stream to stream, and to
        graphs that outlive it.
        """
        casts = self.casts()
        if batch.exact and casts is None:
            return nullcontext()
        dtype = casts if batch.exact else torch.bfloat16
        return torch.autocast(self.device.type, dtype, cache_enabled=casts is None)

    def counted(self, batch: Batch, size: int) -> None:
        """Tell an active profile of a batch that went through the model."""
        count(batches=1, rows=len(batch), padded=size - len(batch), room=self.room(batch.kind))

    def _send(self, rows: Rows) -> tuple[Tensor, ...]:
        if self.device.type == "cuda":
            return rows.split(rows.pinned().to(self.device, non_blocking=True))
        return tuple(map(torch.from_numpy, rows.arrays))
