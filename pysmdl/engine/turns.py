"""Turns: hands on what is done, in the order of the inputs where that is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


class Turns:
    """Holds back what is done before its turn; nobody waits for an input that failed.

    Args:
        ordered: Whether there are turns at all.
    """

    def __init__(self, ordered: bool) -> None:
        self._ordered = ordered
        self._early: dict[int, Any] = {}
        self._failed: set[int] = set()
        self._turn = 0

    def skip(self, index: int) -> None:
        """The input of this number failed."""
        self._failed.add(index)

    def take(self, done: Iterable[tuple[int, Any]]) -> Iterator[Any]:
        """What may be handed on, now that these are done, each with its input's number."""
        if not self._ordered:
            yield from (found for _, found in done)
            return
        self._early.update(done)
        while self._turn in self._early or self._turn in self._failed:
            found = self._early.pop(self._turn, None)
            self._failed.discard(self._turn)
            self._turn += 1
            if found is not None:
                yield found

    def rest(self, more: Iterable[tuple[int, Any]] = ()) -> Iterator[Any]:
        """All that is held back, with what else there is in the end."""
        self._early.update(more)
        while self._early:
            yield self._early.pop(min(self._early))
