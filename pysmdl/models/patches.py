"""Pictures in the pieces that some networks take: Qwen's flat patches, and tiles. In torch, on composed rows."""

from __future__ import annotations

import torch
from torch import Tensor


def patches(batch: Tensor, side: int, merged: int, frames: int) -> tuple[Tensor, Tensor]:
    """Qwen's patches, those that are merged later next to each other, each frame of a still picture alike.

    Source: transformers/models/qwen2_vl/image_processing_qwen2_vl.py, patchify, to which it is bit-equal.

    Args:
        batch: [B, C, H, W], H and W multiples of side * merged.
        side: Of a patch, in pixels.
        merged: Patches a side that become one token.
        frames: A patch covers in time.

    Returns:
        [B * H / side * W / side, C * frames * side * side], and of each row 1, H / side, W / side [B, 3], int64.

    Raises:
        ValueError: H or W is no such multiple.
    """
    rows, channels, height, width = batch.shape
    if height % (side * merged) or width % (side * merged):
        raise ValueError(f"height and width must be multiples of {side * merged}; got {height} x {width}")
    high, wide = height // side, width // side
    split = batch.reshape(rows, channels, high // merged, merged, side, wide // merged, merged, side)
    ordered = split.permute(0, 2, 5, 3, 6, 1, 4, 7)[:, :, :, :, :, :, None]
    each = ordered.expand(*ordered.shape[:6], frames, side, side)
    grid = torch.tensor([[1, high, wide]], device=batch.device).expand(rows, 3)
    return each.reshape(rows * high * wide, channels * frames * side * side), grid


def picture(values: Tensor, high: int, wide: int, side: int, merged: int, frames: int) -> Tensor:
    """The picture [C, H, W] that Qwen's patches [high * wide, C * frames * side * side] were made of."""
    channels = values.shape[1] // (frames * side * side)
    split = values.reshape(high // merged, wide // merged, merged, merged, channels, frames, side, side)
    first = split.select(5, 0)
    whole: Tensor = first.permute(4, 0, 2, 5, 1, 3, 6).reshape(channels, high * side, wide * side)
    return whole


def tiles(batch: Tensor) -> Tensor:
    """Square tiles that stand below each other [B, C, T * S, S], one by one. [B, T, C, S, S]."""
    apart: Tensor = batch.unflatten(2, (-1, batch.shape[3]))
    return apart.transpose(1, 2).contiguous()
