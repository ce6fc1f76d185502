"""Output order: holds what is done until it is handed on, in the order of the inputs where that is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class OutputOrder:
    """Results by their inputs' numbers. Nobody waits for an input that failed.

    Args:
        ordered: Whether each waits for its turn.

    Attributes:
        changed: Whether there may be something to hand on.
    """

    def __init__(self, ordered: bool) -> None:
        self._ordered = ordered
        self._done: dict[int, Any] = {}
        self._failed: set[int] = set()
        self._turn = 0
        self.changed = False

    def add(self, index: int, found: Any) -> None:
        """The input of this number is done."""
        self._done[index] = found
        self.changed = True

    def skip(self, index: int) -> None:
        """The input of this number failed."""
        if self._ordered:
            self._failed.add(index)
            self.changed = True

    def take(self) -> Iterator[Any]:
        """What may be handed on by now."""
        self.changed = False
        if not self._ordered:
            while self._done:
                yield self._done.pop(next(iter(self._done)))
        while self._turn in self._done or self._turn in self._failed:
            failed = self._turn in self._failed
            self._failed.discard(self._turn)
            self._turn += 1
            if not failed:
                yield self._done.pop(self._turn - 1)

    def rest(self) -> Iterator[Any]:
        """All there is, in the end; in the order of the inputs."""
        while self._done:
            yield self._done.pop(min(self._done))
