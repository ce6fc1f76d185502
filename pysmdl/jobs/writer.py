"""Writer: packs and stores what is done, in a thread of its own, so that the engine never waits for a disk."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, TypeAlias

from pysmdl.errors import StoreError, described
from pysmdl.explanation import Explanation
from pysmdl.jobs import parts, schema
from pysmdl.jobs.entries import Entry
from pysmdl.jobs.places import Place
from pysmdl.jobs.rows import failure_of, row_of

log = logging.getLogger("pysmdl")

Make: TypeAlias = Callable[[], tuple[str, Mapping[str, Any]]]  # a row, packed, and the folder where it belongs

ROWS, SECONDS = 256, 10.0  # a part is written when it has so many rows, or its first has waited so long
PATIENCE = 60.0  # seconds that a store which cannot be written to is tried again
WAITING = 4096  # rows held meanwhile; beyond these the engine waits, too,
HELD = 1 << 28  # bytes, and beyond these of theirs
LONGEST = 5.0  # seconds between two tries


class Writer:
    """Rows on their way into the store.

    Args:
        place: The store.
        rows, seconds: When a part is written.
        patience: Seconds that a write is tried again.
        who: Is part of the names of parts.
        picture: Whether rows have a small picture.
        told: Is told of a part that is in the store: its folder, and its rows' ids.

    Attributes:
        stored: Explanations that are in the store.
        failed: Failures that are.
        lost: Rows that could not be stored.
    """

    def __init__(
        self,
        place: Place,
        rows: int = ROWS,
        seconds: float = SECONDS,
        patience: float = PATIENCE,
        who: str = "",
        picture: bool = False,
        told: Callable[[str, list[str]], None] = lambda folder, ids: None,
    ) -> None:
        self._place, self._rows, self._seconds, self._patience = place, rows, seconds, patience
        self._who, self._picture, self._told = who, picture, told
        self.stored = self.failed = self.lost = 0
        self._error: Exception | None = None
        self._latest = float("inf")  # when no more is tried
        self._held, self._freed = 0, threading.Condition()
        self._queue: queue.Queue[Make | Literal["flush", "close"]] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._work, name="pysmdl-writer", daemon=True)
        self._thread.start()

    def put(self, found: Explanation, entry: Entry) -> None:
        """An explanation. Waits while too much waits to be stored.

        Raises:
            StoreError: the store cannot be written to, for longer than the patience.
        """
        if found.pixels is not None and not self._picture:
            found = replace(found, size=found.size or found.pixels.shape[:2], pixels=None)
        size = found.labels.nbytes + (0 if found.pixels is None else found.pixels.nbytes)
        with self._freed:
            while self._held and self._held + size > HELD and self._error is None:
                self._freed.wait(1.0)
            self._held += size
        self._put(lambda: self._packed(found, entry, size))

    def fail(self, row: Mapping[str, Any]) -> None:
        """A failure, as a row of the schema. Raises as :meth:`put`."""
        self._put(lambda: ("failures", row))

    def flush(self) -> None:
        """Store soon what waits, whatever there is."""
        self._queue.put("flush")

    def close(self) -> None:
        """Store the rest. Raises as :meth:`put`."""
        self._queue.put("close")
        self._thread.join()
        self._check()

    def hurry(self, seconds: float) -> None:
        """Try for no longer than so many seconds from now."""
        self._latest = min(self._latest, time.monotonic() + seconds)

    def _put(self, make: Make) -> None:
        while True:
            self._check()
            try:
                return self._queue.put(make, timeout=1.0)
            except queue.Full:  # whoever waits here must see that the store is given up
                continue

    def _check(self) -> None:
        if self._error is not None:
            raise StoreError(
                f"the store {self._place} cannot be written to: {described(self._error)}; what was stored before is "
                f"there, {self.lost} explanations and failures are not: the same command again explains these anew"
            ) from self._error

    def _packed(self, found: Explanation, entry: Entry, size: int) -> tuple[str, Mapping[str, Any]]:
        with self._freed:
            self._held -= size
            self._freed.notify()
        try:
            return "parts", row_of(found, entry.id, entry.source, entry.group, self._picture)
        except Exception as error:  # notes of a search of somebody's own that are no plain values
            return "failures", failure_of(entry.id, error, entry.source, entry.group)

    def _work(self) -> None:
        waiting: dict[str, list[Mapping[str, Any]]] = {"parts": [], "failures": []}
        due = float("inf")
        while True:
            try:
                make = self._queue.get(timeout=max(0.0, min(due - time.monotonic(), 3600.0)))
            except queue.Empty:
                due = self._flush(waiting)
                continue
            if isinstance(make, str):
                due = self._flush(waiting)
                if make == "close":
                    return
                continue
            if self._error is not None:
                self.lost += 1
                continue
            folder, row = make()
            waiting[folder].append(row)
            due = min(due, time.monotonic() + self._seconds)
            if sum(map(len, waiting.values())) >= self._rows:
                due = self._flush(waiting)

    def _flush(self, waiting: dict[str, list[Mapping[str, Any]]]) -> float:
        """Store what waits; returns when that is due next."""
        for folder, rows in waiting.items():
            if rows and not self._written(folder, rows):
                self.lost += len(rows)
            rows.clear()
        return float("inf")

    def _written(self, folder: str, rows: list[Mapping[str, Any]]) -> bool:
        """Whether a part is in the store, after as many tries as there is patience for."""
        if self._error is not None:
            return False
        try:
            content = parts.content_of(rows, schema.part() if folder == "parts" else schema.failure())
            self._try(parts.named(folder, content, self._who), content)
        except Exception as error:
            self._error = error
            log.error("%d rows could not be stored: %s", len(rows), described(error))
            return False
        self._told(folder, [row["id"] for row in rows])
        if folder == "parts":
            self.stored += len(rows)
        else:
            self.failed += len(rows)
        return True

    def _try(self, name: str, content: bytes) -> None:
        until, wait = time.monotonic() + self._patience, 0.1
        while True:
            try:
                return self._place.write(name, content)
            except Exception as error:  # of many types, as fsspec has many kinds of stores
                if time.monotonic() + wait > min(until, self._latest):
                    raise
                log.warning("%s/%s is tried again in %.1f s: %s", self._place, name, wait, described(error))
                time.sleep(wait)
                wait = min(2 * wait, LONGEST)
