"""Scheduler: who fills the next batch. Bookkeeping only: no tensor is touched here."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pysmdl.engine.batch import Answer, Batch, Part
from pysmdl.engine.item import Kind
from pysmdl.engine.requests.features import NONE
from pysmdl.engine.requests.request import Request


class Scheduler:
    """Oldest request first: what was admitted first finishes first, and memory stays bounded."""

    def __init__(self, alone: bool = False) -> None:
        self._alone = alone  # deterministic: no company
        self.live: dict[Request, int] = {}  # in the order of admission, with the place of each input in its pool

    def admit(self, request: Request, place: int) -> None:
        self.live[request] = place

    def next_batch(self, room_of: Callable[[Kind], int]) -> Batch | None:
        """The oldest waiting rows, of one kind and at most as many as there is room for; None where nobody waits."""
        batch: Batch | None = None
        room = 0
        for request, place in self.live.items():
            values, item = request.values, request.item
            exact = values.exact.waiting > 0 if batch is None else batch.exact  # exact rows go first
            memo = values.exact if exact else values.memo
            if not memo.waiting or (batch is not None and item.kind is not batch.kind):
                continue
            if batch is None:
                batch, room = Batch(item.kind, exact, [], 0), room_of(item.kind)
            start, bits = memo.take(room - batch.rows)
            features, stop = values.features, start + len(bits)
            wanted = features.of_rows(start, stop) if exact and start <= features.last else NONE
            ahead = request.unasked(start, stop) if memo is values.memo else NONE
            batch.parts.append(Part(request, place, bits, values.target, wanted, item.resident.host, ahead))
            batch.rows += len(bits)
            if batch.rows == room or self._alone:
                break
        return batch

    def complete(self, answer: Answer) -> Iterator[tuple[Request, Exception | None]]:
        """Hand each part its answer; yields each request that is done, which leaves, or that failed at it, with why."""
        for part, exact, values, features in answer.parts:
            request = part.owner
            if request not in self.live:  # it failed while these rows were under way
                continue
            try:
                request.deliver(exact, values, features)
            except Exception as error:  # of a set function or a search of the caller's own, say
                yield request, error
                continue
            if request.result is not None:
                yield request, None

    def drop(self, request: Request) -> int:
        """Forget a request that is done or failed; returns the place of its input."""
        return self.live.pop(request)
