"""Painting over: an absent region shows a baseline in its place."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from torch import Tensor

from pysmdl.kernels import compose
from pysmdl.removal.base import DeviceRows, Removal


class Paint(Removal):
    """Each point shows the input where its region is kept, and the baseline elsewhere (all published systems)."""

    name = "baseline"

    @property
    def form(self) -> Hashable:
        return "paint"

    def compose(self, pool: Mapping[str, Tensor], bits: Tensor, source: Tensor, out: Tensor) -> None:
        into = out if out.dim() > 2 else out[:, None]
        compose(pool["x"], pool["baseline"], pool["labels"], bits, source, out=into)

    def view(self, pool: Mapping[str, Tensor], rows: DeviceRows, out: Tensor, backend: str) -> Any:
        into = out if out.dim() > 2 else out[:, None]  # plain rows have no channel
        compose(pool["x"], pool["baseline"], pool["labels"], rows.bits, rows.source, out=into, backend=backend)
        return out
