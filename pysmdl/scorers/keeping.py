"""What is kept for a scorer from one call to the next, and goes when the scorer goes."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

from pysmdl.scorers.base import Scorer

T = TypeVar("T")


class PerScorer(Generic[T]):
    """Values by scorer: the very object, whether or not it can be hashed, and nothing that is merely equal to it."""

    def __init__(self) -> None:
        self._values: dict[int, T] = {}
        self._watched: set[int] = set()

    def __contains__(self, scorer: Scorer) -> bool:
        return id(scorer) in self._values

    def __getitem__(self, scorer: Scorer) -> T:
        return self._values[id(scorer)]

    def __setitem__(self, scorer: Scorer, value: T) -> None:
        if id(scorer) not in self._watched:
            self._watched.add(id(scorer))
            weakref.finalize(scorer, self._forget, id(scorer)).atexit = False
        self._values[id(scorer)] = value

    def take(self, scorer: Scorer) -> T | None:
        """The value, which is not kept any longer; None where there is none."""
        return self._values.pop(id(scorer), None)

    def get_or(self, scorer: Scorer, make: Callable[[], T]) -> T:
        """The value, made and kept where there is none."""
        if scorer not in self:
            self[scorer] = make()
        return self[scorer]

    def _forget(self, number: int) -> None:
        self._values.pop(number, None)
        self._watched.discard(number)
