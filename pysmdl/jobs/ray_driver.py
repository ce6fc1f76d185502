"""A job on Ray: one actor a worker, each fed so that its engine never drains; what a dead one had goes to others."""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from pysmdl.config import EngineConfig
from pysmdl.errors import described
from pysmdl.jobs import parts
from pysmdl.jobs.entries import Entry
from pysmdl.jobs.places import place_of
from pysmdl.jobs.ray_cluster import imported, start
from pysmdl.jobs.ray_feed import PIECE, Feed
from pysmdl.jobs.ray_hand import Hand, WorkerError, hired
from pysmdl.jobs.ray_sums import Sums
from pysmdl.jobs.rows import failure_of
from pysmdl.jobs.state import State
from pysmdl.jobs.stopping import GRACE, STORING, Stop
from pysmdl.jobs.suspects import Suspects
from pysmdl.jobs.task import RayOptions, Task
from pysmdl.jobs.workers import Workers, writer_of

log = logging.getLogger("pysmdl")

WAITS = 30.0  # seconds after which it is said that no worker has begun
STARTS = 3  # times that a worker may die before it has begun


class RayWorkers(Workers):
    """Workers that are Ray's actors. Arguments are those of :func:`pysmdl.jobs.run`.

    Raises:
        MissingPackageError: Ray is not installed.
    """

    def __init__(self, task: Task, count: int, options: RayOptions, stop: Stop) -> None:
        ray = imported(options)
        self._ray, self._task, self._count, self._options, self._stop = ray, task, count, options, stop
        of_ray = ray.exceptions
        self._deadly = (of_ray.RayActorError, of_ray.WorkerCrashedError, of_ray.OutOfMemoryError)
        self._place = place_of(task.keeping.store)
        self._run = uuid.uuid4().hex[:4]
        self._hands: list[Hand] = []
        self._suspects = Suspects(options.attempts)
        self._lives = self._stillborn = 0

    def __enter__(self) -> RayWorkers:
        self._own = start(self._ray, self._count, self._options)
        try:
            self._shared = self._ray.put(self._task)
        except Exception as error:
            self.__exit__()
            raise ValueError(
                f"model and settings must be such that other processes can be sent them ({described(error)}): "
                "give the model as pysmdl.jobs.Factory(make, ...)"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        for hand in self._hands:
            hand.end()
        if self._own:
            self._ray.shutdown()

    def asked(self) -> dict[str, Any]:
        hand = self._new()
        self._hands.append(hand)
        told = time.monotonic() + WAITS
        while not self._ray.wait([hand.asked], timeout=1.0)[0]:
            if why := hand.hangs(self._options):
                raise WorkerError(f"workers do not begin: {why}")
            if time.monotonic() > told:
                told = math.inf
                log.warning("no worker has begun yet; %s (%s)", hand.line, self._options)
            if self._stop.asked:
                raise KeyboardInterrupt
        found: dict[str, Any] = hand.said()
        return found

    def work(self, entries: Iterable[Entry], state: State) -> None:
        at_once = (self._task.settings.get("config") or EngineConfig()).max_searches
        self._state, self._sums = state, Sums(state, self._count)
        self._feed = Feed(entries, at_once, self._suspects)
        self._writer = writer_of(self._task.keeping, f"{self._task.keeping.share}-driver")
        few = self._count if state.total is None else -(-state.total // PIECE)
        self._hands += [self._new() for _ in range(min(self._count, few) - len(self._hands))]
        for hand in self._hands:
            if hand.begun is not None:
                hand.begin()
        try:
            while not self._stop.asked and self._feed.left(self._hands):
                self._turn()
            self._close()
        finally:
            self._writer.close()
            state.failed = self._sums.failed

    def _turn(self) -> None:
        for hand in self._hands:
            self._feed.give(hand, self._hands, self._state)
        waited = [hand.asked for hand in self._hands]
        self._ray.wait(waited, num_returns=1, timeout=1.0)
        ready, _ = self._ray.wait(waited, num_returns=len(waited), timeout=0)
        for hand in [hand for hand in self._hands if hand.asked in ready]:
            try:
                if hand.begun is None:
                    hand.said()
                    hand.begin()
                else:
                    self._sums.heard(hand, self._ray.get(hand.asked))
                    hand.asked = hand.actor.news.remote()
            except self._deadly as error:
                self._died(hand, described(error).splitlines()[0])
        for hand in list(self._hands):
            if why := hand.hangs(self._options):
                hand.end()
                self._died(hand, why)
        self._sums.tell(self._hands)

    def _new(self) -> Hand:
        self._lives += 1
        return hired(self._ray, self._shared, f"{self._task.keeping.share}-{self._run}w{self._lives}", self._options)

    def _died(self, hand: Hand, why: str) -> None:
        """Others get what it had not stored. What may have killed it is halved until the input that did is alone."""
        self._hands.remove(hand)
        stored, failed = (set(self._ids_of(hand, folder)) for folder in ("parts", "failures"))
        lost = [entry for id, entry in hand.leased.items() if id not in stored | failed]
        self._sums.gone(hand, stored, failed, len(lost))
        log.warning("worker %s is gone with %d inputs in hand: %s", hand.name, len(lost), why)
        self._stillborn = 0 if hand.begun is not None else self._stillborn + 1
        if self._stillborn >= STARTS:
            raise WorkerError(f"workers die before they begin, {self._stillborn} in a row: {why}")
        guilty = self._suspects.lost(lost)
        if guilty is not None:
            self._put_aside(guilty, why)
        self._hands.append(self._new())

    def _put_aside(self, entry: Entry, why: str) -> None:
        deaths = self._suspects.deaths[entry.id]
        error = f"it took its worker along {deaths} times: {why}"
        log.error("input %r failed: %s", entry.id, error)
        self._writer.fail(failure_of(entry.id, error, entry.source, entry.group, entry.attempts + deaths))
        self._sums.put_aside(entry.id)

    def _ids_of(self, hand: Hand, folder: str) -> Iterator[str]:
        """What a worker stored, whether or not it could say so."""
        for _, table in parts.read_all(self._place, folder, ["id"], of=f"-{hand.name}-"):
            yield from table["id"].to_pylist()

    def _close(self) -> None:
        """Have each worker store what it has; those that do not within the time of a stop are let go."""
        self._stop.over = True  # the workers have times of their own
        if self._stop.asked:
            self._writer.hurry(STORING)
            for hand in self._hands:
                hand.actor.stop.remote(GRACE)
        begun = [hand for hand in self._hands if hand.begun is not None]
        closing = {each: hand for hand in begun for each in (hand.asked, hand.actor.close.remote())}
        until = time.monotonic() + (GRACE + STORING if self._stop.asked else self._task.keeping.patience + GRACE)
        while closing and time.monotonic() < until:
            ready, _ = self._ray.wait(list(closing), num_returns=1, timeout=0.5)
            for each in ready:
                with suppress(*self._deadly):
                    self._sums.heard(closing.pop(each), self._ray.get(each))
        self._sums.tell(self._hands)
