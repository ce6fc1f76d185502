"""distance_gains as a Triton kernel: a program prices a tile of candidates, members in order, in float64."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def lower(a, b):
    """The lower of two; NaN where one is."""
    return tl.where(a == a, tl.where(a < b, a, b), a)


@triton.jit
def _distance_gains_kernel(distances, nearest, members, candidates, out, regions, count, priced, TILE: tl.constexpr):
    c = tl.program_id(0) * TILE + tl.arange(0, TILE)
    inside = c < priced
    candidate = tl.load(candidates + c, mask=inside, other=0)
    candidate = tl.minimum(tl.maximum(candidate, 0), regions - 1)  # the caller checks; never read outside
    total = tl.zeros([TILE], tl.float64)
    own = tl.full([TILE], float("inf"), tl.float32)
    for i in range(count):
        member = tl.minimum(tl.maximum(tl.load(members + i), 0), regions - 1).to(tl.int64)
        d = tl.load(distances + member * regions + candidate, mask=inside, other=0.0)
        own = lower(own, d)
        total += lower(tl.load(nearest + i), d).to(tl.float64)
    tl.store(out + c, (total + own.to(tl.float64)).to(tl.float32), mask=inside)


def distance_gains_triton(distances: Tensor, nearest: Tensor, members: Tensor, candidates: Tensor, out: Tensor) -> None:
    if candidates.numel() == 0:
        return
    if members.numel() == 0:
        out.zero_()
        return
    flat = out.contiguous()
    _distance_gains_kernel[(triton.cdiv(candidates.numel(), 64),)](
        distances.contiguous(), nearest.contiguous(), members.contiguous(), candidates.contiguous(), flat,
        distances.shape[0], members.numel(), candidates.numel(), TILE=64,
    )  # fmt: skip
    if flat.data_ptr() != out.data_ptr():
        out.copy_(flat)
