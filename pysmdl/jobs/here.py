"""The worker in this process: one engine, fed from the entries, its explanations handed to the writer."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from typing import Any

from pysmdl.errors import described
from pysmdl.explainer import Explainer
from pysmdl.jobs.entries import Entry
from pysmdl.jobs.rows import failure_of
from pysmdl.jobs.state import State
from pysmdl.jobs.stopping import STORING, Stop
from pysmdl.jobs.writer import Writer
from pysmdl.profiling import Event, Profile
from pysmdl.progress import Progress

log = logging.getLogger("pysmdl")


class Here:
    """Explains entries in this thread.

    Args:
        explainer: The model and the settings.
        target: Of entries that name none.
        writer: Stores what is done.
        state: Is told how far it is.
        stop: Ends it early.

    Attributes:
        beat: time.monotonic() when the model answered last.
    """

    def __init__(self, explainer: Explainer, target: Any, writer: Writer, state: State, stop: Stop) -> None:
        self._explainer, self._target, self._writer, self._state, self._stop = explainer, target, writer, state, stop
        self._flight: dict[int, Entry] = {}  # by the engine's numbers
        on_host = explainer.scorer.device.type == "cpu"  # on a GPU the host only launches
        self._model = Sum("model") if on_host else None
        self._profile = None if self._model is None else Profile(events=self._model)
        self._before = 0  # evaluations of earlier calls of work()
        self.beat = time.monotonic()

    def work(self, entries: Iterable[Entry]) -> None:
        """Until all are done, or it is stopped. Inputs that are cut short are left as if they had not been begun."""
        self._before, self.beat = self._state.evaluations, time.monotonic()
        items = self._items(iter(entries))
        try:
            for found in self._explainer.run(items, self._progress, self._failed, self._profile):
                entry = self._flight.pop(found.index)
                if found.notes.get("stopped") != "interrupted":
                    self._writer.put(found, entry)
                    self._state.done += 1
        except KeyboardInterrupt:
            self._writer.hurry(STORING)
            if not self._stop.asked:  # else it is what was asked for
                raise
        finally:
            self._stop.over = True
        if self._stop.asked:
            self._writer.hurry(STORING)

    def _items(self, entries: Iterator[Entry]) -> Iterator[dict[str, Any]]:
        number = 0
        while not self._stop.asked:
            entry = next(entries, None)
            if entry is None:
                return
            try:
                item = entry.item(self._target)
            except Exception as error:
                self._fail(entry, error)
                continue
            self._flight[number] = entry
            number += 1
            yield item

    def _failed(self, number: int, error: Exception) -> None:
        self._fail(self._flight.pop(number), error)

    def _fail(self, entry: Entry, error: Exception) -> None:
        log.error("input %r failed: %s", entry.id, described(error))
        self._writer.fail(failure_of(entry.id, error, entry.source, entry.group, entry.attempts + 1))
        self._state.failed += 1

    def _progress(self, progress: Progress) -> None:
        self.beat = time.monotonic()
        self._state.evaluations = self._before + progress.evaluations
        self._state.stored = self._writer.stored
        if self._model is not None and self._profile is not None:
            self._state.model_seconds, counts = self._model.seconds, self._profile.counts
            self._state.rows, self._state.room = counts["rows"], counts["room"]
        if self._stop.late:
            raise KeyboardInterrupt


class Sum(list[Event]):
    """A profile's events of which nothing is kept but the seconds of one stage, however long a job is."""

    def __init__(self, stage: str) -> None:
        super().__init__()
        self._stage, self.seconds = stage, 0.0

    def append(self, event: Event) -> None:
        """Count it."""
        if event.stage == self._stage:
            self.seconds += event.own
