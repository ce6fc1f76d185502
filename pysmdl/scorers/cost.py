"""What one row costs: a model's FLOPs, and how many a second its device was measured to do."""

from __future__ import annotations

import functools
import logging
import statistics
import time

import torch
from torch import Tensor

from pysmdl.scorers.base import Scorer

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

    None where torch runs neither (a callable in NumPy, say), where rows differ in length (dropped tokens), where the
    model is a server's, and, which is logged, where it reads words beside its input or does not run under torch's
    counter.
    """
    if not scorer.model.local:
        return None
    if scorer.model.told:
        log.info("FLOPs not counted: %s reads words beside its input", type(scorer.forward).__name__)
        return None
    from torch.utils.flop_counter import FlopCounterMode
    from torch.utils.module_tracker import ModuleTracker

    class Untracked(ModuleTracker):
        """Tracks no module: torch's hooks them all, those that other threads are running too."""

        def __enter__(self) -> Untracked:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    row = x[None].to(scorer.device)
    row = row.to(scorer.dtype) if row.is_floating_point() else row
    try:
        counter = FlopCounterMode(display=False)
        counter.mod_tracker = Untracked()
        with torch.no_grad(), counter:
            scorer.model(scorer.input.into_model(row))
    except Exception as error:  # the run is done and its result must not be lost
        log.warning("FLOPs not counted: %s: %s", type(error).__name__, error)
        return None
    return float(counter.get_total_flops()) / (scorer.model.batch or 1) or None


@functools.cache
def peak_flops(device: torch.device, dtype: torch.dtype, threads: int) -> float:
    """FLOPs a second of large square matmuls on a device, the median of a few; `threads` are torch's, on the CPU."""
    n, burst = SIZE.get(device.type, SIZE["cpu"]), BURST.get(device.type, 1)
    at = torch.arange(n, device=device, dtype=torch.float32)
    a = (at[:, None] * 0.6180 + at * 0.4142).frac().to(dtype)  # like noise, but drawn from nobody's generator
    out = torch.empty_like(a)
    seconds = []
    for _ in range(TIMES + 1):
        began = time.perf_counter()
        for _ in range(burst):
            torch.mm(a, a, out=out)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append((time.perf_counter() - began) / burst)
    return 2 * n**3 / statistics.median(seconds[1:])  # the first warms up
