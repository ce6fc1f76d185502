"""Token dropping of models that answer in words: visual tokens of absent regions are left out of what they read."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pysmdl.inputs.several import Several
from pysmdl.models.visual_tokens import Kept, VisualTokens
from pysmdl.regions.label_maps import squares_of
from pysmdl.removal.base import DeviceRows, Resident
from pysmdl.removal.several import counted_from
from pysmdl.scorers.answers import AnswerScorer
from pysmdl.types import Ints, Regions


def answer_form(scorer: AnswerScorer) -> AnswerScorer:
    """The same reading of a model that is called on kept visual tokens.

    Raises:
        ValueError: its visual tokens do not stand for places of the picture.
    """
    if scorer.model.side is None:
        raise ValueError(
            "token dropping needs visual tokens that stand for places of the picture in the language model's own "
            f"sequence, as LLaVA, Qwen-VL, InternVL and Gemma 3 have; of {type(scorer.model.network).__name__} none "
            "are known: leave removal out, and absent regions are painted over"
        )
    form = copy.copy(scorer)
    form.model = VisualTokens(scorer.model)
    form.removal = "token-drop"
    return form


def side_of(scorer: Any) -> int:
    """Points that a token of its model covers, each way."""
    side: int = getattr(scorer.model, "side", None) or scorer.model.tower.patch
    return side


def visual_resident(x: Tensor, regions: Regions, scorer: Any) -> Resident:
    """The tokens that the vision tower makes of the whole input, their grid, and the region of each."""
    tokens, grid = scorer.model.features(x)
    labels = visual_labels(regions, scorer.model.side, len(tokens), scorer.tiled)
    return Resident({"x": tokens, "grid": grid, "labels": torch.from_numpy(labels)}, None)


def visual_resident_of_each(read: Several, scorer: Any) -> Resident:
    """The same of several pictures, whose tokens follow on each other and whose regions are counted through."""
    made = list[Mapping[str, Tensor]]()
    for _, each, regions, start in read.counted():
        x = each.x.detach().to(scorer.device, scorer.dtype)
        own = visual_resident(x, each.spread_regions(regions), scorer).tensors
        made.append({**own, "labels": counted_from(start, own["labels"])})
    joined = {name: torch.cat([own[name] for own in made]) for name in ("x", "labels")}
    return Resident({**joined, "grid": torch.stack([own["grid"] for own in made])}, None)


def visual_labels(regions: Regions, side: int, count: int, tiled: bool) -> Ints:
    """Region of each of the visual tokens, of squares of side x side points row by row; what comes before these, as a
    tower's class token, is always shown. [V], int32.

    Of the last of several tiles, a small view of all of the picture, a token is of the region at its middle.

    Raises:
        ValueError: a square has points of several regions, or there are more squares than tokens.
    """
    squares = squares_of(regions.labels, side)
    high, wide = squares.shape[0], squares.shape[2]
    middle: Ints = np.ascontiguousarray(squares[:, side // 2, :, side // 2])
    exact = squares[: high - wide] if tiled and high > wide else squares
    if not (exact == middle[: len(exact), None, :, None]).all():
        raise ValueError(f"regions must be constant within {side}x{side} points; snap_to_patches() makes them so")
    before = count - high * wide
    if before not in (0, 1):
        raise ValueError(f"the vision tower must give a token for each of {high} x {wide} squares; got {count} tokens")
    return np.concatenate((np.full(before, -1, np.int32), middle.ravel()))


def visual_view(pool: Mapping[str, Tensor], rows: DeviceRows) -> Kept:
    """Which tokens each row keeps."""
    source = rows.source.long().clamp(min=0)
    labels = pool["labels"][source].long()
    words = rows.bits.long().gather(1, (labels >> 5).clamp(min=0, max=rows.bits.shape[1] - 1))
    keep = ((words >> (labels & 31)) & 1).bool() | (labels < 0)
    return Kept(pool["x"], pool["grid"], source, keep)
