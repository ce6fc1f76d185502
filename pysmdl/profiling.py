"""Where the time goes: stages of a run, recorded as events; a report, and a Chrome trace.

Off by default and then next to free: a stage is one look-up. On a GPU, stages that only launch work also record CUDA
events, so that their time is the device's; NVTX ranges of the same names show up in NVIDIA's profilers.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, TypeVar

from pysmdl import disk

STAGES = ("partition", "compose", "transfer", "model", "scores", "search", "idle")
ON_DEVICE = {"compose", "model", "scores"}
NOTHING: AbstractContextManager[None] = nullcontext()

T = TypeVar("T")
_entering = threading.Lock()
_recording = 0  # profiles, in all threads
_active: ContextVar[Profile | None] = ContextVar("pysmdl.profile", default=None)
_entered = _active.get


def stage(name: str) -> AbstractContextManager[None]:
    """Time what runs inside under this name, where a profile is active."""
    profile = _entered()
    return NOTHING if profile is None or not profile.active else Event(name, profile)


def count(**what: int) -> None:
    """Add to the active profile's counts, where there is one."""
    profile = _entered()
    if profile is not None and profile.active:
        for name, number in what.items():
            profile.counts[name] += number


class Event:
    """One stretch of a stage: what runs inside it is timed, and the event joins its profile.

    Attributes:
        stage: Its name.
        start, seconds: On perf_counter's clock.
        inside: The events directly inside it, whose time is theirs.
    """

    __slots__ = ("_began", "_ended", "_profile", "inside", "seconds", "stage", "start")

    def __init__(self, stage: str, profile: Profile) -> None:
        self.stage, self._profile = stage, profile
        self.inside: list[Event] = []
        self._began: Any = None  # CUDA events
        self._ended: Any = None

    def __enter__(self) -> None:
        self._profile._open.append(self)
        if self.stage in ON_DEVICE:
            self._began = _mark(self.stage)
        self.start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self.start
        profile = self._profile
        if self._began is not None:
            import torch

            self._ended = torch.cuda.Event(enable_timing=True)
            self._ended.record()
            torch.cuda.nvtx.range_pop()
        profile._open.pop()
        if profile._open:
            profile._open[-1].inside.append(self)
        profile.events.append(self)

    @property
    def own(self) -> float:
        """Host seconds in no event inside it."""
        return self.seconds - sum(event.seconds for event in self.inside)

    @property
    def own_on_device(self) -> float | None:
        """Likewise of the GPU, between the two CUDA events; None where there are none. Waits for them."""
        if self._began is None:
            return None
        return max(0.0, self._elapsed() - sum(event._elapsed() for event in self.inside))

    @property
    def device(self) -> Any:
        """The GPU it ran on, or None."""
        return None if self._began is None else self._began.device

    def _elapsed(self) -> float:
        if self._began is None:
            return 0.0
        self._ended.synchronize()
        return float(self._began.elapsed_time(self._ended)) / 1000


@dataclass
class Profile:
    """What a run did, and when. A context manager around it, or what ``explain(..., profile=)`` fills.

    One records at a time in a thread or an asyncio task, and records what runs there: what other threads do meanwhile
    is not its own, whether or not they have a profile. Entered again, it goes on, in whatever thread: times and counts
    of all stretches add up.

    Attributes:
        events: The stages, in the order in which they ended.
        spans: (start, seconds) of each stretch that was recorded.
        counts: What the engine counted: batches, rows, padded, room (rows there was room for), asked, hits (asked for
            and known already).
        peak_bytes: Most memory in use, whoever used it: on a GPU what torch allocated there since the start, or since
            that of the first of several profiles at once; else the resident memory of the process since *its* start.
        probe: Measures the model's FLOPs for a row and the device's FLOPs a second, for the report; None each where
            not counted.
    """

    events: list[Event] = field(default_factory=list)
    spans: list[tuple[float, float]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    peak_bytes: int = 0
    probe: Callable[[], tuple[float | None, float | None]] | None = None
    _began: float = 0.0
    _open: list[Event] = field(default_factory=list)
    _thread: int | None = None  # that records; None while none does

    def __enter__(self) -> Profile:
        global _recording
        outer = _active.get()
        if outer is not None and outer.active:
            raise RuntimeError("a profile is active already, and one records at a time: leave it first, or drop this")
        with _entering:
            if self._thread is not None:
                raise RuntimeError("this profile records another run: give each of those at once one of its own")
            if _recording == 0:
                _forget_peaks()
            self._thread = threading.get_ident()
            _recording += 1
        _active.set(self)
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        global _recording
        self.spans.append((self._began, time.perf_counter() - self._began))
        if _active.get() is self:
            _active.set(None)
        self.peak_bytes = max(self.peak_bytes, _memory(self._device()))
        with _entering:
            self._thread = None
            _recording -= 1

    @property
    def active(self) -> bool:
        """Whether it records what runs here. A thread or task that was started meanwhile may have inherited it, and
        keep it longer.
        """
        return self._thread == threading.get_ident()

    def over(self, found: Iterator[T]) -> Iterator[T]:
        """Hand on what an iterator yields, recording while it runs and not while the caller has the turn."""
        while True:
            with self:
                try:
                    each = next(found)
                except StopIteration:
                    return
            yield each

    @property
    def seconds(self) -> float:
        """Wall time of all stretches."""
        return sum(seconds for _, seconds in self.spans)

    def host(self) -> dict[str, float]:
        """Seconds of the host in each stage, and in none ("other"): together the wall time."""
        total = dict.fromkeys(STAGES, 0.0)
        for event in self.events:
            total[event.stage] += event.own
        return {**total, "other": self.seconds - sum(total.values())}

    def device(self) -> dict[str, float]:
        """Seconds of a GPU in each stage that ran there; empty where none did. Streams may overlap."""
        total: dict[str, float] = defaultdict(float)
        for event in self.events:
            own = event.own_on_device
            if own is not None:
                total[event.stage] += own
        return dict(total)

    def stages(self) -> dict[str, float]:
        """Seconds of each stage: the device's where it ran there, else the host's."""
        return {**self.host(), **self.device()}

    def report(self) -> dict[str, Any]:
        """The numbers, as JSON takes them. Runs the probe, where there is one.

        Raises:
            RuntimeError: it is active, or has recorded nothing.
        """
        self._check_recorded()
        wall, device, rows = self.seconds, self.device(), self.counts["rows"]
        stages = {name: {"seconds": own, "share": own / wall} for name, own in self.host().items()}
        for name, seconds in device.items():
            stages[name]["device_seconds"] = seconds
        flops, peak = self.probe() if self.probe is not None else (None, None)
        model, room, overhead = self.stages()["model"], self.counts["room"], self.overhead
        return {
            "seconds": wall,
            "stages": stages,
            "evaluations": rows,
            "evaluations_per_second": rows / wall,
            "batches": self.counts["batches"],
            "fill": rows / room if room else None,
            "padded": self.counts["padded"],
            "asked": self.counts["asked"],
            "memo_hits": self.counts["hits"],
            "flops_per_row": flops,
            "peak_flops": peak,
            "peak_share": rows * flops / model / peak if flops and peak and model else None,
            "peak_bytes": self.peak_bytes,
            "peak_bytes_of": "device" if device else "process",
            "events": len(self.events),
            "overhead_seconds": overhead,
            "overhead_share": overhead / wall,
        }

    @property
    def overhead(self) -> float:
        """Seconds that recording took: events times the measured cost of one, of the dearest kind that occurred."""
        probe = Profile()
        with NOTHING if self._device() is None else _stream():
            began = time.perf_counter()
            for _ in range(1000):
                with Event("model", probe):
                    pass
            return (time.perf_counter() - began) / 1000 * len(self.events)

    def write_trace(self, path: str | PathLike[str]) -> None:
        """Write the events as a Chrome trace (chrome://tracing, ui.perfetto.dev): the host's time, in microseconds.

        Raises:
            RuntimeError: it is active, or has recorded nothing.
        """
        self._check_recorded()
        rows = [("run", *span) for span in self.spans]
        rows += [(event.stage, event.start, event.seconds) for event in self.events]
        rows.sort(key=lambda row: (row[1], -row[2]))  # what contains another comes first
        traced = [
            {"name": name, "ph": "X", "pid": 0, "tid": 0, "ts": (start - rows[0][1]) * 1e6, "dur": seconds * 1e6}
            for name, start, seconds in rows
        ]
        text = json.dumps({"traceEvents": traced, "displayTimeUnit": "ms"}, allow_nan=False)
        disk.write(path, text.encode())

    def _check_recorded(self) -> None:
        if self._thread is not None or not self.spans:
            raise RuntimeError("a profile tells what it has recorded: run something under it, and leave it first")

    def _device(self) -> Any:
        return next((event.device for event in self.events if event.device is not None), None)


def _mark(name: str) -> Any:
    """A CUDA event recorded on the engine's own stream, the start of an NVTX range; None on the CPU."""
    import torch

    if not torch.cuda.is_initialized() or torch.cuda.is_current_stream_capturing():
        return None
    if torch.cuda.current_stream() == torch.cuda.default_stream():  # a model on the CPU: slots have their own streams
        return None
    torch.cuda.nvtx.range_push(name)
    began = torch.cuda.Event(enable_timing=True)
    began.record()
    return began


def _stream() -> AbstractContextManager[None]:
    import torch

    return torch.cuda.stream(torch.cuda.Stream())


def _forget_peaks() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        for index in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(index)


def _memory(device: Any) -> int:
    """Bytes: the most torch allocated on a GPU, or the most the process has had resident."""
    if device is not None:
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
