"""Where the time goes: stages of a run, recorded as events; a report, and a Chrome trace.

Off by default and then free: a stage is one attribute look-up. On a GPU, stages that only launch work also record CUDA
events, so that their time is the device's; NVTX ranges of the same names show up in NVIDIA's profilers.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

STAGES = ("partition", "compose", "transfer", "model", "scores", "search", "idle")
ON_DEVICE = {"compose", "model", "scores"}
NOTHING: AbstractContextManager[None] = nullcontext()

_active: Profile | None = None


def stage(name: str) -> AbstractContextManager[None]:
    """Time what runs inside under this name, where a profile is active."""
    return NOTHING if _active is None else _Stage(_active, name)


def count(**what: int) -> None:
    """Add to the active profile's counts, where there is one."""
    if _active is not None:
        for name, number in what.items():
            _active.counts[name] += number


@dataclass
class Profile:
    """Events of one run. Use as a context manager around it; one at a time.

    Attributes:
        events: (stage, start, seconds), in the order in which they ended; perf_counter's clock. A stage inside another
            is counted once, as the inner one.
        seconds: Wall time of the run.
        counts: What the engine counted: batches, rows, padded, room (rows there was room for), asked.
    """

    events: list[tuple[str, float, float]] = field(default_factory=list)
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    peak_bytes: int | None = None
    flops_per_row: float | None = None
    _began: float = 0.0
    _device_events: list[tuple[str, Any, Any]] = field(default_factory=list)
    _inner: list[float] = field(default_factory=list)

    def __enter__(self) -> Profile:
        global _active
        if _active is not None:
            raise RuntimeError("a profile is active already; one at a time")
        _active = self
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        global _active
        self.seconds = time.perf_counter() - self._began
        _active = None

    def stages(self) -> dict[str, float]:
        """Seconds of each stage. On a GPU the device's own time where a stage runs there; "other" is the rest."""
        total: dict[str, float] = dict.fromkeys(STAGES, 0.0)
        on_device = {name for name, _, _ in self._device_events}
        for name, _, seconds in self.events:
            if name not in on_device:
                total[name] += seconds
        for name, start, stop in self._device_events:
            total[name] += start.elapsed_time(stop) / 1000
        if not on_device:
            total["other"] = max(0.0, self.seconds - sum(total.values()))
        return total

    @property
    def overhead(self) -> float:
        """Seconds that recording took: events times the measured cost of one."""
        probe = Profile()
        began = time.perf_counter()
        for _ in range(1000):
            with _Stage(probe, "search"):
                pass
        return (time.perf_counter() - began) / 1000 * len(self.events)

    def write_trace(self, path: str | PathLike[str]) -> None:
        """Write the events as a Chrome trace (chrome://tracing, ui.perfetto.dev)."""
        rows = [
            {"name": name, "ph": "X", "pid": 0, "tid": 0, "ts": (start - self._began) * 1e6, "dur": seconds * 1e6}
            for name, start, seconds in sorted(self.events, key=lambda event: event[1])
        ]
        Path(path).write_text(json.dumps({"traceEvents": rows, "displayTimeUnit": "ms"}))


class _Stage:
    """One timed stretch. Time of stretches inside it is theirs, not its own."""

    __slots__ = ("_device", "_name", "_profile", "_start")

    def __init__(self, profile: Profile, name: str) -> None:
        self._profile, self._name = profile, name
        self._device: Any = None

    def __enter__(self) -> None:
        if self._name in ON_DEVICE:
            self._device = _device_event(self._name)
        self._profile._inner.append(0.0)
        self._start = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = time.perf_counter() - self._start
        profile = self._profile
        inside = profile._inner.pop()
        if profile._inner:
            profile._inner[-1] += seconds
        profile.events.append((self._name, self._start, seconds - inside))
        if self._device is not None:
            import torch

            stop = torch.cuda.Event(enable_timing=True)
            stop.record()
            torch.cuda.nvtx.range_pop()
            profile._device_events.append((self._name, self._device, stop))


def _device_event(name: str) -> Any:
    """A started CUDA event, where there is a CUDA context; None on the CPU."""
    import torch

    if not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    torch.cuda.nvtx.range_push(name)
    start = torch.cuda.Event(enable_timing=True)
    start.record()
    return start
