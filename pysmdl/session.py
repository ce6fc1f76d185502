"""Session: what is kept for a scorer or a bare model from one call to the next, and goes when that goes."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass
class Session:
    """What calls with one scorer, or with one bare model, leave to the next.

    Attributes:
        sizes: Batch sizes found, by configuration and device.
        resident: Memory, pools, streams and graphs while no call is using them; a call takes them out.
        forms: Of the scorer: compiled, or for another removal.
    """

    sizes: dict[Any, Any] = field(default_factory=dict)
    resident: Any = None
    forms: dict[str, Any] = field(default_factory=dict)

    def form(self, name: str, make: Callable[[], Any]) -> Any:
        """A form of the scorer, made once. It must not refer to the session's owner, which would then never go."""
        if name not in self.forms:
            self.forms[name] = make()
        return self.forms[name]

    def take_resident(self) -> Any:
        """What is resident, which is the caller's until it gives it back."""
        found, self.resident = self.resident, None
        return found


class WeakStore(Generic[T]):
    """Values by owner: the very object, whether or not it can be hashed, and nothing that is merely equal to it.

    A value that refers to its owner would keep it for ever.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: dict[int, T] = {}

    def of(self, owner: Any) -> T:
        """The owner's value, made where there is none."""
        found = self._values.get(id(owner))
        if found is None:
            found = self._values.setdefault(id(owner), self._make())  # two threads get one
            weakref.finalize(owner, self._values.pop, id(owner), None).atexit = False
        return found

    def __contains__(self, owner: Any) -> bool:
        return id(owner) in self._values


SESSIONS: WeakStore[Session] = WeakStore(Session)
