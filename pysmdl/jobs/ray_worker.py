"""A worker of Ray's: an actor with an engine and a writer of its own, fed with pieces of the job."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

from pysmdl.jobs.asked import asked
from pysmdl.jobs.entries import Entry
from pysmdl.jobs.here import Here
from pysmdl.jobs.places import place_of
from pysmdl.jobs.state import State
from pysmdl.jobs.stopping import Stop
from pysmdl.jobs.task import Task
from pysmdl.jobs.workers import writer_of

NEWS = 0.5  # seconds between two reports where nothing happens


@dataclass
class News:
    """What a worker reports.

    Attributes:
        stored, failed: Ids that are in the store since the last report.
        done: Inputs that are explained or failed, of all it was ever fed.
        evaluations: Of all it ever did.
        model_seconds: Likewise; None where that is not measured.
        rows, room: Likewise rows of its batches, and how many there was room for; 0 where that is not measured.
        silent: Seconds since the model answered, or 0 where there is nothing to do.
        error: What ended it.
    """

    stored: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    done: int = 0
    evaluations: int = 0
    model_seconds: float | None = None
    rows: int = 0
    room: int = 0
    silent: float = 0.0
    error: Exception | None = None

    @property
    def batch_fill(self) -> float | None:
        """Rows over room; None where that is not measured."""
        return self.rows / self.room if self.room else None

    def model_share(self, seconds: float) -> float | None:
        """The model's share of so many seconds."""
        return None if self.model_seconds is None or seconds <= 0 else self.model_seconds / seconds

    def outlive(self, other: News) -> None:
        """Add the sums of a worker that is gone."""
        self.evaluations += other.evaluations
        self.rows, self.room = self.rows + other.rows, self.room + other.room
        self.model_seconds = (self.model_seconds or 0.0) + (other.model_seconds or 0.0)


class Worker:
    """The actor. Its methods are called from several threads of it, so that it answers while the engine runs.

    Args:
        task: What it explains with.
        name: Its own: parts that it writes bear it.
        folder: Where the driver runs: paths are from there.
    """

    def __init__(self, task: Task, name: str, folder: str) -> None:
        self._task, self._name, self._folder = task, name, folder
        self._queue: queue.Queue[Entry | None] = queue.Queue()
        self._state, self._stop = State(), Stop()
        self._changed = threading.Event()
        self._news = News()
        self._lock = threading.Lock()
        self._busy = False
        self._held = ExitStack()

    def hello(self) -> dict[str, Any]:
        """Make the model and begin; what the job is asked, as this worker sees it. Raises what that raises."""
        with suppress(OSError):  # another machine's
            os.chdir(self._folder)
        place = place_of(self._task.keeping.store)
        explainer = self._task.explainer()
        found = asked(explainer, self._task.target, self._task.words)
        place.ready()
        self._writer = writer_of(self._task.keeping, self._name, told=self._told)
        self._here = Here(explainer, self._task.target, self._writer, self._state, self._stop)
        self._thread = threading.Thread(target=self._work, name="pysmdl-worker", daemon=True)
        self._thread.start()
        return found

    def up(self) -> None:
        """The process is there."""

    def hold(self) -> None:
        """Hold the share: a later run waits until this process is gone."""
        place = place_of(self._task.keeping.store)
        self._held.enter_context(place.held(f"{self._task.keeping.share}-workers", by_all=True, seconds=60.0))

    def feed(self, piece: list[Entry]) -> None:
        """More to explain."""
        for entry in piece:
            self._queue.put(entry)

    def news(self) -> News:
        """What happened since this was last asked; waits a little where nothing did."""
        self._changed.wait(NEWS)
        with self._lock:
            self._changed.clear()
            found, self._news = self._news, News(error=self._news.error)
        found.done = self._state.done + self._state.failed
        for name in ("evaluations", "model_seconds", "rows", "room"):
            setattr(found, name, getattr(self._state, name))
        found.silent = time.monotonic() - self._here.beat if self._busy else 0.0
        return found

    def flush(self) -> None:
        """Store what waits."""
        self._writer.flush()

    def stop(self, grace: float) -> None:
        """Begin no more; what is in flight has so many seconds."""
        self._stop(grace)

    def close(self) -> News:
        """Explain what there is, store it, and report."""
        self._queue.put(None)
        self._thread.join()
        self._held.close()
        return self.news()

    def _work(self) -> None:
        try:
            while (entry := self._queue.get()) is not None and not self._stop.asked:
                self._busy = True
                self._here.work(self._at_hand(entry))
                self._busy = False
                self._changed.set()
        except BaseException as error:
            self._news.error = error if isinstance(error, Exception) else RuntimeError(repr(error))
        try:
            self._writer.close()
        except Exception as error:
            self._news.error = error
        self._changed.set()

    def _at_hand(self, entry: Entry) -> Iterator[Entry]:
        """Until there is nothing more: then the engine ends what it is at, and begins anew with what comes."""
        found: Entry | None = entry
        while found is not None:
            yield found
            try:
                found = self._queue.get_nowait()
            except queue.Empty:
                return
        self._queue.put(None)  # close() was called

    def _told(self, folder: str, ids: list[str]) -> None:
        with self._lock:
            (self._news.stored if folder == "parts" else self._news.failed).extend(ids)
        self._changed.set()
