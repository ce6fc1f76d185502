"""Slots: one batch under way each. On the CPU a batch is answered when it is submitted (on a GPU: cuda_slot.py)."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.engine.device.workspace import Workspace
from pysmdl.engine.requests.request import Request
from pysmdl.engine.scheduler import Batch, Part, wanted_features
from pysmdl.errors import PysmdlError, ScorerError
from pysmdl.scorers.base import ModelError
from pysmdl.types import Floats

if TYPE_CHECKING:
    from pysmdl.engine.device.runner import Runner

log = logging.getLogger("pysmdl")


@dataclass
class Answer:
    """A batch answered: the parts that went well, with their values and features, and the requests that failed."""

    parts: list[Part] = field(default_factory=list)
    values: list[Floats] = field(default_factory=list)
    features: list[Floats | None] = field(default_factory=list)
    failed: dict[Request, Exception] = field(default_factory=dict)


@dataclass
class Flight:
    """A batch on its way through the model: where its values and features will be, and when."""

    batch: Batch
    values: Tensor
    features: Tensor | None
    wanted: list[NDArray[np.int32]]
    seconds: float = 0.0
    began: Any = None  # CUDA events
    landed: Any = None


class Slot:
    """Submits to the CPU: everything is done when submit() returns."""

    def __init__(self, runner: Runner, workspace: Workspace) -> None:
        self._runner, self._workspace = runner, workspace
        self._flights: list[Flight] = []
        self._ended = 0.0
        self._failed: dict[Request, Exception] = {}

    @property
    def busy(self) -> bool:
        """Whether there is something to collect."""
        return bool(self._flights or self._failed)

    def submit(self, batch: Batch) -> None:
        """Send a batch. Out of memory halves the batch size; a request that fails does not take others along."""
        try:
            self._flights.append(self._launch(batch))
            return
        except Exception as error:
            if out_of_memory(error) and len(batch) > 1:
                rows = max(1, len(batch) // 2)
                self._runner.limit(batch.kind, rows)
                log.warning("out of memory at %d rows; going on with batches of %d", len(batch), rows)
                pieces = _pieces(batch, rows)
            elif len(batch.parts) > 1:
                pieces = [Batch(batch.kind, batch.exact, [part]) for part in batch.parts]  # find who fails
            else:
                self._failed[batch.parts[0].request] = _named(error, batch)
                return
        self._workspace.clear()
        for piece in pieces:
            self.submit(piece)

    def collect(self) -> Answer | None:
        """The answer to what was submitted, once; None where nothing was. Waits for it."""
        if not self.busy:
            return None
        flights, self._flights = self._flights, []
        answer, self._failed = Answer(failed=self._failed), {}
        for flight in flights:
            self._land(flight, answer)
        if not answer.failed:
            return answer
        keep = [i for i, part in enumerate(answer.parts) if part.request not in answer.failed]
        return Answer(
            [answer.parts[i] for i in keep],
            [answer.values[i] for i in keep],
            [answer.features[i] for i in keep],
            answer.failed,
        )

    def _launch(self, batch: Batch) -> Flight:
        began = self._ended or time.perf_counter()
        wanted, buffer = wanted_features(batch), self._buffer(batch)
        values, features = self._runner.forward(batch, buffer, self._runner.rows_of(batch, buffer.shape[0]), wanted)
        self._ended = time.perf_counter()  # a batch costs what the host does between two of them as well
        return Flight(batch, values, features, wanted, self._ended - began)

    def _land(self, flight: Flight, answer: Answer) -> None:
        """Scatter a flight's values over its parts; a part with values that are not finite fails."""
        table, host = self._arrive(flight)
        self._runner.timed(flight.batch.kind, len(flight.batch), flight.seconds)
        finite = np.isfinite(table)
        sound = bool(finite.all()) and (host is None or bool(np.isfinite(host).all()))
        last = last_feature = 0
        for part, wanted in zip(flight.batch.parts, flight.wanted, strict=True):
            rows, features = slice(last, last + len(part)), slice(last_feature, last_feature + len(wanted))
            last, last_feature = rows.stop, features.stop
            if not sound and (text := _unsound(finite[rows], None if host is None else host[features])):
                answer.failed[part.request] = ScorerError(f"the model returned {text} of {_name(part.request)}")
                continue
            answer.parts.append(part)
            answer.values.append(table[rows])
            answer.features.append(None if host is None else host[features])

    def _arrive(self, flight: Flight) -> tuple[Floats, Floats | None]:
        return flight.values.numpy(), None if flight.features is None else flight.features.float().numpy()

    def _buffer(self, batch: Batch) -> Tensor:
        """Where the batch is composed; where tokens are dropped only its length counts."""
        runner = self._runner
        rows = runner.size_of(batch)
        if not runner.composes:
            return torch.empty((rows, 0), device="cpu")
        return self._workspace.batch(rows, runner.room(batch.kind), batch.kind, runner.channels_last)


def _pieces(batch: Batch, rows: int) -> list[Batch]:
    """The batch in order, cut into batches of at most `rows`."""
    pieces = [Batch(batch.kind, batch.exact)]
    for part in batch.parts:
        start = part.start
        while start < part.stop:
            if len(pieces[-1]) == rows:
                pieces.append(Batch(batch.kind, batch.exact))
            stop = min(part.stop, start + rows - len(pieces[-1]))
            pieces[-1].add(Part(part.request, part.memo, start, stop))
            start = stop
    return pieces


def _unsound(finite: NDArray[np.bool_], features: Floats | None) -> str:
    """What of a part is no number, in words; empty where all is well."""
    bad = int((~finite.all(1)).sum())
    if bad:
        return f"NaN or infinity for {bad} of {len(finite)} rows"
    wrong = 0 if features is None else int((~np.isfinite(features).all(1)).sum())
    return f"NaN or infinity in the features of {wrong} rows" if wrong else ""


def _named(error: Exception, batch: Batch) -> Exception:
    """A model's failure as a ScorerError that says on what; errors about the user's arguments as they are."""
    own = isinstance(error, ModelError)
    if isinstance(error, (PysmdlError, ValueError)) and not own:
        return error
    text = str(error) if own else f"{type(error).__name__}: {error}"
    wrapped = ScorerError(f"the model failed on {_name(batch.parts[0].request)}: {text}")
    wrapped.__cause__ = error
    return wrapped


def _name(request: Request) -> str:
    return f"input {request.item.id!r}" if request.item.id is not None else "the input"


def out_of_memory(error: Exception) -> bool:
    """torch raises its own type on a GPU, and a plain RuntimeError on the CPU and for a GPU's libraries."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    said = ("out of memory", "can't allocate memory", "alloc_failed")
    return isinstance(error, RuntimeError) and any(each in text for each in said)
