"""What a profile needs beyond the clock: a model's FLOPs, a device's measured peak; and the report as a table."""

from __future__ import annotations

import functools
import logging
import statistics
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pysmdl.scorers.base import Scorer
from pysmdl.scorers.token_drop import TokenDropScorer

if TYPE_CHECKING:
    from rich.console import RenderableType

SIZE, BURST, TIMES = {"cpu": 1024, "cuda": 8192}, {"cpu": 1, "cuda": 4}, 5  # of the matmuls that measure a peak

log = logging.getLogger("pysmdl")


def model_cost(scorer: Scorer, x: Tensor) -> tuple[float | None, float | None]:
    """FLOPs of the model for one input [C, *grid], and the device's measured FLOPs a second; None each if not counted.

    One more row goes through the model. On the CPU the peak is float32's, on a GPU that of the model's dtype.
    """
    flops = flops_per_row(scorer, x)
    if flops is None:
        return None, None
    dtype = torch.float32 if scorer.device.type == "cpu" else scorer.dtype
    return flops, peak_flops(scorer.device, dtype, torch.get_num_threads())


def flops_per_row(scorer: Scorer, x: Tensor) -> float | None:
    """FLOPs of one forward pass of one input [C, *grid]; counted: matmul and convolution, two each multiply-add.

    None where torch runs neither (a callable in NumPy, say), where rows differ in length (dropped tokens), and where
    the model does not run under torch's counter, which is logged.
    """
    from torch.utils.flop_counter import FlopCounterMode

    if isinstance(scorer, TokenDropScorer):
        return None
    row = x[None].to(scorer.device, scorer.dtype)
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            scorer.forward(scorer.input.into_model(row))
    except Exception as error:  # the run is done and its result must not be lost
        log.warning("FLOPs not counted: %s: %s", type(error).__name__, error)
        return None
    return float(counter.get_total_flops()) or None


@functools.cache
def peak_flops(device: torch.device, dtype: torch.dtype, threads: int) -> float:
    """FLOPs a second of large square matmuls on a device, the median of a few; `threads` are torch's, on the CPU."""
    n, burst = SIZE.get(device.type, SIZE["cpu"]), BURST.get(device.type, 1)
    a, b = (torch.rand(n, n, device=device, dtype=dtype) for _ in range(2))
    out = torch.empty_like(a)
    seconds = []
    for _ in range(TIMES + 1):
        began = time.perf_counter()
        for _ in range(burst):
            torch.mm(a, b, out=out)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append((time.perf_counter() - began) / burst)
    return 2 * n**3 / statistics.median(seconds[1:])  # the first warms up


def table(report: Mapping[str, Any]) -> RenderableType:
    """A report of :meth:`pysmdl.Profile.report` for a terminal: stages, then everything else."""
    from rich.console import Group
    from rich.table import Table

    on_device = any("device_seconds" in each for each in report["stages"].values())
    stages = Table("stage", title="profile", show_footer=True)
    stages.columns[0].footer = "wall"
    stages.add_column("time", _seconds(report["seconds"]), justify="right")
    stages.add_column("share", "100.0%", justify="right")
    if on_device:
        stages.add_column("on the GPU", justify="right")
    for name, each in report["stages"].items():
        row = [name, _seconds(each["seconds"]), f"{each['share']:.1%}"]
        stages.add_row(*row, *([_seconds(each.get("device_seconds", 0.0))] if on_device else []))
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(report).items():
        facts.add_row(name, value)
    return Group(stages, facts)


def _facts(report: Mapping[str, Any]) -> dict[str, str]:
    flops, share = report["flops_per_row"], report["peak_share"]
    full = "-" if report["fill"] is None else f"{report['fill']:.1%}"
    of = {"device": "allocated by torch on the GPU", "process": "resident, of the process since its start"}
    cost = report["overhead_seconds"] / report["events"] if report["events"] else 0.0
    return {
        "evaluations": f"{report['evaluations']}, {report['evaluations_per_second']:.0f} a second",
        "batches": f"{report['batches']}, {full} full, {report['padded']} padded rows",
        "memo": f"{report['memo_hits']} of {report['asked']} rows asked for were known",
        "model": "FLOPs not counted" if flops is None else f"{_scaled(flops)}FLOP a row (matmul and convolution)",
        "device": "-" if share is None else f"{share:.1%} of its measured {_scaled(report['peak_flops'])}FLOP/s",
        "peak memory": f"{report['peak_bytes'] / 2**20:.0f} MiB {of[report['peak_bytes_of']]}",
        "profiler": f"{report['events']} events of {cost * 1e6:.1f} µs, {report['overhead_share']:.2%} of the time",
    }


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds >= 1 else f"{seconds * 1e3:.2f} ms"


def _scaled(number: float) -> str:
    """With a unit's prefix: 2.5 G."""
    for power, prefix in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if number >= 10**power:
            return f"{number / 10**power:.3g} {prefix}"
    return f"{number:.3g} "
