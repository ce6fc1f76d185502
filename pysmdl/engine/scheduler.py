"""Scheduler: who fills the next batch. Bookkeeping only: no tensor is touched here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from pysmdl.engine.plan import Kind
from pysmdl.engine.requests.features import NONE
from pysmdl.engine.requests.memo import Memo
from pysmdl.engine.requests.request import Request
from pysmdl.types import Floats


@dataclass(frozen=True)
class Part:
    """Rows start..stop-1 of one request's memo."""

    request: Request
    memo: Memo
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass
class Batch:
    """Rows of one forward pass, from one or many requests of one kind, in one precision."""

    kind: Kind
    exact: bool = True
    parts: list[Part] = field(default_factory=list)
    rows: int = field(init=False)

    def __post_init__(self) -> None:
        self.rows = sum(map(len, self.parts))

    def add(self, part: Part) -> None:
        self.parts.append(part)
        self.rows += len(part)

    def __len__(self) -> int:
        return self.rows


class Scheduler:
    """Oldest request first: what was admitted first finishes first, and memory stays bounded."""

    def __init__(self, alone: bool = False) -> None:
        self._alone = alone  # deterministic: no company
        self.live: dict[Request, None] = {}  # in the order of admission

    def admit(self, request: Request) -> None:
        self.live[request] = None

    def next_batch(self, room_of: Callable[[Kind], int]) -> Batch | None:
        """The oldest waiting rows, of one kind and at most as many as there is room for; None where nobody waits."""
        for first in self.live:
            waiting = first.known.waiting
            if waiting is not None:
                break
        else:
            return None
        batch = Batch(first.item.kind, waiting is first.known.exact)
        room = room_of(batch.kind)
        for request in [first] if self._alone else self.live:
            memo = request.known.exact if batch.exact else request.known.memo
            if memo.waiting and request.item.kind is batch.kind:
                batch.add(Part(request, memo, *memo.take(room - len(batch))))
                if len(batch) == room:
                    break
        return batch

    def complete(
        self, parts: list[Part], values: list[Floats], features: list[Floats | None]
    ) -> Iterator[tuple[Request, Exception | None]]:
        """Hand each part its answer; yields each request that is done, which leaves, or that failed at it, with why."""
        for part, answer, given in zip(parts, values, features, strict=True):
            request = part.request
            if request not in self.live:  # it failed while these rows were under way
                continue
            try:
                request.complete(part.memo, answer, given)
            except Exception as error:  # of a set function or a search of the caller's own, say
                yield request, error
                continue
            if request.result is not None:
                del self.live[request]
                yield request, None

    def drop(self, request: Request) -> None:
        """Forget a request that failed."""
        del self.live[request]


def wanted_features(batch: Batch) -> list[np.ndarray]:
    """Of each part, the rows whose features are wanted, as offsets into the batch."""
    first, wanted = 0, []
    for part in batch.parts:
        known = part.request.known
        if part.memo is known.exact:
            wanted.append(known.features.of_rows(part.start, part.stop) + first)
        else:
            wanted.append(NONE)
        first += len(part)
    return wanted
