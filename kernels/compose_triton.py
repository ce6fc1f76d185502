"""compose as a Triton kernel: a program writes one tile of one row, all channels."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def keeps(label, row, words):
    """Which of these labels are kept by a row, given by where its first word is."""
    word = label >> 5
    bits = tl.load(row + word, mask=(label >= 0) & (word < words), other=0)
    return (label < 0) | (((bits >> (label & 31)) & 1) != 0)


@triton.jit(do_not_specialize=["inputs", "words"])  # they change from call to call: one compilation serves all
def _compose_kernel(
    x, baseline, labels, rows, source, out,
    inputs, channels, points, words,
    x_input, x_channel, x_point,
    baseline_input, baseline_channel, baseline_point,
    labels_input, labels_point,
    out_row, out_channel, out_point,
    TILE: tl.constexpr,
):  # fmt: skip
    """out[b, c, p] = x[i, c, p] if kept else baseline[i, c, p], i = source[b]. All strides are in elements."""
    b = tl.program_id(1).to(tl.int64)
    p = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    inside = p < points
    i = tl.load(source + b)
    padding = (i < 0) | (i >= inputs)
    shown = p < tl.where(padding, 0, points)  # a padding row reads nothing and stays zero
    i = tl.where(padding, 0, i).to(tl.int64)

    label = tl.load(labels + i * labels_input + p * labels_point, mask=inside, other=-1)
    keep = keeps(label, rows + b * words, words)

    for c in range(channels):
        kept = tl.load(x + i * x_input + c * x_channel + p * x_point, mask=shown & keep, other=0)
        gone = tl.load(
            baseline + i * baseline_input + c * baseline_channel + p * baseline_point,
            mask=shown & (keep == 0),
            other=0,
        )
        value = tl.where(keep, kept, gone)
        tl.store(out + b * out_row + c * out_channel + p * out_point, value, mask=inside)


def compose_triton(x: Tensor, baseline: Tensor, labels: Tensor, rows: Tensor, source: Tensor, out: Tensor) -> None:
    if out.numel() == 0:
        return
    x_, baseline_, labels_, out_ = (
        x.detach().flatten(2),
        baseline.flatten(2),
        labels.flatten(1),
        out.detach().flatten(2),
    )
    points = x_.shape[2]
    tile = 1024 if out.is_cuda else triton.next_power_of_2(points)  # interpreted, a program costs milliseconds
    _compose_kernel[(triton.cdiv(points, tile), rows.shape[0])](
        x_, baseline_, labels_, rows.contiguous(), source.contiguous(), out_,
        x_.shape[0], x_.shape[1], points, rows.shape[1],
        *x_.stride(), *baseline_.stride(), *labels_.stride(), *out_.stride(),
        TILE=tile,
    )  # fmt: skip
    if out_.data_ptr() != out.data_ptr():  # a grid in pieces: flatten made a copy
        out.copy_(out_.view(out.shape))
