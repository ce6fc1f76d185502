"""Several inputs at once: each is painted over by itself, and the model is given a dict of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pysmdl.inputs.several import Several
from pysmdl.kernels import compose
from pysmdl.removal.base import DeviceRows, Removal, Resident
from pysmdl.removal.fills import Drawn, Fill
from pysmdl.scorers.base import Scorer


def resident_of_each(removal: Removal, read: Several, baseline: Any, scorer: Scorer) -> Resident:
    """What stays of each input, under its name: x [C, *grid] or [N], baseline and labels, the players counted through.

    Args:
        baseline: For all, or by name.

    Raises:
        ValueError: the removal does not paint over, or regions overlap.
    """
    if removal.form != "paint":
        soft = " with soft masks" if removal.name == "baseline" else ""
        what = "a fill that is drawn" if isinstance(removal, Drawn) else f"{removal.name!r}{soft}"
        raise ValueError(f'several inputs need removal="baseline", the same each time; got {what}')
    if isinstance(baseline, Mapping) and set(baseline) - set(read.parts):
        raise ValueError(
            f"baseline of several inputs is given by name, of {', '.join(read.parts)}; got {list(baseline)}"
        )
    tensors: dict[str, Tensor] = {}
    start = 0
    for name, (each, regions) in read.parts.items():
        x = each.x.detach().to(scorer.device)
        x = x.to(scorer.dtype).contiguous() if x.is_floating_point() else x
        own = baseline.get(name, scorer.baseline) if isinstance(baseline, Mapping) else baseline
        if isinstance(own, Fill):
            raise ValueError(
                f"baseline of several inputs must be the same each time; of {name!r} it is a fill, {own.name}"
            )
        made = removal.resident(x, regions, own, scorer).tensors
        if "any" in made or "every" in made:
            raise ValueError(f"regions of several inputs must not overlap; those of {name!r} do")
        labels = torch.where(made["labels"] < 0, made["labels"], made["labels"] + start)
        hidden = made["baseline"] if x.dim() > 1 else made["baseline"][0]
        tensors |= {f"{name}/x": x, f"{name}/baseline": hidden, f"{name}/labels": labels}
        start += regions.n
    return Resident(tensors, None)


def view_of_each(pool: Mapping[str, Tensor], rows: DeviceRows, backend: str) -> dict[str, Tensor]:
    """The rows of each input by name, [B, C, *grid] or [B, N]."""
    found = {}
    for name in (key.removesuffix("/x") for key in pool if key.endswith("/x")):
        x, hidden, labels = (pool[f"{name}/{part}"] for part in ("x", "baseline", "labels"))
        out = x.new_empty((len(rows.source), *x.shape[1:]))
        plain = x.dim() == 2
        given = (x[:, None], hidden[:, None]) if plain else (x, hidden)
        compose(*given, labels, rows.bits, rows.source, out=out[:, None] if plain else out, backend=backend)
        found[name] = out
    return found
