"""A worker of Ray's as the driver knows it: what it was fed, what it said, and whether it lives."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pysmdl.errors import PysmdlError
from pysmdl.jobs.entries import Entry
from pysmdl.jobs.ray_worker import News, Worker
from pysmdl.jobs.state import shares
from pysmdl.jobs.task import RayOptions


class WorkerError(PysmdlError, RuntimeError):
    """Workers die before they begin: no model, no memory for it, no such machine."""


@dataclass
class Hand:
    """A worker, as the driver knows it.

    Attributes:
        name: Its own, of this life.
        ray: Ray itself.
        actor: Ray's handle.
        asked: The report that it owes.
        up: Becomes ready when its process is there.
        leased: What it was fed and has not stored, by id.
        fed, done: How many inputs it was fed, and is through with.
        flushed: Whether it was told to store what it has.
        suspects: Whether what it has may kill it: it gets nothing else meanwhile.
        begun: When it had its model, by time.monotonic(); None before.
        last: Its last report.
    """

    name: str
    ray: Any
    actor: Any
    asked: Any
    up: Any
    leased: dict[str, Entry] = field(default_factory=dict)
    fed: int = 0
    done: int = 0
    flushed: bool = False
    suspects: bool = False
    begun: float | None = None
    last: News = field(default_factory=News)
    _up_since: float | None = None

    @property
    def line(self) -> str:
        """As the table shows it."""
        if self.begun is None:
            return f"{self.name}: {'waits for a machine' if self._up_since is None else 'loads its model'}"
        seconds = time.monotonic() - self.begun
        words = [f"{self.done} done", f"{self.fed - self.done} in hand"]
        words += shares(self.last.model_share(seconds), self.last.batch_fill)
        return f"{self.name}: {', '.join(words)}"

    @property
    def rate(self) -> float:
        """Inputs a second."""
        return 0.0 if self.begun is None else self.done / max(1e-9, time.monotonic() - self.begun)

    def said(self) -> Any:
        """What it says when it has its model; raises what making that raised."""
        try:
            found = self.ray.get(self.asked)
        except self.ray.exceptions.RayTaskError as error:
            raise error.as_instanceof_cause() from None
        self.begun = time.monotonic()
        return found

    def begin(self) -> None:
        """Have it hold its share of the store, and report."""
        self.actor.hold.remote()
        self.asked = self.actor.news.remote()

    def give(self, piece: Iterable[Entry]) -> None:
        """More to explain."""
        piece = list(piece)
        if piece:
            self.actor.feed.remote(piece)
            self.fed, self.flushed = self.fed + len(piece), False
            self.leased.update({entry.id: entry for entry in piece})

    def flush(self) -> None:
        """Have it store what it has, once."""
        if not self.flushed:
            self.actor.flush.remote()
            self.flushed = True

    def hangs(self, options: RayOptions) -> str:
        """Why it counts as dead though it lives; "" if it does not."""
        if self.begun is not None:
            silent = self.last.silent > options.timeout and self.leased
            return f"the model has not answered for {self.last.silent:.0f} s" if silent else ""
        if self._up_since is None and self.ray.wait([self.up], timeout=0)[0]:
            self._up_since = time.monotonic()
        if self._up_since is not None and time.monotonic() - self._up_since > options.loading:
            return f"its model was not loaded within {options.loading:g} s"
        return ""

    def end(self) -> None:
        """End its process."""
        with suppress(Exception):
            self.ray.kill(self.actor)


def hired(ray: Any, task: Any, name: str, options: RayOptions) -> Hand:
    """A new worker, which Ray starts where there is room for it; `task` is Ray's reference of it."""
    wanted = {"num_cpus": options.cpus, "num_gpus": options.gpus, "max_concurrency": 4}
    actor = ray.remote(**wanted)(Worker).remote(task, name, os.getcwd())
    return Hand(name, ray, actor, actor.hello.remote(), actor.up.remote())
