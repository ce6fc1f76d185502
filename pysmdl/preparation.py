"""Preparation: what the caller gives as an input becomes an item of the engine: loaded by any thread, placed by one."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pysmdl.engine import Item
from pysmdl.errors import ImageError, RegionError, one_of
from pysmdl.explanation.parts import parts_of
from pysmdl.inputs import Input, Opener, Reader, reader_of
from pysmdl.inputs.image_files import Frame
from pysmdl.inputs.items import as_dict, copied, on_device
from pysmdl.inputs.several import SHOWN, PassageReader, Several, is_several, together, undivided
from pysmdl.inputs.table import TableInput
from pysmdl.inputs.text import TextInput
from pysmdl.models.class_names import Names
from pysmdl.regions import divided_as, named_by_time, partition, players, refuse_several, without_grid
from pysmdl.regions.players import named_by_columns
from pysmdl.regions.spans import UNITS, named_by_text
from pysmdl.regions.spans import divided as divided_text
from pysmdl.removal import BASELINES, Removal, Resident
from pysmdl.removal.render import Render
from pysmdl.scorers import Scorer
from pysmdl.targets import Box
from pysmdl.types import Regions

log = logging.getLogger("pysmdl")

UNREAD = "given"  # the modality of what only a function of the caller's knows how to read
PASSAGES = PassageReader(divided_text)  # texts among several inputs


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
        RegionError: several partitions, where one is wanted.
    """

    def __init__(
        self, scorer: Scorer, removal: Removal, regions: Any, baseline: Any, trace: Any, names: Names | None = None
    ) -> None:
        self.scorer, self.removal, self.regions, self.names = scorer, removal, regions, names
        self.baseline = scorer.baseline if baseline is None and removal.painted else baseline
        if scorer.reader is None and not isinstance(removal, Render):
            refuse_several(regions)
        self._doubted = False
        traced = tuple(trace) if np.iterable(trace) and not isinstance(trace, str) else (trace,)
        try:
            self.trace = tuple(scorer.named(each, names) for each in traced)
        except ValueError as error:
            raise ValueError(f"trace={trace!r}: {error}") from error
        if not removal.painted and baseline is not None:
            raise ValueError(f'removal="{removal.name}" paints nothing over, so there is no baseline; got {baseline!r}')
        if isinstance(baseline, str) and baseline not in BASELINES and baseline not in scorer.baselines:
            raise one_of("baseline", baseline, {*BASELINES, *scorer.baselines})

    def load(self, given: Any) -> Loaded:
        """The half that needs no device: read, resize, divide into regions."""
        item = _opened(as_dict(given))
        how, image = item.get("regions", self.regions), item["image"]
        if isinstance(self.removal, Render) and without_grid(how):
            unread = Input(torch.zeros(1), None, None, modality=UNREAD)
            return Loaded({**item, "regions": how}, unread, how if isinstance(how, Regions) else players(how))
        if self._is_several(image):
            return self._load_several(item, image, {} if how is None else how)
        read, regions, how = self._divided(self._reader(image), image, how)
        if read.doubt is not None and read.modality == "image" and not self._doubted:
            self._doubted = True
            log.warning("%s", read.doubt)
        return Loaded({**item, "regions": how}, read, regions)

    def _divided(self, reader: Reader, given: Any, how: Any) -> tuple[Input, Regions, Any]:
        """One input, its regions, and how it was divided."""
        computed = how is None or isinstance(how, str) or callable(how)
        read = reader.read(given, self.scorer.input, computed)
        how = (self.removal.divided or read.divided) if how is None else how
        seen, content = _grid(read), read.content
        size = None if read.picture is None else read.picture.shape[:2]
        if self.removal.divided is not None:  # regions are of something else than the picture
            content = size = None
        grid = self.removal.grid(seen)

        def own(how: Any) -> Regions | None:
            found = None if read.divide is None else read.divide(how)
            return self.removal.players(how, grid) if found is None and isinstance(how, str) else found

        regions = partition(how, content, grid, size, read.frame, own)
        if isinstance(how, str):
            regions = self.removal.divide(regions, self.scorer)
            read = divided_as(how, read)
            regions = named_by_time(how, regions, read.rate)
        if isinstance(read, TextInput) and read.shown is not None:
            regions = named_by_text(regions, read.shown)
        if isinstance(read, TableInput):
            regions = named_by_columns(regions, read.columns)
        return read, regions, how

    def _load_several(self, item: Mapping[str, Any], given: Mapping[str, Any], how: Any) -> Loaded:
        """Inputs by name, each divided as the players of its name say.

        Raises:
            ValueError: players are not given by name, or all inputs are always shown.
        """
        if not given or not all(isinstance(name, str) for name in given):
            raise ValueError(f"several inputs need names that are text; got {list(given)}")
        if not isinstance(how, Mapping) or set(how) - set(given):
            such = f"such as {{{next(iter(given))!r}: {how!r}}}; " if isinstance(how, str) else ""
            sound = '; a sound is {"array", "sampling_rate"}' if "array" in given else ""
            raise ValueError(
                f"players of several inputs are given by name, of {', '.join(given)}, {such}got {how!r}{sound}"
            )
        parts = {}
        for name, each in given.items():
            try:
                own = how.get(name)
                stays = isinstance(own, str) and own == SHOWN
                own = None if stays else own
                read, regions, _ = self._divided(self._reader(each, name, own), each, own)
            except (ImageError, RegionError) as error:
                raise type(error)(f"input {name!r}: {error}") from error
            parts[name] = read, undivided(regions) if stays else regions
        if not any(regions.n for _, regions in parts.values()):
            raise ValueError(f"players of several inputs must be of one of them; all are {SHOWN!r}: {', '.join(given)}")
        read, joint = together(parts)
        return Loaded({**item, "regions": "several"}, read, joint)

    def several(self, inputs: Iterable[Any]) -> Iterable[Any]:
        """The inputs of one argument, where the scorer's reader knows how they come: a table's rows."""
        several = getattr(self.scorer.reader, "several", None)
        return inputs if several is None else several(inputs)

    def _is_several(self, given: Any) -> bool:
        """Whether it is inputs by name: a dict that is no sound or file, where the scorer reads none itself."""
        return is_several(given) and (self.scorer.reader is None or isinstance(self.scorer.reader, Mapping))

    def _reader(self, given: Any, name: str | None = None, how: Any = None) -> Reader:
        """Of the scorer, where its inputs are of its own kind; of several inputs it may have one for each name, and a
        string among them is a text, unless it is a file's path.
        """
        own = self.scorer.reader
        if isinstance(own, Mapping):
            own = None if name is None else own.get(name)
        if own is None and name is not None and (PASSAGES.takes(given) or (isinstance(how, str) and how in UNITS)):
            own = PASSAGES
        found: Reader = reader_of(given) if own is None else own
        return found

    def place(self, loaded: Loaded) -> Item:
        """The other half: onto the scorer's device, with what absent regions look like there."""
        item, scorer = loaded.given, self.scorer
        x = loaded.read.x.detach().to(scorer.device)
        x = x.to(scorer.dtype) if x.is_floating_point() else x
        x = x.contiguous() if 0 in x.stride() else x
        baseline = item.get("baseline")
        if baseline is not None and not self.removal.painted:
            raise ValueError(f'an item has no baseline under removal="{self.removal.name}", which paints nothing over')
        if baseline is not None and self.removal.draws > 1:
            raise ValueError("an item has no baseline of its own where what is absent is drawn, which is for all")
        target = scorer.named(item.get("target"), self.names)
        target = scorer.located(target, x, loaded.read, self.names)
        return Item(
            x=x,
            resident=self._resident(loaded, x),
            form=self.removal.form,
            regions=loaded.regions,
            target=scorer.encode(_framed(target, loaded.read.frame), self.trace, loaded.read.scale),
            described=target.describe() if isinstance(target, Box) else None,
            id=None if item.get("id") is None else str(item["id"]),
            pixels=loaded.read.picture,
            frame=loaded.read.frame,
            modality=self.removal.modality or loaded.read.modality,
            shown=loaded.read.shown,
            rate=loaded.read.rate,
            inputs=parts_of(loaded.read.parts) if isinstance(loaded.read, Several) else {},
            provenance=self._provenance(item, loaded.read.modality),
        )

    def _resident(self, loaded: Loaded, x: Tensor) -> Resident:
        given = loaded.given
        own = given.get("baseline")
        baseline = self.baseline if own is None else own
        if isinstance(loaded.read, Several):
            return self.removal.resident_of_each(loaded.read, baseline, self.scorer)
        seen: Any = None if loaded.read.modality == UNREAD else x
        return self.removal.resident_of(
            given["image"], seen, loaded.read.spread_regions(loaded.regions), baseline, self.scorer
        )

    def _provenance(self, item: Mapping[str, Any], modality: str) -> dict[str, Any]:
        how, image = item.get("regions", self.regions), item["image"]
        found = {"regions": how if isinstance(how, str) else "given"}
        path = isinstance(image, os.PathLike) or (isinstance(image, str) and modality != "text")
        return {**found, "source": os.fsdecode(image)} if path else found

    def lend(self, given: Any) -> tuple[dict[str, Any], bool]:
        """The item as it may be loaded later, as the caller may fill its arrays anew by then; and whether a thread may
        do that: not where it runs the caller's code, or touches a device, whose graphs a thread would end.
        """
        item = as_dict(given)
        regions = item.get("regions", self.regions)
        if isinstance(self.removal, Render):
            return dict(item), False
        if self._is_several(item["image"]):
            how = regions if isinstance(regions, Mapping) else {}
            several = item["image"].items()
            each = {name: self._reader(value, name, how.get(name)).lend(value)[0] for name, value in several}
            return {**item, "image": each}, False
        image = item["image"]
        image, threaded = (image, True) if isinstance(image, Opener) else self._reader(image).lend(image)
        lent = {name: image if name == "image" else copied(value) for name, value in item.items()}
        return lent, threaded and not callable(regions) and not on_device(regions)


def _opened(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the input that is read at its turn, whatever kind the scorer takes."""
    return {**item, "image": item["image"].open()} if isinstance(item["image"], Opener) else item


def _grid(read: Input) -> tuple[int, ...]:
    """What is divided: the content's own grid where the model sees it in parts."""
    if read.points is not None and read.content is not None:
        return tuple(read.content.shape[:2])
    return tuple(read.x.shape[1:] if read.x.dim() > 1 else read.x.shape)


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
