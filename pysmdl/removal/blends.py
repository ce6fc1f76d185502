"""Blends: each point between the input and what stands in its place, by the weight of its region."""

from __future__ import annotations

import torch
from torch import Tensor

CACHED = 1 << 18  # points of rows that a cache holds


def check_blends(x: Tensor) -> None:
    """Raises:
    ValueError: it holds no numbers that may be blended.
    """
    if not x.is_floating_point():
        raise ValueError(f"soft masks blend numbers, and there is nothing between two ids; got {x.dtype}")


def blend(x: Tensor, baseline: Tensor, labels: Tensor, bits: Tensor, source: Tensor, out: Tensor) -> None:
    """Rows of weights into `out`, by plain operations, each rounded once, so that devices and batches agree.

        out[b, c, p] = w x[i, c, p] + (1 - w) baseline[i, c, p]    i = source[b], w = weights[b, labels[i, p]]

    A weight of 0 or 1 gives the baseline's or the input's own bits. Label -1 is always shown.

    Args:
        x, baseline: [M, C, *grid].
        labels: [M, *grid], int32.
        bits: The weights' bits. [B, n], int32.
        source: Which of the M inputs each row shows; -1, padding, shows the first. [B], int32.
        out: [B, C, *grid].
    """
    step = len(out) if out.is_cuda else max(1, CACHED // max(1, x[0].numel()))
    weights = torch.nn.functional.pad(bits.view(torch.float32), (1, 0), value=1.0)  # of label -1 first
    for part, given, places in zip(out.split(step), weights.split(step), source.split(step), strict=True):
        if len(x) == 1:
            own, hidden = x.float(), baseline.float()
            shown = given.index_select(1, labels.flatten() + 1)  # [b, P]
        else:
            chosen = places.clamp(min=0).long()
            own, hidden = x[chosen].float(), baseline[chosen].float()
            shown = given.gather(1, labels[chosen].flatten(1).long() + 1)
        w = shown.view(len(part), 1, *part.shape[2:])
        blended = torch.mul(w, own, out=part) if part.dtype == torch.float32 else w * own
        blended += (1 - w) * hidden
        if blended is not part:
            part.copy_(blended)
