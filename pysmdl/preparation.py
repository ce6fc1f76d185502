"""Preparation: what the caller gives as an input becomes an item of the engine: loaded by any thread, placed by one."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from pysmdl.engine import Item
from pysmdl.errors import one_of
from pysmdl.inputs import Input, reader_of
from pysmdl.inputs.image_files import Frame
from pysmdl.models.class_names import Names
from pysmdl.regions import partition
from pysmdl.removal import BASELINES, Removal
from pysmdl.scorers import Scorer
from pysmdl.targets import Box
from pysmdl.types import Regions

log = logging.getLogger("pysmdl")

NAMES = ("image", "target", "id", "regions", "baseline")


@dataclass(frozen=True)
class Loaded:
    """An input as :meth:`Preparation.load` leaves it: the item as given, what the model sees, and how it is divided."""

    given: Mapping[str, Any]
    read: Input
    regions: Regions


class Preparation:
    """How the inputs of a call are read, divided and masked. Arguments are those of :func:`pysmdl.explain`.

    Raises:
        ValueError: no such baseline, or one where nothing is painted over.
    """

    def __init__(
        self, scorer: Scorer, removal: Removal, regions: Any, baseline: Any, trace: Any, names: Names | None = None
    ) -> None:
        self.scorer, self.removal, self.regions, self.names = scorer, removal, regions, names
        self.baseline = "black" if baseline is None and removal.painted else baseline
        self._doubted = False
        traced = tuple(trace) if np.iterable(trace) and not isinstance(trace, str) else (trace,)
        self.trace = tuple(scorer.named(each, names) for each in traced)
        if isinstance(baseline, str) and baseline not in BASELINES:
            raise one_of("baseline", baseline, BASELINES)
        if not removal.painted and baseline is not None:
            raise ValueError(f'removal="{removal.name}" paints nothing over, so there is no baseline; got {baseline!r}')

    def load(self, given: Any) -> Loaded:
        """The half that needs no device: read, resize, divide into regions."""
        item = as_dict(given)
        how = item.get("regions", self.regions)
        image = item["image"]
        read = reader_of(image).read(image, self.scorer.input, isinstance(how, str) or callable(how))
        if read.doubt is not None and not self._doubted:
            self._doubted = True
            log.warning("%s", read.doubt)
        size = None if read.picture is None else read.picture.shape[:2]
        grid = read.x.shape[1:] if read.points is None or read.content is None else read.content.shape[:2]
        regions = partition(how, read.content, grid, size, read.frame)
        if isinstance(how, str):
            regions = self.removal.divide(regions, self.scorer)
        return Loaded(item, read, regions)

    def place(self, loaded: Loaded) -> Item:
        """The other half: onto the scorer's device, with what absent regions look like there."""
        item, scorer = loaded.given, self.scorer
        x = loaded.read.x.detach().to(scorer.device).to(scorer.dtype)
        x = x.contiguous() if 0 in x.stride() else x
        baseline = item.get("baseline")
        if baseline is not None and not self.removal.painted:
            raise ValueError(f'an item has no baseline under removal="{self.removal.name}", which paints nothing over')
        target = scorer.named(item.get("target"), self.names)
        target = scorer.located(target, x, loaded.read, self.names)
        return Item(
            x=x,
            resident=self.removal.resident(x, _spread(loaded), self.baseline if baseline is None else baseline, scorer),
            form=self.removal.form,
            regions=loaded.regions,
            target=scorer.encode(_framed(target, loaded.read.frame), self.trace, loaded.read.scale),
            described=target.describe() if isinstance(target, Box) else None,
            id=None if item.get("id") is None else str(item["id"]),
            pixels=loaded.read.picture,
            frame=loaded.read.frame,
            provenance=self._provenance(item),
        )

    def _provenance(self, item: Mapping[str, Any]) -> dict[str, Any]:
        how, image = item.get("regions", self.regions), item["image"]
        found = {"regions": how if isinstance(how, str) else "given"}
        return {**found, "source": os.fsdecode(image)} if isinstance(image, (str, os.PathLike)) else found

    def lend(self, given: Any) -> tuple[dict[str, Any], bool]:
        """The item as it may be loaded later, as the caller may fill its arrays anew by then; and whether a thread may
        do that: not where it runs the caller's code, or touches a device, whose graphs a thread would end.
        """
        item = as_dict(given)
        regions = item.get("regions", self.regions)
        image, threaded = reader_of(item["image"]).lend(item["image"])
        lent = {name: image if name == "image" else copied(value) for name, value in item.items()}
        return lent, threaded and not callable(regions) and not _on_device(regions)


def _spread(loaded: Loaded) -> Regions:
    """The regions on the grid of what the model is given."""
    return replace(loaded.regions, labels=loaded.read.spread(loaded.regions.labels))


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


def _framed(target: Any, frame: Frame | None) -> Any:
    """A target in the pixels of what the model sees of the image.

    Raises:
        ValueError: a box lies outside of that.
    """
    if frame is None or not isinstance(target, Box):
        return target
    x0, y0, x1, y1 = target.xyxy
    left, top, right, bottom = frame
    if x0 >= right or x1 <= left or y0 >= bottom or y1 <= top:
        seen = ", ".join(f"{corner:g}" for corner in frame)
        raise ValueError(f"xyxy must overlap what the model sees of the image, its crop {seen}; got {target.xyxy}")
    return replace(target, xyxy=(x0 - left, y0 - top, x1 - left, y1 - top))


def _on_device(value: Any) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    return any(map(_on_device, value)) if isinstance(value, (list, tuple)) else getattr(value, "is_cuda", False)


def copied(value: Any) -> Any:
    """The same in memory of our own: arrays, tensors and regions, also in lists and dicts."""
    if isinstance(value, dict):
        return {name: copied(each) for name, each in value.items()}
    if type(value) in (list, tuple):  # masks one by one, or SAM's dicts
        return type(value)(map(copied, value))
    if isinstance(value, Regions):
        return replace(value, labels=value.labels.copy())
    if isinstance(value, np.ndarray):
        return value.copy()
    return value.clone() if isinstance(value, Tensor) else value
