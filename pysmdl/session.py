"""What is kept for a scorer or a model from one call to the next, and goes when that goes."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class KeptWith(Generic[T]):
    """Values by owner: the very object, whether or not it can be hashed, and nothing that is merely equal to it.

    A value that refers to its owner would keep it for ever.
    """

    def __init__(self) -> None:
        self._values: dict[int, T] = {}
        self._watched: set[int] = set()

    def __contains__(self, owner: Any) -> bool:
        return id(owner) in self._values

    def __getitem__(self, owner: Any) -> T:
        return self._values[id(owner)]

    def __setitem__(self, owner: Any, value: T) -> None:
        if id(owner) not in self._watched:
            self._watched.add(id(owner))
            weakref.finalize(owner, self._forget, id(owner)).atexit = False
        self._values[id(owner)] = value

    def take(self, owner: Any) -> T | None:
        """The value, which is not kept any longer; None where there is none."""
        return self._values.pop(id(owner), None)

    def get_or(self, owner: Any, make: Callable[[], T]) -> T:
        """The value, made and kept where there is none."""
        if owner not in self:
            self[owner] = make()
        return self[owner]

    def _forget(self, number: int) -> None:
        self._values.pop(number, None)
        self._watched.discard(number)
