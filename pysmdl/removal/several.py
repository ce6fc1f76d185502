"""Several inputs at once: each is painted over by itself, texts lose spans, and the model is given a dict of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from pysmdl.inputs.several import Several
from pysmdl.inputs.text import TextInput
from pysmdl.removal.base import DeviceRows, Resident
from pysmdl.removal.fills import Fill
from pysmdl.removal.handed import Hands
from pysmdl.removal.of_text import pieces_of, spoken
from pysmdl.scorers.base import Scorer
from pysmdl.types import Regions

Paints = Callable[[Mapping[str, Tensor], DeviceRows, Tensor], None]


def resident_of_each(
    resident: Callable[[Tensor, Regions, Any, Scorer], Resident],
    read: Several,
    baseline: Any,
    scorer: Scorer,
    hands: Hands,
) -> Resident:
    """What stays of each input, under its name: what a removal keeps of it, its players counted through; of a text a
    number by which its spans are found on the host.

    Args:
        resident: Of one input that is no text: x [C, *grid] or [N], baseline and labels.
        read: The inputs, with their regions.
        baseline: For all but texts, or by name.
        scorer: Whose model takes them.
        hands: Where texts are found.

    Raises:
        ValueError: regions overlap, or a baseline is given under no input's name, is drawn, or, of a text, no text.
    """
    if isinstance(baseline, Mapping) and set(baseline) - set(read.parts):
        raise ValueError(
            f"baseline of several inputs is given by name, of {', '.join(read.parts)}; got {list(baseline)}"
        )
    tensors: dict[str, Tensor] = {}
    texts = []
    n = sum(regions.n for _, regions in read.parts.values())
    for name, each, regions, start in read.counted():
        if regions.covers is not None:
            raise ValueError(f"regions of several inputs must not overlap; those of {name!r} do")
        if isinstance(each, TextInput):
            other = _word(name, baseline.get(name) if isinstance(baseline, Mapping) else None)
            own = slice(start, start + regions.n)
            number, held = hands.hold((own, pieces_of(each.text.text, regions.labels), other), n)
            tensors[f"{name}/number"] = number
            texts.append(held)
        else:
            own_baseline = baseline.get(name, scorer.baseline) if isinstance(baseline, Mapping) else baseline
            own_regions = each.spread_regions(regions)
            tensors |= _of_one(resident, name, each.x, own_regions, own_baseline, scorer, start)
    return Resident(tensors, None, tuple(texts))


def _of_one(
    resident: Callable[[Tensor, Regions, Any, Scorer], Resident],
    name: str,
    x: Tensor,
    regions: Regions,
    baseline: Any,
    scorer: Scorer,
    start: int,
) -> dict[str, Tensor]:
    """An input that is no text, whose first player is number `start` of all."""
    if isinstance(baseline, Fill):
        raise ValueError(
            f"baseline of several inputs must be the same each time; of {name!r} it is a fill, {baseline.name}"
        )
    x = x.detach().to(scorer.device)
    x = x.to(scorer.dtype).contiguous() if x.is_floating_point() else x
    made = resident(x, regions, baseline, scorer).tensors
    hidden = made["baseline"] if x.dim() > 1 else made["baseline"][0]
    return {f"{name}/x": x, f"{name}/baseline": hidden, f"{name}/labels": counted_from(start, made["labels"])}


def counted_from(start: int, labels: Tensor) -> Tensor:
    """Labels of one of several inputs, whose first player is number `start` of all; -1, always shown, stays."""
    return torch.where(labels < 0, labels, labels + start)


def _word(name: str, baseline: Any) -> str:
    """What stands in the place of an absent span of a text; nothing where nobody says."""
    if baseline is not None and not isinstance(baseline, str):
        raise ValueError(
            f"baseline of the text {name!r} must be what stands for an absent span, such as '[MASK]', or None, where "
            f"spans are left out; got {baseline!r}"
        )
    return baseline or ""


def view_of_each(pool: Mapping[str, Tensor], rows: DeviceRows, hands: Hands, paints: Paints) -> dict[str, Any]:
    """The rows of each input by name: [B, C, *grid] or [B, N]; of a text a list of B strings.

    Args:
        pool: What :func:`resident_of_each` made.
        rows: On the device.
        hands: Where texts are found.
        paints: Writes rows of one input, x, baseline and labels by these names, into [B, C, *grid].
    """
    found: dict[str, Any] = {}
    for name, _, part in (key.rpartition("/") for key in pool):
        if part == "number":
            runs = hands.runs(pool[f"{name}/number"], rows)
            found[name] = [
                spoken(kept, pieces, other) for member, (own, pieces, other) in runs for kept in member[:, own].tolist()
            ]
        elif part == "x":
            one = {part: pool[f"{name}/{part}"] for part in ("x", "baseline", "labels")}
            x = one["x"]
            out = x.new_empty((len(rows.source), *x.shape[1:]))
            plain = x.dim() == 2
            if plain:
                one |= {"x": x[:, None], "baseline": one["baseline"][:, None]}
            paints(one, rows, out[:, None] if plain else out)
            found[name] = out
    return found
