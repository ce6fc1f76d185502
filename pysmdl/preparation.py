"""Preparation: what the caller gives as an input becomes an item of the engine: loaded by any thread, placed by one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pysmdl.engine import Item
from pysmdl.errors import ImageError, one_of
from pysmdl.inputs import image_files
from pysmdl.inputs.image import Scale
from pysmdl.inputs.image_files import Pixels
from pysmdl.regions import partition
from pysmdl.regions.label_maps import snap_to_patches
from pysmdl.removal import BASELINES, baseline_of
from pysmdl.scorers import Scorer
from pysmdl.scorers.token_drop import TokenDropScorer
from pysmdl.targets import Box
from pysmdl.types import Regions


@dataclass(frozen=True)
class Loaded:
    """An input as :meth:`Preparation.load` leaves it: the item as given, what the model sees, and how it is divided."""

    given: Mapping[str, Any]
    x: Tensor
    regions: Regions
    pixels: Pixels | None
    scale: Scale


class Preparation:
    """How the inputs of a call are read, divided and masked. Arguments are those of :func:`pysmdl.explain`.

    Raises:
        ValueError: no such baseline, or one where nothing is painted over.
    """

    def __init__(self, scorer: Scorer, regions: Any, baseline: Any, trace: Any) -> None:
        self.scorer, self.regions, self.baseline = scorer, regions, baseline
        self.trace = tuple(trace) if np.iterable(trace) and not isinstance(trace, str) else (trace,)
        if isinstance(baseline, str) and baseline not in BASELINES:
            raise one_of("baseline", baseline, BASELINES)
        if isinstance(scorer, TokenDropScorer) and not (isinstance(baseline, str) and baseline == "black"):
            raise ValueError(f'removal="token-drop" leaves patches out, so there is no baseline; got {baseline!r}')

    def load(self, given: Any) -> Loaded:
        """The half that needs no device: read, resize, divide into regions."""
        item = as_dict(given)
        given, spec = item["image"], self.scorer.input
        if isinstance(given, Tensor):
            x, pixels = _checked(given), None
            scale = spec.scale((x.shape[1], x.shape[2])) if spec.mask_at == "image" and x.dim() == 3 else (1.0, 1.0)
            on_grid = spec.denormalise(x) if x.dim() == 3 and x.shape[0] in (1, 3) else None
        else:
            pixels = image_files.load(given)
            on_grid = spec.grid(pixels)
            x, scale = spec.normalise(on_grid), spec.scale(pixels.shape[:2])
        how = item.get("regions", self.regions)
        regions = partition(how, on_grid, x.shape[1:], None if pixels is None else pixels.shape[:2])
        if isinstance(self.scorer, TokenDropScorer) and isinstance(how, str):
            regions = snap_to_patches(regions, self.scorer.tower.patch)
        return Loaded(item, x, regions, pixels if pixels is not None else on_grid, scale)

    def place(self, loaded: Loaded) -> Item:
        """The other half: onto the scorer's device, with what absent regions look like there."""
        item, regions = loaded.given, loaded.regions
        x = loaded.x.detach().to(self.scorer.device).to(self.scorer.dtype)
        target = item.get("target")
        tokens = image = None
        if isinstance(self.scorer, TokenDropScorer):
            if item.get("baseline") is not None:
                raise ValueError('an item has no baseline under removal="token-drop", which leaves patches out')
            image = x
            x, tokens = self.scorer.tokens_of(x), self.scorer.labels_of(regions)
            baseline = torch.zeros(1, dtype=x.dtype, device=x.device).expand(x.shape)  # nothing is painted over
        else:
            baseline = baseline_of(item.get("baseline", self.baseline), x, self.scorer.input.black())
        return Item(
            x=x,
            baseline=baseline,
            regions=tokens or regions,
            shown=regions,
            image=image,
            target=self.scorer.encode(target, self.trace, loaded.scale),
            described=target.describe() if isinstance(target, Box) else None,
            id=None if item.get("id") is None else str(item["id"]),
            pixels=loaded.pixels,
        )

    def lend(self, given: Any) -> dict[str, Any] | None:
        """The item as a thread may load it later: the caller may fill its arrays anew by then. None where loading it
        runs the caller's code, or touches a device, whose graphs a thread would end.
        """
        item = dict(as_dict(given))
        read = item["image"], item.get("regions", self.regions)
        if any(callable(each) or getattr(each, "is_cuda", False) for each in read):
            return None
        if not isinstance(item["image"], (str, os.PathLike, np.ndarray, Tensor)):  # Pillow's: its file may be closed
            item["image"] = image_files.load(item["image"])
        return {name: _copied(value) for name, value in item.items()}


def as_dict(given: Any) -> Mapping[str, Any]:
    """An item as a dict with image and whatever else it names."""
    if isinstance(given, Mapping):
        unknown = set(given) - {"image", "target", "id", "regions", "baseline"}
        if unknown or "image" not in given:
            raise ValueError(f"an item needs image and may have target, id, regions, baseline; got {sorted(given)}")
        return given
    if isinstance(given, tuple):
        if len(given) != 2:
            raise ValueError(f"an item given as a tuple must be (image, target); got {len(given)} entries")
        return {"image": given[0], "target": given[1]}
    return {"image": given}


def _copied(value: Any) -> Any:
    if isinstance(value, Regions):
        return replace(value, labels=value.labels.copy())
    if type(value) in (list, tuple):  # masks one by one, or SAM's dicts
        return type(value)(map(_copied, value))
    if isinstance(value, dict):
        return {name: _copied(each) for name, each in value.items()}
    if isinstance(value, np.ndarray):
        return value.copy()
    return value.clone() if isinstance(value, Tensor) else value


def _checked(x: Tensor) -> Tensor:
    if x.dim() < 2 or 0 in x.shape or not x.is_floating_point():
        raise ImageError(f"an input tensor must be float [C, *grid] in model space; got {x.dtype} {list(x.shape)}")
    if not torch.isfinite(x).all():
        raise ImageError("the input tensor holds NaN or infinity")
    return x
