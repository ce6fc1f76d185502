"""What an explanation holds and what can be read off it. Arrays and plain values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.types import Floats, Ints


@dataclass(eq=False)
class ExplanationData:
    """The regions of one input by importance, and what the model said along the way.

    ``k`` regions are ordered. Curve point j is the view after the first j of them, j = 0..k; point 0 is the empty view
    for insertion and the full input for deletion. A point that was never measured (a search cut short) is NaN.

    Attributes:
        order: Regions, most important first. [k], int64.
        score: F of the first j + 1 regions. [k], float32.
        terms: Each term of F by name, unweighted. [k] each.
        insertion: Target score with the first j regions kept. [k + 1], float32.
        deletion: Target score with them removed. [k + 1], float32.
        area: Share of the removable area after j regions. [k + 1], float32.
        labels: Region of each grid point, -1 for always shown. [*grid], int32.
        target: What was explained: a class index, or the target's own description.
        traced: Insertion and deletion curves of other classes traced along. {class: [2, k + 1]}.
        predicted: The model's top class at each curve point, kept and removed. [2, k + 1], int64; -1 where unknown.
        evaluations: Distinct rows the model saw, curves included.
        asked: Rows asked for before the memo of subsets saved any.
        seconds: Wall time from admission to the last answer.
        violations: How often a region's gain grew from one step to the next: F is not submodular there.
        notes: What else the run has to say (its search, objective, seed, whether it was stopped ...).
        id: The caller's name of the input.
        index: Its number among the inputs of the call.
        pixels: The image as given, uint8 [H, W, 3], for pictures; kept in memory, not on disk.
        reading: The scorer's other numbers at each curve point, kept and removed, by name (boxes, IoU, per-token
            scores). [2, k + 1, ...] each.
        attribution: A value for each region, of methods that give one. [n], float32, or None.
    """

    order: NDArray[np.int64]
    score: Floats
    terms: dict[str, Floats]
    insertion: Floats
    deletion: Floats
    area: Floats
    labels: Ints
    target: Any
    traced: dict[int, Floats] = field(default_factory=dict)
    predicted: NDArray[np.int64] | None = None
    evaluations: int = 0
    asked: int = 0
    seconds: float = 0.0
    violations: int = 0
    notes: dict[str, Any] = field(default_factory=dict)
    id: str | None = None
    index: int = 0
    pixels: NDArray[np.uint8] | None = None
    reading: dict[str, Floats] = field(default_factory=dict)
    attribution: Floats | None = None

    @property
    def n(self) -> int:
        """Number of regions of the input."""
        return int(self.labels.max()) + 1

    @property
    def insertion_auc(self) -> float:
        """Area under the insertion curve over the area reached, divided by it. Higher is better."""
        return self._auc(self.insertion)

    @property
    def deletion_auc(self) -> float:
        """Area under the deletion curve, likewise. Lower is better."""
        return self._auc(self.deletion)

    def highest_confidence(self, area: float = 1.0) -> float:
        """Highest target score of the insertion curve within this share of the area (SMDL's table 2).

        Raises:
            ValueError: area is not above 0 and at most 1.
        """
        if not 0 < area <= 1:
            raise ValueError(f"area must be above 0 and at most 1; got {area}")
        return _highest(self.insertion[self.area <= area + 1e-6])

    def best_step(self, within: float = 0.0) -> int:
        """The fewest regions whose target score comes `within` this much of the highest on the insertion curve."""
        return int(np.argmax(self.insertion >= _highest(self.insertion) - within))

    def saliency(self) -> Floats:
        """Importance of each grid point, 0 to 1. [*grid]; always shown points get 0.

        With s_k = insertion + 1 - deletion after k regions: v_k = v_(k-1) - |s_k - s_(k-1)|, region k gets v_k,
        min-max scaled; all zeros where s is constant. Regions that were not ordered get the least. Where a point was
        never measured (a search cut short), s counts as unchanged.
        """
        s = self.insertion + 1 - self.deletion
        v = -np.nan_to_num(np.abs(np.diff(s.astype(np.float64)))).cumsum()
        values = np.zeros(self.n + 1, np.float32)  # the last entry serves label -1
        span = v.max() - v.min() if len(v) else 0.0
        if span > 0:
            values[self.order] = (v - v.min()) / span
        return values[self.labels]

    def overlay(self, size: tuple[int, int] | None = None) -> Floats:
        """Saliency at the image's own size, or any other (height, width); nearest point. [H, W].

        Raises:
            ValueError: the regions divide no image, but a grid of another number of axes.
        """
        if self.labels.ndim != 2:
            shape = list(self.labels.shape)
            raise ValueError(f"overlay() is of images; these regions divide a grid {shape}: use saliency()")
        height, width = size or (self.pixels.shape[:2] if self.pixels is not None else self.labels.shape)
        rows = np.arange(height) * self.labels.shape[0] // height
        columns = np.arange(width) * self.labels.shape[1] // width
        return self.saliency()[np.ix_(rows, columns)]

    def _auc(self, curve: Floats) -> float:
        reached = float(self.area[-1])
        return float(np.trapezoid(curve, self.area) / reached) if reached > 0 else float(curve[0])


def _highest(curve: Floats) -> float:
    """Of the points that were measured; NaN where none was."""
    return float(np.nanmax(curve)) if np.isfinite(curve).any() else float("nan")
