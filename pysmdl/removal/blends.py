"""Blends: each point between the input and what stands in its place, by the weight of its region."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pysmdl import kernels
from pysmdl.removal.base import DeviceRows


def check_blends(x: Tensor) -> None:
    """Raises:
    ValueError: it holds no numbers that may be blended.
    """
    if not x.is_floating_point():
        raise ValueError(
            "soft masks blend numbers, and there is nothing between two ids: explain what they are embedded as, or a "
            f'text with removal="embedding"; got {x.dtype}'
        )


def blend(pool: Mapping[str, Tensor], rows: DeviceRows, out: Tensor, backend: str) -> None:
    """Rows of weights by :func:`pysmdl.kernels.blend`.

    Args:
        pool: x and baseline [M, C, *grid], labels [M, *grid].
        rows: Whose bits are those of the weights.
        out: [B, C, *grid].
        backend: Of the kernels; "auto" in its place where it has none for this.
    """
    served, weights = kernels.serves("blend", backend, out.device.type), rows.bits.view(torch.float32)
    kernels.blend(pool["x"], pool["baseline"], pool["labels"], weights, rows.source, out=out, backend=served)
