"""A job on Ray: one actor a worker, each fed so that its engine never drains; what a dead one had goes to others."""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from pysmdl.config import EngineConfig
from pysmdl.errors import described
from pysmdl.jobs import parts
from pysmdl.jobs.entries import Entry
from pysmdl.jobs.places import place_of
from pysmdl.jobs.ray_cluster import imported, start
from pysmdl.jobs.ray_hand import Hand, WorkerError, hired
from pysmdl.jobs.ray_worker import News
from pysmdl.jobs.rows import failure_of
from pysmdl.jobs.state import State
from pysmdl.jobs.stopping import GRACE, STORING, Stop
from pysmdl.jobs.suspects import Suspects
from pysmdl.jobs.task import RayOptions, Task
from pysmdl.jobs.workers import Workers, writer_of

log = logging.getLogger("pysmdl")

PIECE = 4  # inputs that are handed over at a time
LEAST = 4  # inputs that a worker has at hand near the end
AHEAD = 1.5  # seconds' inputs beyond what its engine takes at once, before: thrice the time between two reports
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
        self._past = News()  # sums of workers that are gone
        self._failed_here: set[str] = set()
        self._failed_there = 0
        config = task.settings.get("config")
        self._at_once = (config or EngineConfig()).max_searches

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
        self._state, self._entries = state, iter(entries)
        self._ended = False
        self._writer = writer_of(self._task.keeping, f"{self._task.keeping.share}-driver")
        few = self._count if state.total is None else -(-state.total // PIECE)
        self._hands += [self._new() for _ in range(min(self._count, few) - len(self._hands))]
        for hand in self._hands:
            if hand.begun is not None:
                hand.begin()
        try:
            while not self._stop.asked and self._left():
                self._turn()
            self._close()
        finally:
            self._writer.close()
            state.failed = len(self._failed_here) + self._failed_there

    def _left(self) -> bool:
        return not self._ended or bool(self._suspects) or any(hand.leased for hand in self._hands)

    def _turn(self) -> None:
        for hand in self._hands:
            self._feed(hand)
        waited = [hand.asked for hand in self._hands]
        self._ray.wait(waited, num_returns=1, timeout=1.0)
        ready, _ = self._ray.wait(waited, num_returns=len(waited), timeout=0)
        for hand in [hand for hand in self._hands if hand.asked in ready]:
            try:
                if hand.begun is None:
                    hand.said()
                    hand.begin()
                else:
                    self._heard(hand, self._ray.get(hand.asked))
                    hand.asked = hand.actor.news.remote()
            except self._deadly as error:
                self._died(hand, described(error).splitlines()[0])
        for hand in list(self._hands):
            if why := hand.hangs(self._options):
                hand.end()
                self._died(hand, why)
        self._tell()

    def _new(self) -> Hand:
        self._lives += 1
        return hired(self._ray, self._shared, f"{self._task.keeping.share}-{self._run}w{self._lives}", self._options)

    def _feed(self, hand: Hand) -> None:
        """Keep as much in a worker's hands as its engine takes, and less near the end, for the others' sake. Suspects
        go to one that has nothing: to the new one in a dead one's place, first of all.
        """
        if hand.leased and hand.fed == hand.done and (self._ended or hand.suspects or self._suspects):
            hand.flush()
        if hand.begun is None or (hand.suspects and hand.leased):
            return
        hand.suspects = False
        if self._suspects and not hand.leased:
            hand.give(self._suspects.next())
            hand.suspects = True
            return
        most = self._at_once + max(3 * PIECE, math.ceil(AHEAD * hand.rate))
        if self._state.total is not None:
            open_ = self._state.total - self._state.done - self._state.failed
            most = max(LEAST, min(most, open_ // (2 * len(self._hands))))
        while not self._ended and hand.fed - hand.done < most:
            hand.give(self._next(PIECE))

    def _next(self, count: int) -> list[Entry]:
        piece = list(islice(self._entries, count))
        self._ended = len(piece) < count
        return piece

    def _heard(self, hand: Hand, news: News) -> None:
        hand.done, hand.last = news.done, news
        self._state.stored += len(news.stored)
        self._failed_there += len(news.failed)
        for id in news.failed:
            log.error("input %r failed; the store's failures say why", id)
        for id in (*news.stored, *news.failed):
            hand.leased.pop(id, None)
        if news.error is not None:
            raise news.error

    def _tell(self) -> None:
        every = [self._past, *(hand.last for hand in self._hands)]
        self._state.evaluations = sum(news.evaluations for news in every)
        shares = [news.model_seconds or 0.0 for news in every]
        self._state.model_seconds = sum(shares) / self._count if any(shares) else None
        self._state.rows, self._state.room = (sum(getattr(news, name) for news in every) for name in ("rows", "room"))
        self._state.failed = len(self._failed_here) + self._failed_there
        self._state.done = self._past.done + sum(hand.done for hand in self._hands) - self._failed_there
        self._state.workers = [hand.line for hand in self._hands]

    def _died(self, hand: Hand, why: str) -> None:
        """Others get what it had not stored. What may have killed it is halved until the input that did is alone."""
        self._hands.remove(hand)
        stored, failed = (set(self._ids_of(hand, folder)) for folder in ("parts", "failures"))
        lost = [entry for id, entry in hand.leased.items() if id not in stored | failed]
        self._state.stored += len(stored & set(hand.leased))
        self._failed_there += len(failed & set(hand.leased))
        self._past.done += hand.fed - len(lost)
        self._past.outlive(hand.last)
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
        self._failed_here.add(entry.id)

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
                    self._heard(closing.pop(each), self._ray.get(each))
        self._tell()
