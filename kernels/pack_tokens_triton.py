"""pack_tokens as a Triton kernel: a program copies the kept ones among a tile of one row's tokens."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from pysmdl.kernels.compose_triton import keeps
from pysmdl.kernels.dispatch import interpreted

NOWHERE = tl.constexpr(2**31 - 1)  # a label that no row keeps


@triton.jit(do_not_specialize=["count", "words", "room", "inputs"])  # they change from call to call
def _pack_tokens_kernel(
    x, labels, rows, source, offsets, out,
    count, words, points, room, width, inputs,
    TILE: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    b = tl.program_id(1)
    first = tl.program_id(0) * TILE
    p = first + tl.arange(0, TILE)
    begin = tl.maximum(tl.load(offsets + b), 0)  # the caller checks what is an index; never read or written outside
    d = tl.arange(0, WIDE)
    if b == count:  # room that no row takes
        for start in range(begin + first, room, tl.num_programs(0) * TILE):
            place = (start + tl.arange(0, TILE)).to(tl.int64)
            for column in range(0, width, WIDE):
                inside = (place[:, None] < room) & (column + d[None, :] < width)
                tl.store(out + place[:, None] * width + column + d[None, :], 0.0, mask=inside)
        return
    i = tl.minimum(tl.maximum(tl.load(source + b), 0), inputs - 1).to(tl.int64)
    labels += i * points
    rows += b.to(tl.int64) * words
    before = 0
    for start in range(0, first, TILE):  # whole tiles
        label = tl.load(labels + start + tl.arange(0, TILE))
        before += tl.sum(keeps(label, rows, words).to(tl.int32))
    keep = keeps(tl.load(labels + p, mask=p < points, other=NOWHERE), rows, words)
    place = (begin + before + tl.cumsum(keep.to(tl.int32), 0) - 1).to(tl.int64)
    keep &= place < tl.minimum(tl.load(offsets + b + 1), room)  # never into another row, whatever the offsets say
    for column in range(0, width, WIDE):
        copied = keep[:, None] & (column + d[None, :] < width)
        value = tl.load(x + (i * points + p[:, None]) * width + column + d[None, :], mask=copied, other=0.0)
        tl.store(out + place[:, None] * width + column + d[None, :], value, mask=copied)


def pack_tokens_triton(x: Tensor, labels: Tensor, rows: Tensor, source: Tensor, offsets: Tensor, out: Tensor) -> None:
    if out.numel() == 0:
        return
    points, width = x.shape[1:]
    wide = min(256, triton.next_power_of_2(width))
    tile = triton.next_power_of_2(points) if interpreted() else 32  # interpreted, a program costs milliseconds
    _pack_tokens_kernel[(triton.cdiv(points, tile), len(source) + 1)](
        x, labels, rows.contiguous(), source.contiguous(), offsets.contiguous(), out,
        len(source), rows.shape[1], points, len(out), width, len(x),
        TILE=tile, WIDE=wide,
    )  # fmt: skip
