"""Players that overlap: a point shows the input while any of the players that cover it is kept, or all of them are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pysmdl.types import Bools, Ints

NOBODY = -2  # of a layer at a point that fewer players cover


def layers_of(covers: Bools) -> Ints:
    """Which players cover each point: bool [n, *grid] to layers [K, *grid], K the most that cover one; -2 beyond."""
    order = np.argsort(~covers, axis=0, kind="stable")  # those that cover a point come first
    most = max(1, int(covers.sum(0).max()))
    layers: Ints = np.where(np.take_along_axis(covers, order, 0), order, NOBODY)[:most].astype(np.int32)
    return layers


def shown(layers: Tensor, bits: Tensor, place: Tensor, every: bool) -> Tensor:
    """Whether each row shows each point; one that nobody covers is always shown. bool [B, 1, *grid].

    Args:
        layers: Of all inputs. [M, K, *grid].
        bits: Kept players. [B, W].
        place: Which input each row shows. [B].
        every: Whether all that cover a point must be kept, or any.
    """
    found = torch.full((len(bits), *layers.shape[2:]), every, device=bits.device)
    for layer in layers.unbind(1):
        labels = layer[place].flatten(1)
        word = labels.clamp(min=0) >> 5
        kept = ((bits.gather(1, word.long()) >> (labels & 31)) & 1).bool().view(found.shape)
        there = (labels >= 0).view(found.shape)
        found = found & (kept | ~there) if every else found | (kept & there)
    uncovered = (layers[:, 0] < 0)[place]
    return (found | uncovered)[:, None]


def compose_covers(pool: Mapping[str, Tensor], bits: Tensor, source: Tensor, out: Tensor) -> None:
    """What :func:`pysmdl.kernels.compose` is for a partition. Padding is filled with zeros."""
    place, every = source.long().clamp(min=0), "every" in pool
    keep = shown(pool["every" if every else "any"], bits, place, every)
    torch.where(keep, pool["x"][place], pool["baseline"][place], out=out)
    out[source < 0] = 0
