"""Soft rows: a row of a design gives each player a weight from 0 to 1, and its points show that share of the input.

Weights travel where bits do, a word of 32 for each player: the bits of its float32.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pysmdl.inputs.several import Several
from pysmdl.inputs.text import TextInput
from pysmdl.removal.base import DeviceRows, Removal, Resident
from pysmdl.removal.blends import blend, check_blends
from pysmdl.removal.cover import part_weights
from pysmdl.removal.handed import Hands
from pysmdl.removal.several import resident_of_each, view_of_each
from pysmdl.types import Regions

if TYPE_CHECKING:
    from pysmdl.scorers.base import Scorer


class SoftPaint(Removal):
    """Each point shows w of the input and 1 - w of the baseline, w the weight of its region; where regions overlap that
    of its part: see :func:`pysmdl.removal.cover.part_weights`.
    """

    name = "baseline"
    covers = True

    @property
    def form(self) -> Hashable:
        return "soft paint"

    def resident(self, x: Tensor, regions: Regions, baseline: Any, scorer: Scorer) -> Resident:
        check_blends(x)
        return super().resident(x, regions, baseline, scorer)

    def resident_of_each(self, read: Several, baseline: Any, scorer: Scorer) -> Resident:
        texts = [name for name, (each, _) in read.parts.items() if isinstance(each, TextInput)]
        if texts:
            raise ValueError(f"soft masks blend numbers, and there is nothing between words; {texts[0]!r} is a text")
        return resident_of_each(self.resident, read, baseline, scorer, Hands())

    def view(self, pool: Mapping[str, Tensor], rows: DeviceRows, out: Tensor, backend: str) -> Any:
        if "x" not in pool:
            return view_of_each(pool, rows, Hands(), partial(blend, backend=backend))
        every = "every" in pool
        if every or "any" in pool:
            table = pool["every" if every else "any"][rows.source.long().clamp(min=0)]
            shares = part_weights(table, rows.bits.view(torch.float32), every)
            rows = DeviceRows(shares.contiguous().view(torch.int32), rows.source, None)
        blend(pool, rows, out if out.dim() > 2 else out[:, None], backend)
        return out
