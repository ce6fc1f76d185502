"""Arrays by what they hold, and what an input is divided into.

Sizes: ``n`` regions, ``a`` rows, ``V`` numbers the scorer gives a row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Ints: TypeAlias = NDArray[np.int32]
Bools: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class Reading:
    """What a scorer reads off the values of some rows. Each array starts with the rows [a] and is float32.

    Attributes:
        score: The target score. [a].
        decided: 1 where the row alone gives the decision, else 0. [a]; None where the scorer knows no such thing.
        traced: The target's score, and the scores of what is traced along. [a, 1 + others]; None: nothing is.
        confidence: Of class probabilities. [a], or None.
        top: The model's own top class. [a], or None.
        others: What else results show, by name. [a, ...] each.
        whole: The full input's score, from which losses are counted, where scores need not lie within 0 and 1; None
            where they do, and losses count from 1.
    """

    score: Floats
    decided: Floats | None = None
    traced: Floats | None = None
    confidence: Floats | None = None
    top: Floats | None = None
    others: dict[str, Floats] = field(default_factory=dict)
    whole: float | None = None

    def __getitem__(self, name: str) -> Floats:
        """An array by its name: "score" is the target score."""
        found = self.others.get(name)
        if found is None and name in OWN:
            found = getattr(self, name)
        if found is None:
            raise KeyError(f"this scorer reads no {name!r}; it reads {', '.join(map(repr, self.arrays()))}")
        return found

    def arrays(self) -> dict[str, Floats]:
        """All of them by name."""
        own = {name: getattr(self, name) for name in OWN}
        return {name: values for name, values in own.items() if values is not None} | self.others

    def where(self, known: Bools) -> Reading:
        """The same with NaN in the rows that are not known [a]."""

        def masked(values: Floats) -> Floats:
            return np.where(known.reshape(-1, *[1] * (values.ndim - 1)), values, np.float32(np.nan))

        found = {name: masked(values) for name, values in self.arrays().items() if name in OWN}
        return Reading(**found, others={name: masked(values) for name, values in self.others.items()}, whole=self.whole)


OWN = ("score", "decided", "traced", "confidence", "top")


@dataclass(frozen=True)
class Regions:
    """What an input is divided into: its players, as a partition of its grid. What has no grid has a point a player.

    Attributes:
        labels: Region of each grid point, -1 for "always shown". [*grid], int32.
        n: Number of regions; every id 0..n-1 occurs.
        names: What each is called: a column's name, a span's text. [n], or none.
        groups: What each belongs to: a column's source, a modality. [n], or none.
        weights: What each counts for on the curves' axis, at least 0, not all 0. [n]; None: its points.
        covers: Where each is, if they may overlap: labels then have the first of each point. bool [n, *grid], or None.
        cover: Whether a point is shown while "any" of those that cover it is kept, or "all" are.
    """

    labels: Ints
    n: int
    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    weights: NDArray[np.float64] | None = None
    covers: Bools | None = None
    cover: str = "any"

    def areas(self) -> NDArray[Any]:
        """What each region counts for: its weight, or its grid points. [n]."""
        if self.weights is not None:
            return self.weights
        return np.bincount(self.labels[self.labels >= 0], minlength=self.n)

    def places(self) -> NDArray[np.float64]:
        """Where the centroid of each region lies, on a grid of the same sides' ratio and of volume 1.

        [n, dimensions with more than one point]; [n, 1] of zeros where there are none.
        """
        labels = self.labels.reshape([side for side in self.labels.shape if side > 1] or [1])
        shown, unit = labels >= 0, labels.size ** (1 / labels.ndim)
        covers = None if self.covers is None else self.covers.reshape(self.n, *labels.shape)
        points = np.bincount(labels[shown], minlength=self.n) if covers is None else covers.reshape(self.n, -1).sum(1)
        found = np.empty((self.n, labels.ndim))
        for axis, side in enumerate(labels.shape):
            place = np.arange(side)
            if covers is None:
                place = place.reshape([-1 if other == axis else 1 for other in range(labels.ndim)])
                along = np.bincount(labels[shown], np.broadcast_to(place, labels.shape)[shown], minlength=self.n)
            else:
                along = covers.sum(tuple(1 + other for other in range(labels.ndim) if other != axis)) @ place
            found[:, axis] = along / np.maximum(points, 1) / unit
        return found
