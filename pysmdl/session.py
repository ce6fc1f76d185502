"""What is kept for a scorer or a bare model from one call to the next, and what goes into pickles and copies."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any, Generic, ParamSpec, TypeVar

T = TypeVar("T")
Arguments = ParamSpec("Arguments")
Made = TypeVar("Made", bound="Remade")


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


class Remade:
    """What :func:`remade` makes; what is made otherwise, by hand or by dataclasses.replace, is pickled as it is."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        call = self.__dict__.get("_call")
        return super().__reduce_ex__(protocol) if call is None else (call, ())


class Copied:
    """What is copied as it is, whatever its pickles leave out."""

    def __copy__(self) -> Any:
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        return other


def remade(make: Callable[Arguments, Made]) -> Callable[Arguments, Made]:
    """For a function of a module that makes something of functions within it, of arguments that never change."""

    @wraps(make)
    def made(*args: Arguments.args, **settings: Arguments.kwargs) -> Made:
        found = make(*args, **settings)
        object.__setattr__(found, "_call", partial(made, *args, **settings))  # found may be frozen
        return found

    return made
