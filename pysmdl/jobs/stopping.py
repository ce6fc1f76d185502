"""Stopping a job: what is in flight has some seconds to be done, then it is let go."""

from __future__ import annotations

import time

GRACE = 10.0  # seconds: with as many for the store, a preempted machine's 20 s are enough
STORING = 6.0  # seconds that a store which is away is waited for then


class Stop:
    """Asked from another thread or a signal's handler, it ends a job: no more inputs are begun, those in flight have
    10 seconds to be done.

    Attributes:
        asked: Whether it was.
        over: Whether nothing is in flight any more, and what is done is being stored.
    """

    def __init__(self) -> None:
        self._until: float | None = None
        self.over = False

    def __call__(self, grace: float = GRACE) -> None:
        """Ask; asked again, those in flight have no more time than that."""
        until = time.monotonic() + grace
        self._until = until if self._until is None else min(self._until, until)

    @property
    def asked(self) -> bool:
        return self._until is not None

    @property
    def late(self) -> bool:
        """Whether what is in flight has had its time."""
        return self._until is not None and time.monotonic() >= self._until
