"""Soft rows: a row of a design gives each player a weight from 0 to 1, and its points show that share of the input.

Weights travel where bits do, a word of 32 for each player: the bits of its float32.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pysmdl.kernels import blend, serves
from pysmdl.removal.base import DeviceRows, Removal, Resident
from pysmdl.types import Regions

if TYPE_CHECKING:
    from pysmdl.scorers.base import Scorer


class SoftPaint(Removal):
    """Each point shows w of the input and 1 - w of the baseline, w the weight of its region."""

    name = "baseline"

    @property
    def form(self) -> Hashable:
        return "soft paint"

    def resident(self, x: Tensor, regions: Regions, baseline: Any, scorer: Scorer) -> Resident:
        if not x.is_floating_point():
            raise ValueError(f"soft masks blend numbers, and there is nothing between two ids; got {x.dtype}")
        return super().resident(x, regions, baseline, scorer)

    def view(self, pool: Mapping[str, Tensor], rows: DeviceRows, out: Tensor, backend: str) -> Any:
        into = out if out.dim() > 2 else out[:, None]
        blended(pool, rows.bits, rows.source, into, backend)
        return out


def blended(pool: Mapping[str, Tensor], bits: Tensor, source: Tensor, out: Tensor, backend: str) -> None:
    """Rows of weights, whose bits these are, into out [B, C, *grid]."""
    served = serves("blend", backend, out.device.type)
    weights = bits.view(torch.float32)
    blend(pool["x"], pool["baseline"], pool["labels"], weights, source, out=out, backend=served)
