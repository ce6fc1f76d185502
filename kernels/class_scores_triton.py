"""class_scores as a Triton kernel: a program reads one row of logits, in pieces where it is long."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

LOWEST = tl.constexpr(-(2**31) + 1)  # below the rank of every number


@triton.jit
def ranked(value):
    """float32 as whole numbers in the same order, NaN before all: a maximum need not know of it."""
    bits = tl.where(value == 0, 0.0, value).to(tl.int32, bitcast=True)  # -0 is 0
    return tl.where(value == value, tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits), 0x7FFFFFFF)


@triton.jit
def _class_scores_kernel(logits, targets, out, classes, traced, logits_row, ENTROPY: tl.constexpr, TILE: tl.constexpr):
    """Three passes over the row: first maximum, sum of exponentials, entropy. Fixed order: the same bits each time."""
    b = tl.program_id(0).to(tl.int64)
    k = tl.arange(0, TILE)
    row = logits + b * logits_row

    highest = LOWEST
    top = 0
    for start in range(0, classes, TILE):
        z = tl.load(row + start + k, mask=start + k < classes, other=-float("inf")).to(tl.float32)
        rank = ranked(z)
        best = tl.max(rank, 0)
        at = start + tl.argmax(rank, 0, tie_break_left=True)
        top = tl.where(best > highest, at, top)
        highest = tl.maximum(best, highest)
    shift = tl.load(row + top).to(tl.float32)

    total = 0.0
    for start in range(0, classes, TILE):
        z = tl.load(row + start + k, mask=start + k < classes, other=-float("inf")).to(tl.float32)
        total += tl.sum(tl.exp(z - shift), 0)

    entropy = 0.0
    if ENTROPY:
        for start in range(0, classes, TILE):
            z = tl.load(row + start + k, mask=start + k < classes, other=-float("inf")).to(tl.float32)
            p = tl.exp(z - shift) / total
            entropy -= tl.sum(p * tl.log(p + 1e-7), 0)
        entropy = 1.0 - entropy / tl.log(classes.to(tl.float32))

    base = out + b * (2 + traced)
    tl.store(base, entropy)
    tl.store(base + 1, top.to(tl.float32))
    for t in range(traced):
        target = tl.load(targets + b * traced + t)
        target = tl.minimum(tl.where(target < 0, top, target), classes - 1)  # the caller checks; never read outside
        z = tl.load(row + target).to(tl.float32)
        tl.store(base + 2 + t, tl.exp(z - shift) / total)


def class_scores_triton(logits: Tensor, targets: Tensor, entropy: bool, out: Tensor) -> None:
    if logits.shape[0] == 0:
        return
    logits = logits.detach()
    if logits.stride(1) != 1:
        logits = logits.contiguous()
    classes = logits.shape[1]
    tile = min(triton.next_power_of_2(classes), 4096)
    _class_scores_kernel[(logits.shape[0],)](
        logits, targets.contiguous(), out, classes, targets.shape[1], logits.stride(0),
        ENTROPY=entropy and classes > 1, TILE=tile,
    )  # fmt: skip
