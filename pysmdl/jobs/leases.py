"""Leases: who is at work on a store at an address, where there are no locks.

Whoever holds a share has an object of its own there and writes it anew every so often; one that stays as it is was left
by somebody who is dead. No two machines' clocks are compared.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, Protocol

from pysmdl.errors import StoreError

FOLDER = "leases"
BEAT, DEAD = 10.0, 30.0  # seconds between two writes, and without one

log = logging.getLogger("pysmdl")


class Objects(Protocol):
    """What is asked of the store's place."""

    def names(self, folder: str, suffix: str = ...) -> list[str]: ...
    def opened(self, name: str) -> BinaryIO: ...
    def write(self, name: str, content: bytes) -> None: ...
    def remove(self, name: str) -> None: ...


@contextmanager
def leased(place: Objects, share: str, by_all: bool = False, seconds: float = 0.0) -> Iterator[None]:
    """Hold a share, alone or with all who hold it likewise. Waits so long for others that live, and until it is known
    whether they do. Of two that begin at the same moment each may refuse for the other's sake.

    Raises:
        StoreError: others hold it.
    """
    mine = f"{FOLDER}/{share}.{'shared' if by_all else 'alone'}.{uuid.uuid4().hex[:12]}"
    over = threading.Event()
    place.write(mine, b"0")  # first, then look: two that begin at once see each other
    thread = threading.Thread(target=_beat, args=(place, mine, over), name="pysmdl-lease", daemon=True)
    thread.start()
    try:
        _wait(place, share, by_all, seconds, mine)
        yield
    finally:
        over.set()
        thread.join(BEAT)
        with suppress(Exception):  # the store is away: it counts as dead soon
            place.remove(mine)


def _beat(place: Objects, mine: str, over: threading.Event) -> None:
    count = 0
    while not over.wait(BEAT):
        count += 1
        with suppress(Exception):  # the store is away: the writer says so
            place.write(mine, str(count).encode())


def _wait(place: Objects, share: str, by_all: bool, seconds: float, mine: str) -> None:
    """Until nobody else is there, but for those that are dead, whose objects go."""
    until, seen, alive = time.monotonic() + seconds, dict[str, tuple[bytes, float]](), set[str]()
    while others := dict(_others(place, share, by_all, mine)):
        now = time.monotonic()
        if not seen:
            log.warning("%s: another run may be at work; it is known in %.0f s at most", place, max(DEAD, seconds))
        for name, content in others.items():
            before, since = seen.setdefault(name, (content, now))
            if before != content:
                alive.add(name)
                seen[name] = content, now
            elif now - since >= DEAD:
                log.warning("%s/%s is of a run that is dead", place, name)
                place.remove(name)
        if now >= until and alive & set(others):
            raise StoreError(f"another run is at work on this share of the store {place}")
        time.sleep(BEAT / 10)


def _others(place: Objects, share: str, by_all: bool, mine: str) -> Iterator[tuple[str, bytes]]:
    for name in place.names(FOLDER, ""):
        held, _, rest = name.removeprefix(f"{FOLDER}/").rpartition(".")[0].rpartition(".")
        if held == share and name != mine and not (by_all and rest == "shared"):
            with suppress(FileNotFoundError), place.opened(name) as file:
                yield name, file.read()
