"""One decision at several scales: coarse and fine partitions of one image, seen at several resolutions, and one map of
all of them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.errors import Interrupted, one_of, yes_or_no
from pysmdl.explainer import Explainer
from pysmdl.explanation import Explanation
from pysmdl.explanation.notebook import framed
from pysmdl.explanation.plotting import fused, plot
from pysmdl.progress import Report, checked
from pysmdl.regions import are_partitions
from pysmdl.regions.label_maps import from_labels
from pysmdl.removal.render import Render
from pysmdl.scorers import Scorer
from pysmdl.settings import spelt_out
from pysmdl.types import Regions

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from typing_extensions import Unpack

    from pysmdl.settings import Settings

FUSIONS = ("mean", "rank-mean", "max")
OF_MODELS = (
    "processor", "transform", "tokenizer", "prompts", "prompt", "answer", "gives", "head", "decode", "device",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Scales:
    """An input explained at several scales.

    Attributes:
        parts: An explanation of each, in the order given, all partitions of one resolution before those of the next;
            nested, each one divides the best regions of the one before.
        fuse: How :meth:`value_map` makes one of their maps.
    """

    parts: tuple[Explanation, ...]
    fuse: str = "mean"

    @property
    def evaluations(self) -> int:
        """Rows that the model saw, of all parts."""
        return sum(part.evaluations for part in self.parts)

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)

    def value_map(self, size: tuple[int, int] | None = None) -> NDArray[np.float64]:
        """The parts' maps as one, each divided by the sum of what is positive in it: their "mean", the mean of the
        points' "rank-mean" from 0 to 1, or the highest, "max". [*grid], or at a size (height, width): that of the image
        where the parts' grids differ.
        """
        maps = []
        if size is None and len({part.labels.shape for part in self.parts}) > 1:
            size = self.parts[0].size
        for part in self.parts:
            values = part.value_map(size=size)
            maps.append(values / (np.maximum(values, 0).sum() or 1.0))
        if self.fuse == "rank-mean":
            maps = [_ranks(values) for values in maps]
        found: NDArray[np.float64] = (np.max if self.fuse == "max" else np.mean)(np.stack(maps), axis=0)
        return found

    def plot(self, kind: str = "map") -> Figure:
        """The parts beside each other: see :func:`pysmdl.plot`. Of an image "map" has the map of all of them too."""
        titles = [f"{part.n} {part.called}" for part in self.parts]
        if kind == "map" and len(self.parts) > 1 and all(part.modality == "image" for part in self.parts):
            return fused(self.parts, self.value_map, titles, f"all of them, {self.fuse}")
        return plot(self.parts, kind, titles)

    def _repr_html_(self) -> str:
        """For notebooks: the picture, and what each part says in words."""
        words = [f"{part.n} {part.called}: {part.verbalise()}" for part in self.parts]
        return framed(self.plot(), f"{len(self)} scales", words)


def scales_of(settings: Mapping[str, Any], fuse: str | None, resolutions: Any, nested: bool) -> Sequence[Any] | None:
    """The partitions of a call of :func:`pysmdl.explain` that is of several scales or resolutions; None of any other.

    Raises:
        ValueError: what says how several maps become one, or how one partition divides another, where there is one.
    """
    if settings.get("players") is not None and settings.get("regions") is not None:
        return None  # which Explainer refuses
    spec = settings.get("players") if settings.get("regions") is None else settings["regions"]
    if spec is not None and are_partitions(spec) and not isinstance(settings.get("removal"), Render):
        return tuple(spec)
    several = 'regions=["slico:25", "slico:100"]'
    if yes_or_no("nested", nested):
        raise ValueError(f"nested=True needs several partitions, the coarse ones first, such as {several}")
    if resolutions is not None:
        return (spec,)
    if fuse is not None:
        raise ValueError(f"fuse={fuse!r} needs several maps: give {several}, or resolutions=[224, 336]")
    return None


@spelt_out(Explainer, but=("regions", "players"))
def explain_scales(
    image: Any,
    model: Any,
    target: Any = None,
    *,
    scales: Sequence[Any] = ("slico:25", "slico:50", "slico:100"),
    resolutions: Sequence[int | tuple[int, int]] | None = None,
    fuse: str = "mean",
    nested: bool = False,
    progress: bool | Report = True,
    **settings: Unpack[Settings],
) -> Scales:
    """Explain one decision at several scales: ``explain(image, model, regions=scales)``, with a type of its own.

    Args:
        image, model, target, progress: As in :func:`pysmdl.explain`.
        scales: Partitions, as ``regions=`` takes them, the coarse ones first.
        resolutions: What the image is resized to in turn, in place of the scorer's ``size``: a number, or (height,
            width). Each is divided by each of the scales; maps are laid on the image.
        fuse: "mean", "rank-mean" or "max": see :meth:`Scales.value_map`.
        nested: Each partition divides only those regions that were enough at the scale before, the rest stays as it
            was: hundreds of fine regions for the price of tens. Otherwise all scales share their batches.
        **settings: As in :func:`pysmdl.explain`, the same for all scales.

    Raises:
        ValueError: no scale, or no such way to fuse; resolutions where images are not resized, or nested ones.
        KeyboardInterrupt: Ctrl-C; its ``.partial`` holds the parts that were settled until then.
    """
    if fuse not in FUSIONS:
        raise one_of("fuse", fuse, FUSIONS)
    if not isinstance(scales, (list, tuple)) or not len(scales):
        raise ValueError(f"scales must be partitions, one at least; got {scales!r}")
    checked(progress)
    nested = yes_or_no("nested", nested)
    if resolutions is not None and (nested or not isinstance(resolutions, (list, tuple)) or not len(resolutions)):
        wrong = "nested=True" if nested else repr(resolutions)
        raise ValueError(f"resolutions must be sizes, one at least, without nested=True; got {wrong}")
    item = {"image": image, "target": target}
    parts: list[Explanation] = []
    try:
        if resolutions is not None:
            parts += _at_each(resolutions, item, model, scales, progress, settings)
        else:
            parts += (_nested if nested else _together)(item, Explainer(model, **settings), scales, progress)
    except KeyboardInterrupt:
        raise Interrupted(tuple(parts)) from None
    return Scales(tuple(parts), fuse)


def _together(
    item: Mapping[str, Any], explainer: Explainer, scales: Sequence[Any], progress: bool | Report
) -> Iterator[Explanation]:
    """The parts, in batches that they share."""
    return explainer.run([{**item, "regions": each} for each in scales], progress, ordered=True)


def _nested(
    item: Mapping[str, Any], explainer: Explainer, scales: Sequence[Any], progress: bool | Report
) -> Iterator[Explanation]:
    """The parts one after the other, each dividing what was enough of the one before."""
    coarse: Explanation | None = None
    for each in scales:
        regions = explainer.prepare({**item, "regions": each}).regions
        regions = regions if coarse is None else divided(coarse, regions)
        (coarse,) = explainer.run([{**item, "regions": regions}], progress)
        yield coarse


def _at_each(
    resolutions: Sequence[Any],
    item: Mapping[str, Any],
    model: Any,
    scales: Sequence[Any],
    progress: bool | Report,
    settings: Mapping[str, Any],
) -> Iterator[Explanation]:
    """The parts at each resolution, of the class that the model sees at the first where nobody says which."""
    scorer = Explainer(model, **settings).scorer
    rest = {name: value for name, value in settings.items() if name not in OF_MODELS}
    for each in resized(scorer, resolutions):
        for found in _together(item, Explainer(each, **rest), scales, progress):
            yield found
            if item["target"] is None and isinstance(found.target, int):
                item = {**item, "target": found.target}


def resized(scorer: Scorer, resolutions: Sequence[Any]) -> Iterator[Scorer]:
    """The scorer with other sizes of its input; what it resizes to before a middle is cut out changes alike."""
    before = scorer.input
    if before.size is None or (before.pipeline is not None and before.pipeline.runs):
        raise ValueError("resolutions need a scorer that resizes images, by its size=")
    for size in resolutions:
        height, width = (size, size) if isinstance(size, int) else size
        share = max(height / before.size[0], width / before.size[1])
        wider: Any = before.resize
        if wider is not None:
            wider = ceil(wider * share) if isinstance(wider, int) else tuple(ceil(side * share) for side in wider)
        other = copy.copy(scorer)
        other.input = replace(before, size=(height, width), resize=wider, pipeline=None)
        yield other


def divided(coarse: Explanation, fine: Regions) -> Regions:
    """The coarse regions, those that are enough cut up along a finer partition of the same grid."""
    first = coarse.order[: max(1, coarse.enough())]
    inside = np.isin(coarse.labels, first) & (fine.labels >= 0)
    apart = np.where(inside, coarse.n + coarse.labels.astype(np.int64) * fine.n + fine.labels, coarse.labels)
    shown = coarse.labels >= 0
    _, dense = np.unique(apart[shown], return_inverse=True)
    labels = np.full(coarse.labels.shape, -1, np.int64)
    labels[shown] = dense
    return from_labels(labels)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each point from 0 to 1, equal ones alike."""
    levels, place = np.unique(values, return_inverse=True)
    ranks: NDArray[np.float64] = place.reshape(values.shape) / max(1, len(levels) - 1)
    return ranks
