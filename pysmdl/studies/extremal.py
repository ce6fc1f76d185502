"""Extremal perturbations: the smooth mask of a given area that keeps a score highest, by gradients, beside the regions
that do so (Fong, Patrick and Vedaldi, "Understanding Deep Networks via Extremal Perturbations and Smooth Masks", ICCV
2019)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.engine import Item
from pysmdl.errors import number, one_of, whole_number
from pysmdl.explainer import Explainer
from pysmdl.explanation import Explanation
from pysmdl.models.answers import Form, part_in
from pysmdl.scorers import Scorer, heads
from pysmdl.scorers.classes import ClassScorer
from pysmdl.scorers.custom import Custom
from pysmdl.scorers.head import called
from pysmdl.settings import spelt_out
from pysmdl.studies.smooth_masks import pyramid, smooth_maximum

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pysmdl.settings import Settings

Score = Callable[[Tensor], Tensor]

VARIANTS = ("preserve", "dual")
RATE, FIRST, LAST = 0.02, 1.0, 1000.0  # of the descent


@dataclass(frozen=True, eq=False)
class Extremal:
    """Masks by gradients and regions by search, of the same areas, under the same blur.

    Attributes:
        areas: As asked for. [a].
        smooth: 1 where the input is kept, 0 where it is blurred most. [a, H, W], float32.
        smooth_scores: With each of these. [a].
        masks: Their highest points, as many as the area has. [a, H, W], bool.
        scores: With each of these. [a].
        subsets: The first regions of the order, as many as fit into the area. [a, H, W], bool.
        subset_scores: With each subset in a mask's place. [a].
        explanation: The order that the subsets are of.
    """

    areas: NDArray[np.float64]
    smooth: NDArray[np.float32]
    smooth_scores: NDArray[np.float64]
    masks: NDArray[np.bool_]
    scores: NDArray[np.float64]
    subsets: NDArray[np.bool_]
    subset_scores: NDArray[np.float64]
    explanation: Explanation


@spelt_out(Explainer)
def extremal(
    image: Any,
    model: Any,
    target: Any = None,
    *,
    areas: Sequence[float] = (0.05, 0.1, 0.2),
    variant: str = "preserve",
    steps: int = 200,
    **settings: Unpack[Settings],
) -> Extremal:
    """Find by gradients which smooth mask of each area keeps the score highest.

        mask = smooth maximum of a grid of parameters in [0, 1] under a kernel     view = a blur pyramid, by the mask
        argmin of  weight * mean (sorted(mask) - the area's own)^2 - score(view) / (score of all - score of nothing)

    Lengths in pixels are the paper's at 224, and go with the input's shorter side. The descent is Adam's and not the
    paper's: its weight grows from 1 to 1000, and the input is not flipped. The model must be one of torch that
    gradients go through; what is a black box has its regions alone, by :func:`pysmdl.explain`. Smooth masks end softly,
    so they show less than their area where that is small; their highest points do not.

    Args:
        image, model, target: As in :func:`pysmdl.explain`: a classifier, or a model of a number.
        areas: Shares of the input, between 0 and 1.
        variant: "preserve": what is kept has the highest score; "dual": so has the difference to what is left without.
        steps: Of gradient descent; each takes a view an area, two of "dual".
        **settings: Of the explanation whose regions stand beside the masks; blurred where absent unless said otherwise.

    Raises:
        ValueError: no such variant, an area out of its range, another kind of scorer or of input, or a model that
            gives no gradients.
    """
    if variant not in VARIANTS:
        raise one_of("variant", variant, VARIANTS)
    if not isinstance(areas, Iterable):
        raise ValueError(f"areas must be shares of the input, such as (0.05, 0.1); got {areas!r}")
    shares = np.array([number("areas", each, above=0, below=1) for each in areas])
    if not len(shares):
        raise ValueError(f"areas must hold one share at least; got {areas!r}")
    steps = whole_number("steps", steps, 1)
    given: Any = {"baseline": "blur", **settings}
    explainer = Explainer(model, **given)
    item = explainer.prepare({"image": image, "target": target})
    found = next(explainer.run([{"image": image, "target": target}]))
    if item.x.dim() != 3 or not item.x.is_floating_point():
        raise ValueError(f"image must be one, [C, H, W] to the model; got {list(item.x.shape)}")
    own = _score_of(explainer.scorer, item, found)
    blurred = pyramid(item.x)

    def score(mask: Tensor) -> Tensor:
        kept = own(blurred(mask))
        return kept if variant == "preserve" else kept - own(blurred(1 - mask))

    smooth = _descended(score, shares, item.x, steps)
    masks = np.stack([_highest(each, share) for each, share in zip(smooth.cpu().numpy(), shares, strict=True)])
    subsets = np.stack([_within(found, share) for share in shares])
    with torch.no_grad():
        seen = (smooth, *(torch.from_numpy(each).to(smooth) for each in (masks, subsets)))
        scores = [score(each).double().cpu().numpy() for each in seen]
    return Extremal(shares, smooth.cpu().numpy(), scores[0], masks, scores[1], subsets, scores[2], found)


def _score_of(scorer: Scorer, item: Item, found: Explanation) -> Score:
    """The score of views [B, C, H, W] as the scorer reads it, with gradients."""
    if not isinstance(scorer, (ClassScorer, Custom)):
        raise ValueError(f"model must be a classifier or give a number; got {type(scorer).__name__}")
    classes = isinstance(scorer, ClassScorer)
    head = heads.probability() if scorer.head is None else scorer.head
    gives, form = (scorer.gives, Form("the model", 2)) if isinstance(scorer, ClassScorer) else ("raw", scorer.form)
    which = int(found.target) if classes else max(int(item.target[0]), 0)

    def answered(batch: Tensor) -> Tensor:
        batch = scorer.input.into_model(batch)
        return part_in(scorer.model(batch.to(scorer.dtype)), len(batch), form).float()

    with torch.no_grad():
        whole = answered(item.x[None].clone())

    def score(batch: Tensor) -> Tensor:
        raw = answered(batch)
        target = torch.full((len(raw),), which, device=raw.device)
        return called(head, raw, whole.expand_as(raw), target, gives).reshape(len(raw), -1).mean(1)

    return score


def _descended(score: Score, areas: NDArray[np.float64], x: Tensor, steps: int) -> Tensor:
    """The masks at the end of the descent. [a, H, W]."""
    smooth, count = smooth_maximum(x)
    parameters = torch.ones(len(areas), count, device=x.device, requires_grad=True)
    shape, points = (len(areas), *x.shape[1:]), x.shape[1] * x.shape[2]
    descent = torch.optim.Adam([parameters], RATE)
    ties = torch.Generator(x.device).manual_seed(0)
    with torch.no_grad():
        ends = score(torch.ones(1, *shape[1:], device=x.device)) - score(torch.zeros(1, *shape[1:], device=x.device))
    unit = max(float(ends.abs()), 1e-6)
    wanted = torch.zeros(len(areas), points, device=x.device)
    for row, area in zip(wanted, areas, strict=True):
        row[points - round(area * points) :] = 1

    for weight in np.geomspace(FIRST, LAST, steps):
        with torch.enable_grad():
            mask = smooth(parameters)
            kept = score(mask.reshape(shape))
            if not kept.requires_grad:
                raise ValueError("model must be one of torch that gradients go through; this one gives none")
            noise = torch.rand(mask.shape, generator=ties, device=x.device)  # parts equals anew each time
            order = (mask.detach() + 1e-3 * noise).argsort(1)
            apart = ((mask.gather(1, order) - wanted) ** 2).mean(1)
            loss = (weight * apart - kept / unit).sum()
            parameters.grad = torch.autograd.grad(loss, parameters)[0]
        descent.step()
        with torch.no_grad():
            parameters.clamp_(0, 1)
    with torch.no_grad():
        return smooth(parameters).reshape(shape)


def _within(found: Explanation, share: float) -> NDArray[np.bool_]:
    """The first regions of an order that have no more than a share of the area. [H, W]."""
    count = int((found.area <= share + 1e-6).sum()) - 1
    return np.isin(found.labels, found.order[:count])


def _highest(mask: NDArray[np.float32], share: float) -> NDArray[np.bool_]:
    """The highest points of a mask, as many as a share of it. [H, W]."""
    order = np.argsort(-mask.ravel(), kind="stable")[: round(share * mask.size)]
    return np.isin(np.arange(mask.size), order).reshape(mask.shape)
