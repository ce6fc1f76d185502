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
        compose(pool["x"], pool["baseline"], pool["labels"], bits, source, out=out)

    def view(self, pool: Mapping[str, Tensor], rows: DeviceRows, out: Tensor, backend: str) -> Any:
        compose(pool["x"], pool["baseline"], pool["labels"], rows.bits, rows.source, out=out, backend=backend)
        return out
