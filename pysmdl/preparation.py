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
from pysmdl.removal import BASELINES, Removal
from pysmdl.scorers import Scorer
from pysmdl.targets import Box
from pysmdl.types import Regions

NAMES = ("image", "target", "id", "regions", "baseline")


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

    def __init__(self, scorer: Scorer, removal: Removal, regions: Any, baseline: Any, trace: Any) -> None:
        self.scorer, self.removal, self.regions, self.baseline = scorer, removal, regions, baseline
        self.trace = tuple(trace) if np.iterable(trace) and not isinstance(trace, str) else (trace,)
        if isinstance(baseline, str) and baseline not in BASELINES:
            raise one_of("baseline", baseline, BASELINES)
        if not removal.painted and not (baseline is None or (isinstance(baseline, str) and baseline == "black")):
            raise ValueError(f'removal="{removal.name}" paints nothing over, so there is no baseline; got {baseline!r}')

    def load(self, given: Any) -> Loaded:
        """The half that needs no device: read, resize, divide into regions."""
        item = as_dict(given)
        image, spec, how = item["image"], self.scorer.input, item.get("regions", self.regions)
        if isinstance(image, Tensor):
            x, pixels = _checked(image, how), None
            scale = spec.scale((x.shape[1], x.shape[2])) if spec.mask_at == "image" and x.dim() == 3 else (1.0, 1.0)
            on_grid = spec.denormalise(x) if x.dim() == 3 and x.shape[0] in (1, 3) else None
        else:
            pixels = image_files.load(image)
            on_grid = spec.grid(pixels)
            x, scale = spec.normalise(on_grid), spec.scale(pixels.shape[:2])
        regions = partition(how, on_grid, x.shape[1:])
        if isinstance(how, str):
            regions = self.removal.divide(regions, self.scorer)
        return Loaded(item, x, regions, pixels if pixels is not None else on_grid, scale)

    def place(self, loaded: Loaded) -> Item:
        """The other half: onto the scorer's device, with what absent regions look like there."""
        item, scorer = loaded.given, self.scorer
        x = loaded.x.detach().to(scorer.device).to(scorer.dtype)
        x = x.contiguous() if 0 in x.stride() else x
        baseline = item.get("baseline")
        if baseline is not None and not self.removal.painted:
            raise ValueError(f'an item has no baseline under removal="{self.removal.name}", which paints nothing over')
        target = item.get("target")
        return Item(
            x=x,
            resident=self.removal.resident(x, loaded.regions, self.baseline if baseline is None else baseline, scorer),
            form=self.removal.form,
            regions=loaded.regions,
            target=scorer.encode(target, self.trace, loaded.scale),
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
        return {name: copied(value) for name, value in item.items()}


def as_dict(given: Any) -> Mapping[str, Any]:
    """An item as a dict with image and whatever else it names; a data set's "label" is its target."""
    if isinstance(given, Mapping):
        item = {("target" if name == "label" and "target" not in given else name): given[name] for name in given}
        unknown = set(item) - set(NAMES)
        if unknown or "image" not in item:
            names = ", ".join(NAMES[1:])
            raise ValueError(f"an item needs image and may have {names} (or label for target); got {sorted(given)}")
        return item
    if isinstance(given, tuple):
        if len(given) != 2:
            raise ValueError(f"an item given as a tuple must be (image, target); got {len(given)} entries")
        return {"image": given[0], "target": given[1]}
    return {"image": given}


def copied(value: Any) -> Any:
    """The same in memory of our own, where it is an array, a tensor or regions."""
    if isinstance(value, Regions):
        return replace(value, labels=value.labels.copy())
    if isinstance(value, np.ndarray):
        return value.copy()
    return value.clone() if isinstance(value, Tensor) else value


def _checked(x: Tensor, how: Any) -> Tensor:
    """A tensor [C, *grid]; of a batch of one image [1, C, H, W] that image, where its regions are computed from it."""
    if x.dim() == 4 and x.shape[0] == 1 and (isinstance(how, str) or callable(how)):
        x = x[0]
    if x.dim() < 2 or 0 in x.shape or not x.is_floating_point():
        hint = "; a plain [N] goes in as x[None], one channel" if x.dim() == 1 else ""
        raise ImageError(
            f"an input tensor must be float [C, *grid] in model space; got {x.dtype} {list(x.shape)}{hint}"
        )
    if not torch.isfinite(x).all():
        raise ImageError("the input tensor holds NaN or infinity")
    return x
