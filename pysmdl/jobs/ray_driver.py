"""A job on Ray: one actor a worker, each fed so that its engine never drains; what a dead one had goes to others."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from pysmdl.config import EngineConfig
from pysmdl.errors import PysmdlError, described
from pysmdl.jobs import parts
from pysmdl.jobs.entries import Entry
from pysmdl.jobs.places import place_of
from pysmdl.jobs.ray_cluster import imported, start
from pysmdl.jobs.ray_worker import News, Worker
from pysmdl.jobs.rows import failure_of
from pysmdl.jobs.state import State
from pysmdl.jobs.stopping import GRACE, STORING, Stop
from pysmdl.jobs.task import RayOptions, Task
from pysmdl.jobs.workers import Workers, writer_of

log = logging.getLogger("pysmdl")

PIECE = 4  # inputs that are handed over at a time
LEAST = 4  # inputs that a worker has at hand near the end; before, three pieces more than its engine takes at once
STARTS = 3  # times that a worker may die before it has begun


class WorkerError(PysmdlError, RuntimeError):
    """Workers die before they begin: no model, no memory for it, no such machine."""


@dataclass
class Hand:
    """A worker, as the driver knows it.

    Attributes:
        name: Its own, of this life.
        actor: Ray's handle.
        asked: The report that it owes.
        leased: What it was fed and has not stored, by id.
        fed, done: How many inputs it was fed, and is through with.
        flushed: Whether it was told to store what it has.
        suspects: Whether what it has may kill it: it gets nothing else meanwhile.
        begun: Whether it has its model.
        last: Its last report.
    """

    name: str
    actor: Any
    asked: Any
    leased: dict[str, Entry] = field(default_factory=dict)
    fed: int = 0
    done: int = 0
    flushed: bool = False
    suspects: bool = False
    begun: bool = False
    last: News = field(default_factory=News)

    @property
    def line(self) -> str:
        """As the table shows it."""
        doing = f"{self.fed - self.done} in hand" if self.begun else "starting"
        return f"{self.name}: {self.done} done, {doing}"


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
        self._suspects: deque[list[Entry]] = deque()
        self._deaths: dict[str, int] = {}
        self._lives = self._stillborn = 0
        self._past = News()  # sums of workers that are gone
        self._failed_here: set[str] = set()
        self._failed_there = 0
        config = task.settings.get("config")
        self._ahead = (config or EngineConfig()).max_searches + 3 * PIECE

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
            with suppress(Exception):
                self._ray.kill(hand.actor)
        if self._own:
            self._ray.shutdown()

    def asked(self) -> dict[str, Any]:
        self._hands.append(self._new())
        found: dict[str, Any] = self._said(self._hands[0])
        return found

    def work(self, entries: Iterable[Entry], state: State) -> None:
        self._state, self._entries = state, iter(entries)
        self._ended = False
        self._writer = writer_of(self._task.keeping, f"{self._task.keeping.share}-driver")
        few = self._count if state.total is None else -(-state.total // PIECE)
        self._hands += [self._new() for _ in range(min(self._count, few) - len(self._hands))]
        for hand in self._hands:
            if hand.begun:
                self._begin(hand)
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
                if not hand.begun:
                    self._said(hand)
                    self._begin(hand)
                else:
                    self._heard(hand, self._ray.get(hand.asked))
                    hand.asked = hand.actor.news.remote()
            except self._deadly as error:
                self._died(hand, described(error).splitlines()[0])
        for hand in list(self._hands):
            if hand.last.silent > self._options.timeout and hand.leased:
                with suppress(Exception):
                    self._ray.kill(hand.actor)
                self._died(hand, f"the model has not answered for {hand.last.silent:.0f} s")
        self._tell()

    def _new(self) -> Hand:
        self._lives += 1
        name = f"{self._task.keeping.share}-{self._run}w{self._lives}"
        options = {"num_cpus": self._options.cpus, "num_gpus": self._options.gpus, "max_concurrency": 4}
        actor = self._ray.remote(**options)(Worker).remote(self._shared, name, os.getcwd())
        return Hand(name, actor, actor.hello.remote())

    def _said(self, hand: Hand) -> Any:
        """What a worker says when it has its model; raises what making that raised."""
        try:
            found = self._ray.get(hand.asked)
        except self._ray.exceptions.RayTaskError as error:
            raise error.as_instanceof_cause() from None
        hand.begun = True
        return found

    def _begin(self, hand: Hand) -> None:
        hand.actor.hold.remote()
        hand.asked = hand.actor.news.remote()

    def _feed(self, hand: Hand) -> None:
        """Keep as much in a worker's hands as its engine takes, and less near the end, for the others' sake. Suspects
        go to one that has nothing: to the new one in a dead one's place, first of all.
        """
        if (
            hand.leased
            and hand.fed == hand.done
            and not hand.flushed
            and (self._ended or hand.suspects or self._suspects)
        ):
            hand.actor.flush.remote()
            hand.flushed = True
        if not hand.begun or (hand.suspects and hand.leased):
            return
        hand.suspects = False
        if self._suspects and not hand.leased:
            self._give(hand, self._suspects.popleft())
            hand.suspects = True
            return
        most = self._ahead
        if self._state.total is not None:
            open_ = self._state.total - self._state.done - self._state.failed
            most = max(LEAST, min(most, open_ // (2 * len(self._hands))))
        while not self._ended and hand.fed - hand.done < most:
            self._give(hand, self._next(PIECE))

    def _next(self, count: int) -> list[Entry]:
        piece = list(islice(self._entries, count))
        self._ended = len(piece) < count
        return piece

    def _give(self, hand: Hand, piece: list[Entry]) -> None:
        if piece:
            hand.actor.feed.remote(piece)
            hand.fed, hand.flushed = hand.fed + len(piece), False
            hand.leased.update({entry.id: entry for entry in piece})

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
        self._past.evaluations += hand.last.evaluations
        self._past.model_seconds = (self._past.model_seconds or 0.0) + (hand.last.model_seconds or 0.0)
        log.warning("worker %s is gone with %d inputs in hand: %s", hand.name, len(lost), why)
        self._stillborn = 0 if hand.begun else self._stillborn + 1
        if self._stillborn >= STARTS:
            raise WorkerError(f"workers die before they begin, {self._stillborn} in a row: {why}")
        if len(lost) == 1:
            self._suspect(lost[0], why)
        elif lost:
            half = len(lost) // 2
            self._suspects += [lost[:half], lost[half:]]
        self._hands.append(self._new())

    def _suspect(self, entry: Entry, why: str) -> None:
        self._deaths[entry.id] = self._deaths.get(entry.id, 0) + 1
        if self._deaths[entry.id] < self._options.attempts:
            self._suspects.append([entry])
            return
        error = f"it took its worker along {self._deaths[entry.id]} times: {why}"
        log.error("input %r failed: %s", entry.id, error)
        count = entry.attempts + self._deaths[entry.id]
        self._writer.fail(failure_of(entry.id, error, entry.source, entry.group, count))
        self._failed_here.add(entry.id)

    def _ids_of(self, hand: Hand, folder: str) -> Iterator[str]:
        """What a worker stored, whether or not it could say so."""
        for name in self._place.names(folder):
            if f"-{hand.name}-" in name:
                yield from parts.read(self._place, name, ["id"])["id"].to_pylist()

    def _close(self) -> None:
        """Have each worker store what it has; those that do not within the time of a stop are let go."""
        self._stop.over = True  # the workers have times of their own
        if self._stop.asked:
            self._writer.hurry(STORING)
            for hand in self._hands:
                hand.actor.stop.remote(GRACE)
        begun = [hand for hand in self._hands if hand.begun]
        closing = {each: hand for hand in begun for each in (hand.asked, hand.actor.close.remote())}
        until = time.monotonic() + (GRACE + STORING if self._stop.asked else self._task.keeping.patience + GRACE)
        while closing and time.monotonic() < until:
            ready, _ = self._ray.wait(list(closing), num_returns=1, timeout=0.5)
            for each in ready:
                with suppress(*self._deadly):
                    self._heard(closing.pop(each), self._ray.get(each))
        self._tell()
