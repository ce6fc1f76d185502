"""Slots: one batch under way each. On the CPU a batch is answered when it is submitted (on a GPU: cuda_slot.py)."""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from pysmdl.engine.batch import Answer, Batch
from pysmdl.engine.device.forward import Forward
from pysmdl.engine.device.sizes import Sizes
from pysmdl.engine.device.trouble import named, out_of_memory, unsound
from pysmdl.engine.device.workspace import Workspace
from pysmdl.profiling import count
from pysmdl.scorers.base import BatchRewritten
from pysmdl.types import Floats

log = logging.getLogger("pysmdl")


@dataclass(slots=True)
class Flight:
    """A batch on its way through the model: where its values and features will be, and when."""

    batch: Batch
    values: Any
    features: Any
    seconds: float = 0.0
    began: Any = None  # CUDA events
    landed: Any = None


class Slot:
    """Submits to the CPU: everything is done when submit() returns."""

    def __init__(self, forward: Forward, sizes: Sizes, workspace: Workspace) -> None:
        self._forward, self._sizes, self._workspace = forward, sizes, workspace
        self._flights: list[Flight] = []
        self._failed: dict[Any, Exception] = {}
        self._ended = 0.0

    @property
    def busy(self) -> bool:
        """Whether there is something to collect."""
        return bool(self._flights or self._failed)

    def submit(self, batch: Batch) -> None:
        """Send a batch. Out of memory halves the batch size; an input that fails does not take others along."""
        try:
            self._flights.append(self._launch(batch))
        except Exception as error:
            self._cut(batch, error)

    def _cut(self, batch: Batch, error: Exception) -> None:
        """What did not go through at once: a list of batches, each cut when its turn comes, by what is known then."""
        left = deque([(batch, error)])
        todo: deque[Batch] = deque()
        once: set[Any] = set()  # owners of single rows that were tried again
        while left or todo:
            if not left:
                piece = todo.popleft()
                room = self._sizes.room(piece.kind)
                if piece.rows > room:
                    todo.extendleft(reversed(piece.pieces(room)))
                    continue
                try:
                    self._flights.append(self._launch(piece))
                except Exception as another:
                    left.append((piece, another))
                continue
            failed, why = left.popleft()
            if isinstance(why, BatchRewritten):
                todo.appendleft(failed)
            elif out_of_memory(why) and (failed.rows > 1 or failed.parts[0].owner not in once):
                self._make_room(failed, once)
                todo.appendleft(failed)
            elif len(failed.parts) > 1:
                todo.extendleft(reversed(failed.apart()))  # find who fails
            else:
                part = failed.parts[0]
                self._failed[part.owner] = named(why, part, failed.kind.row)

    def _make_room(self, batch: Batch, once: set[Any]) -> None:
        """Memory ran out: smaller batches from now on, and what is kept is given back. A single row is tried again."""
        if batch.rows > 1:
            rows = batch.rows // 2
            self._sizes.of(batch.kind).limit(rows)
            log.warning("out of memory at %d rows; going on with batches of %d", batch.rows, rows)
        else:
            once.add(batch.parts[0].owner)
        self._workspace.clear()

    def collect(self) -> Answer | None:
        """The answer to what was submitted, once; None where nothing was. Waits for it."""
        if not self._flights and not self._failed:
            return None
        flights, self._flights = self._flights, []
        answer, self._failed = Answer(failed=self._failed), {}
        for flight in flights:
            self._land(flight, answer)
        if answer.failed:
            answer.parts = [each for each in answer.parts if each[0].owner not in answer.failed]
        answer.rows = sum(len(each[0].bits) for each in answer.parts)
        return answer

    def _launch(self, batch: Batch) -> Flight:
        began = self._ended or time.perf_counter()
        buffer = self._buffer(batch)
        rows = self._forward.rows_of(batch, len(buffer))
        values, features = self._forward.forward(batch, buffer, rows)
        table = values.numpy().copy()  # a model may answer in the same memory each time
        kept = None if features is None else features.float().numpy().copy()
        self._count(batch, len(buffer))
        self._ended = time.perf_counter()  # a batch costs what the host does between two of them as well
        return Flight(batch, table, kept, self._ended - began)

    def _buffer(self, batch: Batch) -> Tensor:
        """Where the batch is composed; where rows have sizes of their own only its length counts."""
        room = self._sizes.room(batch.kind)
        rows = self._forward.size_of(batch, room)
        memory = self._workspace.rooms.get(batch.kind)
        if memory is None or len(memory) < rows:
            memory = self._workspace.make_room(max(rows, room), batch.kind, self._forward.channels_last)
        return memory[:rows]

    def _count(self, batch: Batch, size: int) -> None:
        """Tell an active profile of a batch that went through the model, with so many rows."""
        room = self._sizes.room(batch.kind)
        count(batches=1, rows=batch.rows, padded=size - batch.rows, room=room)

    def _arrive(self, flight: Flight) -> tuple[Floats, Floats | None]:
        return flight.values, flight.features

    def _land(self, flight: Flight, answer: Answer) -> None:
        """Share out a flight's values; a part with values that are not finite fails."""
        table, features = self._arrive(flight)
        batch = flight.batch
        self._sizes.record(batch.kind, batch.rows, flight.seconds)
        finite = np.isfinite(table)
        sound = bool(finite.all()) and (features is None or bool(np.isfinite(features).all()))
        last = last_feature = 0
        for part in batch.parts:
            rows = slice(last, last + len(part.bits))
            wanted = slice(last_feature, last_feature + len(part.wanted))
            last, last_feature = rows.stop, wanted.stop
            own = None if features is None else features[wanted]
            error = None if sound else unsound(part, finite[rows], own, batch.exact)
            if error is not None:
                answer.failed[part.owner] = error
            else:
                answer.parts.append((part, batch.exact, table[rows], own))
