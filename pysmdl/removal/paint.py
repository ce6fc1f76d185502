"""Painting over: an absent region shows a baseline in its place."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from pysmdl.inputs.several import Several
from pysmdl.kernels import compose
from pysmdl.removal.base import DeviceRows, Removal, Resident
from pysmdl.removal.cover import compose_covers
from pysmdl.removal.handed import Hands
from pysmdl.removal.several import resident_of_each, view_of_each
from pysmdl.removal.weighted import SoftPaint

if TYPE_CHECKING:
    from pysmdl.scorers.base import Scorer


class Paint(Removal):
    """Each point shows the input where its region is kept, and the baseline elsewhere (all published systems)."""

    name = "baseline"
    covers = True

    def __init__(self) -> None:
        self._texts = Hands()

    @property
    def form(self) -> Hashable:
        return "paint"

    def softened(self) -> Removal:
        return SoftPaint()

    def resident_of_each(self, read: Several, baseline: Any, scorer: Scorer) -> Resident:
        found = resident_of_each(self.resident, read, baseline, scorer, self._texts)
        if found.host:  # what is made on the host is in no graph
            self.captured = False
        return found

    def compose(self, pool: Mapping[str, Tensor], bits: Tensor, source: Tensor, out: Tensor) -> None:
        painted(pool, bits, source, out, "auto")

    def view(self, pool: Mapping[str, Tensor], rows: DeviceRows, out: Tensor, backend: str) -> Any:
        if "x" not in pool:

            def paints(one: Mapping[str, Tensor], rows: DeviceRows, out: Tensor) -> None:
                painted(one, rows.bits, rows.source, out, backend)

            return view_of_each(pool, rows, self._texts, paints)
        painted(pool, rows.bits, rows.source, out, backend)
        return out


def painted(pool: Mapping[str, Tensor], bits: Tensor, source: Tensor, out: Tensor, backend: str) -> None:
    """Rows of a pool into out [B, *row]; plain rows have no channel, and are given one here."""
    into = out if out.dim() > 2 else out[:, None]
    if "any" in pool or "every" in pool:
        compose_covers(pool, bits, source, into, backend)
    else:
        compose(pool["x"], pool["baseline"], pool["labels"], bits, source, out=into, backend=backend)
