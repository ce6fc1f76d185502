"""Players that overlap: a point shows the input while any of the players that cover it is kept, or all of them are.

Points that the same players cover are one part. Whether a row shows a part is read off a small table, and then the
parts are composed as any partition is.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pysmdl import bitrows
from pysmdl.kernels import compose
from pysmdl.types import Bools, Ints

WORD = 32


def parts_of(covers: Bools) -> tuple[Ints, Ints]:
    """The part of each point, -1 where nobody covers it, and who covers each part, as rows of bits.

    Args:
        covers: Where each player is. bool [n, *grid].

    Returns:
        [*grid], and [Q, W] with Q filled up to a multiple of 32 by rows of nobody.
    """
    flat = np.ascontiguousarray(covers.reshape(len(covers), -1).T)
    found, part = np.unique(bitrows.pack(flat), axis=0, return_inverse=True)
    part = part.ravel()
    nobody = np.flatnonzero(~found.any(1))
    labels = np.where(np.isin(part, nobody), -1, part).astype(np.int32).reshape(covers.shape[1:])
    table = np.zeros((-(-len(found) // WORD) * WORD, found.shape[1]), np.int32)
    table[: len(found)] = found
    return labels, table


def shown(table: Tensor, bits: Tensor, every: bool) -> Tensor:
    """The parts that each row shows, as rows of bits.

    Args:
        table: Who covers each part, for each row. [B, Q, W].
        bits: Kept players. [B, W].
        every: Whether all that cover a part must be kept, or any.
    """
    row = bits[:, None, : table.shape[2]]
    kept = (table & ~row == 0).all(2) if every else (table & row != 0).any(2)
    each = kept.view(len(bits), -1, WORD).to(torch.int32) << torch.arange(WORD, dtype=torch.int32, device=bits.device)
    return each.sum(2, dtype=torch.int32)


def part_weights(table: Tensor, weights: Tensor, every: bool) -> Tensor:
    """What share of each part a row of weights shows: what is expected where each player is kept by itself with the
    chance that is its weight. One minus the product of 1 - w of those that cover it where "any" is enough, the product
    of w where "all" are needed; of bits that is :func:`shown`.

    Args:
        table: Who covers each part, for each row. [B, Q, W].
        weights: Of the players. [B, n].
        every: Whether all that cover a part must be kept, or any.
    """
    weights = weights[:, : table.shape[2] * WORD]
    player = torch.arange(weights.shape[1], device=table.device)
    member = (table[:, :, player // WORD] >> (player % WORD)) & 1
    own = weights if every else 1 - weights
    product = torch.where(member == 1, own[:, None], torch.ones_like(own)[:, None]).prod(2)
    return product if every else 1 - product


def compose_covers(pool: Mapping[str, Tensor], bits: Tensor, source: Tensor, out: Tensor, backend: str) -> None:
    """What :func:`pysmdl.kernels.compose` is for a partition."""
    every = "every" in pool
    table = pool["every" if every else "any"][source.long().clamp(min=0)]
    rows = shown(table, bits, every)
    compose(pool["x"], pool["baseline"], pool["labels"], rows, source, out=out, backend=backend)
