"""What all benchmarks share: interleaved pairs, parity gates, and rows that say where they were measured."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pysmdl

import recording
from recording import said
from tables import reached

ROUNDS = int(os.environ.get("PYSMDL_BENCH_ROUNDS", "5"))  # pairs; fewer only to try a benchmark out
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@dataclass(frozen=True)
class Row:
    """One measurement. The target is about the ratio; where there is none, about the median."""

    name: str
    parameters: str
    backend: str
    unit: str
    median: float
    low: float
    high: float
    ratio: float | None
    target: str
    machine: str
    torch: str
    commit: str
    date: str

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        return reached(self.target, self.median if self.ratio is None else self.ratio)

    def append(self, path: Path) -> None:
        known = asdict(self)
        row = {name: f"{value:.5g}" if isinstance(value, float) else value for name, value in known.items()}
        recording.append(path, list(known), row)


@cache
def machine() -> str:
    """The CPU with the cores torch uses, or the GPU with its driver."""
    if DEVICE == "cuda":
        ask = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"]
        return f"{torch.cuda.get_device_name()}, driver {said(ask, 'unknown')}"
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "CPU")
    return f"{model}, {torch.get_num_threads()} of {os.cpu_count()} cores"


@cache
def commit() -> str:
    """The commit measured, with a + where what is measured differs from it; PYSMDL_COMMIT where that is given."""
    if "PYSMDL_COMMIT" in os.environ:  # a copy of the tree that knows its commit better than its git does
        return os.environ["PYSMDL_COMMIT"]
    found = said(["git", "rev-parse", "--short", "HEAD"], "unknown")
    changed = said(["git", "status", "--porcelain", "--", "../pysmdl", "../kernels", "../csrc"], "")
    return found + ("+" if changed else "")


def row(
    name: str,
    times: Sequence[float],
    ratios: Sequence[float] = (),
    *,
    parameters: str,
    unit: str,
    backend: str = "auto",
    target: str = "",
) -> Row:
    """A row of these times (in `unit`) and, for each, its ratio to the time beside which it was taken."""
    shown = ratios or times
    ratio = statistics.median(ratios) if ratios else None
    return Row(
        name, parameters, backend, unit, statistics.median(times), min(shown), max(shown), ratio, target,
        machine(), torch.__version__, commit(), date.today().isoformat(),
    )  # fmt: skip


def clock() -> float:
    """Seconds, after all that was sent to a GPU is done."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds(call: Callable[[], Any], times: int = 1) -> float:
    """Of one call, over so many in a row."""
    began = clock()
    for _ in range(times):
        call()
    return (clock() - began) / times


def calls_in(call: Callable[[], Any], wanted: float = 0.03) -> int:
    """How often to call for about `wanted` seconds; warms up."""
    call()
    return max(1, round(wanted / max(1e-7, seconds(call))))


def interleaved(
    benchmark: Any, bare: Callable[[int], float], ours: Callable[[int], float], warm: int = 1
) -> tuple[list[float], list[float]]:
    """Measure two things in turn, bare first: each is given the number of the pair and returns its own seconds.

    The first `warm` pairs do not count. pytest-benchmark times the second of each pair as well.
    """
    first: list[float] = []
    second: list[float] = []

    def setup() -> tuple[tuple[()], dict[str, Any]]:
        first.append(bare(len(first)))
        return (), {}

    benchmark.pedantic(
        lambda: second.append(ours(len(second))), setup=setup, rounds=ROUNDS, iterations=1, warmup_rounds=warm
    )
    return first[-ROUNDS:], second[-ROUNDS:]


def over(numerator: Sequence[float], denominator: Sequence[float]) -> list[float]:
    """Ratios, pair by pair."""
    return [a / b for a, b in zip(numerator, denominator, strict=True)]


def picture(seed: int, side: int = 224) -> np.ndarray:
    """A fresh random image."""
    return np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)


def check_curves(found: pysmdl.Explanation, scorer: Any, tolerance: float) -> None:
    """Parity gate: every curve point is what the model says of the image masked by hand; no row is counted twice."""
    x = scorer.input.normalise(found.pixels).to(scorer.device, scorer.dtype)
    black = scorer.input.black().to(x)
    for j in range(len(found.order) + 1):
        kept = torch.from_numpy(np.isin(found.labels, found.order[:j])).to(x.device)
        both = torch.stack((torch.where(kept, x, black), torch.where(kept, black, x)))
        with torch.no_grad():
            answer = scorer.forward(both)
        p = getattr(answer, "logits", answer).float().softmax(1)[:, found.target].tolist()
        np.testing.assert_allclose((found.insertion[j], found.deletion[j]), p, atol=tolerance)
    assert found.evaluations <= found.asked
