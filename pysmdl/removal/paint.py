"""Painting over: an absent region shows a baseline in its place."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from torch import Tensor

from pysmdl.kernels import compose
from pysmdl.removal.base import DeviceRows, Removal
from pysmdl.removal.cover import compose_covers
from pysmdl.removal.several import view_of_each
from pysmdl.removal.weighted import SoftPaint


class Paint(Removal):
    """Each point shows the input where its region is kept, and the baseline elsewhere (all published systems)."""

    name = "baseline"
    covers = True

    @property
    def form(self) -> Hashable:
        return "paint"

    def softened(self) -> Removal:
        return SoftPaint()

    def compose(self, pool: Mapping[str, Tensor], bits: Tensor, source: Tensor, out: Tensor) -> None:
        painted(pool, bits, source, out, "auto")

    def view(self, pool: Mapping[str, Tensor], rows: DeviceRows, out: Tensor, backend: str) -> Any:
        if "x" not in pool:
            return view_of_each(pool, rows, backend)
        painted(pool, rows.bits, rows.source, out, backend)
        return out


def painted(pool: Mapping[str, Tensor], bits: Tensor, source: Tensor, out: Tensor, backend: str) -> None:
    """Rows of a pool into out [B, *row]; plain rows have no channel, and are given one here."""
    into = out if out.dim() > 2 else out[:, None]
    if "any" in pool or "every" in pool:
        compose_covers(pool, bits, source, into, backend)
    else:
        compose(pool["x"], pool["baseline"], pool["labels"], bits, source, out=into, backend=backend)
