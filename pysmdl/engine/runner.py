"""Runner: a batch of subsets through the model. Compose into a slot's buffer, forward, scores, back to the host."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.config import EngineConfig
from pysmdl.engine.pool import Kind, Pool
from pysmdl.engine.request import Request
from pysmdl.engine.scheduler import Batch, Part, wanted_features
from pysmdl.errors import ScorerError
from pysmdl.kernels import compose
from pysmdl.scorers.base import Scorer, Wanted
from pysmdl.types import Floats

log = logging.getLogger("pysmdl")

DEFAULT_ROWS = 64


@dataclass
class Answer:
    """A batch answered: the parts that went well, with their values and features, and the requests that failed."""

    batch: Batch
    values: Floats
    features: list[Floats | None]
    failed: list[tuple[Request, Exception]] = field(default_factory=list)


class Runner:
    """Owns the pools and the slots; knows rows and tensors, no search.

    Attributes:
        rows: Rows of a batch at most; memory errors halve it.
        calls: Forward passes so far.
        padded: Rows sent only to fill a fixed batch shape.
    """

    def __init__(self, scorer: Scorer, config: EngineConfig, confidence: str | None) -> None:
        self.scorer, self.config = scorer, config
        self.rows = config.batch_size or DEFAULT_ROWS
        self.calls = self.padded = 0
        self.slots = [Slot(self) for _ in range(config.slots or (2 if scorer.device.type == "cuda" else 1))]
        self._confidence = confidence
        self._pools: dict[Kind, Pool] = {}
        self._places: dict[Request, int] = {}

    def admit(self, request: Request) -> None:
        """Make the request's input resident."""
        kind = Kind.of(request.item)
        if kind not in self._pools:
            self._pools[kind] = Pool(kind, self.scorer.device)
        self._places[request] = self._pools[kind].put(request.item)

    def drop(self, request: Request) -> None:
        """Give its place to the next."""
        self._pools[Kind.of(request.item)].drop(self._places.pop(request))

    def room(self, kind: Kind) -> int:
        """Rows that a batch of this kind may have: what was asked for or found, within the memory bound."""
        row_bytes = int(np.prod(kind.shape)) * torch.empty(0, dtype=kind.dtype).element_size()
        return max(1, min(self.rows, self.config.memory_bytes // max(1, row_bytes)))

    def forward(self, batch: Batch, buffer: Tensor, wanted: Sequence[NDArray[Any]]) -> tuple[Tensor, Tensor | None]:
        """Compose the batch into the buffer and score it; tensors on the device."""
        device, count = self.scorer.device, len(batch)
        rows = np.concatenate([part.request.cache.rows(part.start, part.stop) for part in batch.parts])
        source = np.repeat([self._places[part.request] for part in batch.parts], [len(part) for part in batch.parts])
        targets = self.scorer.stack([part.request.target for part in batch.parts])
        targets = np.repeat(targets, [len(part) for part in batch.parts], axis=0)
        padding = len(buffer) - count
        if padding:
            rows = np.pad(rows, ((0, padding), (0, 0)))
            source = np.pad(source, (0, padding), constant_values=-1)
            targets = np.pad(targets, ((0, padding), (0, 0)), mode="edge")
        index = np.concatenate(wanted)
        pool = self._pools[batch.kind]
        compose(
            pool.x,
            pool.baseline,
            pool.labels,
            torch.from_numpy(rows).to(device),
            torch.from_numpy(source.astype(np.int32)).to(device),
            out=buffer,
            backend=self.config.backend,
        )
        asked = Wanted(self._confidence, torch.from_numpy(index).to(device) if len(index) else None)
        with torch.no_grad():
            outputs = self.scorer.score(buffer, torch.from_numpy(targets).to(device), asked)
        self.scorer.check(targets)
        self.calls += 1
        self.padded += padding
        return outputs.values[:count], outputs.features


class Slot:
    """One batch under way: its buffer, and what the model said once it has."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._buffers: dict[Kind, Tensor] = {}
        self._answer: Answer | None = None

    def submit(self, batch: Batch) -> None:
        """Send a batch. Out of memory halves the batch size; a request that fails does not take others along."""
        self._answer = self._run(batch)

    def collect(self) -> Answer | None:
        """The answer to the last batch submitted, once."""
        answer, self._answer = self._answer, None
        return answer

    def _run(self, batch: Batch) -> Answer:
        runner = self._runner
        try:
            return self._forward(batch)
        except Exception as error:
            if _out_of_memory(error) and len(batch) > 1:
                runner.rows = max(1, len(batch) // 2)
                log.warning("out of memory at %d rows; going on with batches of %d", len(batch), runner.rows)
                pieces = _pieces(batch, runner.rows)
            elif len(batch.parts) > 1:
                pieces = [Batch(batch.kind, [part]) for part in batch.parts]  # find the one that fails
            else:
                return Answer(Batch(batch.kind), _stacked([]), [], [(batch.parts[0].request, _named(error, batch))])
        self._buffers.clear()
        if runner.scorer.device.type == "cuda":
            torch.cuda.empty_cache()
        return _joined(batch, [self._run(piece) for piece in pieces])

    def _forward(self, batch: Batch) -> Answer:
        wanted = wanted_features(batch)
        values, features = self._runner.forward(batch, self._buffer(batch), wanted)
        table = values.cpu().numpy()
        by_part: list[Floats | None] = [None] * len(batch.parts)
        if features is not None:
            host = features.float().cpu().numpy()
            cuts = np.cumsum([0, *map(len, wanted)])
            by_part = [host[start:stop] for start, stop in pairwise(cuts)]
        answer = Answer(batch, table, by_part)
        if not np.isfinite(table).all():
            _refuse_nan(answer)
        return answer

    def _buffer(self, batch: Batch) -> Tensor:
        kind = batch.kind
        count = self._runner.room(kind) if self._runner.config.deterministic else len(batch)
        if kind not in self._buffers or len(self._buffers[kind]) < count:
            size = max(count, self._runner.room(kind))
            self._buffers[kind] = torch.empty((size, *kind.shape), dtype=kind.dtype, device=self._runner.scorer.device)
        return self._buffers[kind][:count]


def _pieces(batch: Batch, rows: int) -> list[Batch]:
    """The batch in order, cut into batches of at most `rows`."""
    pieces = [Batch(batch.kind)]
    for part in batch.parts:
        start = part.start
        while start < part.stop:
            if len(pieces[-1]) == rows:
                pieces.append(Batch(batch.kind))
            stop = min(part.stop, start + rows - len(pieces[-1]))
            pieces[-1].parts.append(Part(part.request, start, stop))
            start = stop
    return pieces


def _joined(batch: Batch, answers: list[Answer]) -> Answer:
    """The answers to a batch's pieces as one; a request that failed anywhere failed."""
    failed = {request: error for answer in answers for request, error in answer.failed}
    parts, features, values = [], [], []
    for answer in answers:
        first = 0
        for part, given in zip(answer.batch.parts, answer.features, strict=True):
            if part.request not in failed:
                parts.append(part)
                features.append(given)
                values.append(answer.values[first : first + len(part)])
            first += len(part)
    return Answer(Batch(batch.kind, parts), _stacked(values), features, list(failed.items()))


def _stacked(values: list[Floats]) -> Floats:
    return np.concatenate(values) if values else np.empty((0, 0), np.float32)


def _refuse_nan(answer: Answer) -> None:
    """Move the requests whose scores are not finite to the failed ones."""
    parts, features, values, first = [], [], [], 0
    for part, given in zip(answer.batch.parts, answer.features, strict=True):
        here = answer.values[first : first + len(part)]
        first += len(part)
        bad = int((~np.isfinite(here).all(1)).sum())
        if bad:
            text = f"the model returned NaN or infinity for {bad} of {len(part)} rows of {_name(part.request)}"
            answer.failed.append((part.request, ScorerError(text)))
        else:
            parts.append(part)
            features.append(given)
            values.append(here)
    answer.batch, answer.features, answer.values = Batch(answer.batch.kind, parts), features, _stacked(values)


def _named(error: Exception, batch: Batch) -> Exception:
    """A model's failure as a ScorerError that says on what; errors about the user's arguments as they are."""
    if isinstance(error, (ScorerError, ValueError)):
        return error
    wrapped = ScorerError(f"the model failed on {_name(batch.parts[0].request)}: {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped


def _name(request: Request) -> str:
    return f"input {request.item.id!r}" if request.item.id is not None else "the input"


def _out_of_memory(error: Exception) -> bool:
    """torch raises its own type on a GPU and a plain RuntimeError on the CPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
