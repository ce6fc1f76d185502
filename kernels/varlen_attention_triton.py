"""varlen_attention as a Triton kernel: a program computes a tile of one sequence's queries for one head.

After FlashAttention-2 (Dao 2023), forward only: keys and values pass by in tiles, a running maximum rescales the sum.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from pysmdl.kernels.dispatch import interpreted

LOG2_E = 1.4426950408889634


@triton.jit
def _varlen_attention_kernel(
    q, k, v, out, offsets, scale,  # in powers of two
    q_token, q_head, k_token, k_head, v_token, v_head, out_token, out_head,
    WIDTH: tl.constexpr, HEAD: tl.constexpr, QUERIES: tl.constexpr, KEYS: tl.constexpr, EXACT: tl.constexpr,
):  # fmt: skip
    head = tl.program_id(1)
    sequence = tl.program_id(2)
    first = tl.load(offsets + sequence)
    last = tl.load(offsets + sequence + 1)
    start = first + tl.program_id(0) * QUERIES
    if start >= last:  # beyond the end of a short sequence
        return
    row = (start + tl.arange(0, QUERIES)).to(tl.int64)
    d = tl.arange(0, HEAD)
    here = row < last
    wide = d < WIDTH

    queries = tl.load(
        q + row[:, None] * q_token + head * q_head + d[None, :], mask=here[:, None] & wide[None, :], other=0.0
    )
    highest = tl.full([QUERIES], -float("inf"), tl.float32)
    total = tl.zeros([QUERIES], tl.float32)
    mixed = tl.zeros([QUERIES, HEAD], tl.float32)
    for place in range(first, last, KEYS):
        column = (place + tl.arange(0, KEYS)).to(tl.int64)
        there = column < last
        keys = tl.load(
            k + column[:, None] * k_token + head * k_head + d[None, :], mask=there[:, None] & wide[None, :], other=0.0
        )
        if EXACT:  # float32 products, not TensorFloat-32
            logits = tl.dot(queries.to(tl.float32), tl.trans(keys).to(tl.float32), input_precision="ieee") * scale
        else:
            logits = tl.dot(queries, tl.trans(keys)) * scale
        logits = tl.where(there[None, :], logits, -float("inf"))
        new = tl.maximum(highest, tl.max(logits, 1))
        shrink = tl.exp2(highest - new)
        weights = tl.exp2(logits - new[:, None])
        values = tl.load(
            v + column[:, None] * v_token + head * v_head + d[None, :], mask=there[:, None] & wide[None, :], other=0.0
        )
        if EXACT:
            mixed = mixed * shrink[:, None] + tl.dot(weights, values.to(tl.float32), input_precision="ieee")
        else:
            mixed = mixed * shrink[:, None] + tl.dot(weights.to(values.dtype), values)
        total = total * shrink + tl.sum(weights, 1)
        highest = new
    mixed = mixed / total[:, None]
    target = out + row[:, None] * out_token + head * out_head + d[None, :]
    tl.store(target, mixed.to(out.dtype.element_ty), mask=here[:, None] & wide[None, :])


def varlen_attention_triton(
    q: Tensor, k: Tensor, v: Tensor, offsets: Tensor, longest: int, scale: float, out: Tensor
) -> None:
    if q.shape[0] == 0 or q.shape[1] == 0 or offsets.numel() < 2:
        return
    width, keys = q.shape[2], 32
    head = max(16, triton.next_power_of_2(width))
    row_bytes = head * q.element_size()
    queries, stages = (64, 3) if row_bytes <= 256 else (64, 2) if row_bytes <= 512 else (32, 1)  # within 99 KiB shared
    q, k, v = (each if each.stride(2) == 1 else each.contiguous() for each in (q, k, v))
    written = out if out.stride(2) == 1 else out.contiguous()
    grid = (triton.cdiv(longest, queries), q.shape[1], offsets.numel() - 1)
    exact = q.element_size() == 4 or interpreted()  # the interpreter has no bfloat16 product
    _varlen_attention_kernel[grid](
        q, k, v, written, offsets.contiguous(), scale * LOG2_E,
        q.stride(0), q.stride(1), k.stride(0), k.stride(1), v.stride(0), v.stride(1),
        written.stride(0), written.stride(1),
        WIDTH=width, HEAD=head, QUERIES=queries, KEYS=keys, EXACT=exact, num_stages=stages,
    )  # fmt: skip
    if written is not out:
        out.copy_(written)
