"""How far a job is: the record that is shown, written beside the store and served."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from pysmdl.progress.lines import clock

MEASURES = {
    "total": "Inputs of this run.",
    "before": "Inputs that were done, or had failed, before it began.",
    "done": "Inputs explained in this run.",
    "stored": "Of these, in the store.",
    "failed": "Inputs of this run that failed.",
    "evaluations": "Rows the model has seen.",
    "seconds": "Since the run began.",
    "rate": "Explanations a second.",
    "seconds_left": "At the rate so far.",
    "model_share": "Of the time, that the model had.",
    "batch_fill": "Rows of all batches over those there was room for.",
}
GROWING = ("stored", "failed", "evaluations", "seconds")  # done shrinks when a worker dies with what it had not stored


@dataclass
class State:
    """How far a run of a job is.

    Attributes:
        total: Inputs of this run; None where they come as a stream.
        before: Inputs that were done, or had failed, before it began.
        done: Explained in this run.
        stored: Of these, in the store.
        failed: Inputs of this run that failed.
        evaluations: Rows the model has seen.
        model_seconds: Seconds in the model; None where that is not measured.
        rows, room: Rows of all batches, and how many there was room for; 0 where that is not measured.
        began: time.time() at the start.
        ended: Whether it is over, and how: "", "done", "stopped" or "failed".
        workers: A line each, where there are several.
    """

    total: int | None = None
    before: int = 0
    done: int = 0
    stored: int = 0
    failed: int = 0
    evaluations: int = 0
    model_seconds: float | None = None
    rows: int = 0
    room: int = 0
    began: float = field(default_factory=time.time)
    ended: str = ""
    workers: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def end(self, how: str) -> None:
        """It is over, unless it was before."""
        self.ended = self.now().ended or how

    def now(self) -> State:
        """The same with the seconds since it began."""
        if not self.ended:
            self.seconds = max(1e-9, time.time() - self.began)
        return self

    @property
    def rate(self) -> float:
        """Explanations a second."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At the rate so far; None where it is not known."""
        settled = self.done + self.failed
        if self.total is None or settled == 0:
            return None
        return (self.total - settled) * self.seconds / settled

    @property
    def model_share(self) -> float | None:
        """Of the time, that the model had."""
        return None if self.model_seconds is None or not self.seconds else self.model_seconds / self.seconds

    @property
    def batch_fill(self) -> float | None:
        """Rows of all batches over those there was room for."""
        return self.rows / self.room if self.room else None

    def plain(self) -> dict[str, Any]:
        """As status.json has it."""
        read = {name: getattr(self, name) for name in ("rate", "seconds_left", "model_share", "batch_fill")}
        return {**asdict(self), **read, "at": time.time(), "host": socket.gethostname(), "pid": os.getpid()}


def line(state: dict[str, Any]) -> str:
    """A status in words."""
    of = "" if state["total"] is None else f" of {state['total']}"
    parts = [f"{state['done']}{of} explained, {state['stored']} stored, {state['failed']} failed"]
    if state["before"]:
        parts.append(f"{state['before']} before")
    parts.append(f"{state['rate']:.2f} a second, {state['evaluations']} evaluations")
    parts += shares(state["model_share"], state["batch_fill"])
    if state["seconds_left"] is not None and not state["ended"]:
        parts.append(f"{clock(state['seconds_left'])} left")
    return "; ".join([*parts, *([state["ended"]] if state["ended"] else [])])


def shares(model: float | None, fill: float | None) -> list[str]:
    """The model's share of the time and the batches' of their room, in words, where they are known."""
    words = [] if model is None else [f"the model has {model:.0%} of the time"]
    return words if fill is None else [*words, f"batches are {fill:.0%} full"]


def prometheus(state: dict[str, Any]) -> str:
    """A status as Prometheus reads it."""
    lines = []
    for name, words in MEASURES.items():
        if state[name] is not None:
            kind = "counter" if name in GROWING else "gauge"
            lines += [f"# HELP pysmdl_job_{name} {words}", f"# TYPE pysmdl_job_{name} {kind}"]
            lines.append(f"pysmdl_job_{name} {float(state[name])!r}")
    return "\n".join([*lines, ""])
