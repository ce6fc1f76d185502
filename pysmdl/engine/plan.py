"""What the engine is given: a plan for all inputs of a call, and each input as an item, ready for the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl import bitrows
from pysmdl.objective import Objective
from pysmdl.scorers.base import Scorer
from pysmdl.search.vocabulary import Search
from pysmdl.types import Ints, Regions


@dataclass(frozen=True)
class Plan:
    """What all requests of one call share."""

    scorer: Scorer
    objective: Objective
    search: Search
    k: int | None = None
    evaluations: int | None = None
    seed: int = 0
    until: str | None = None
    mixed: bool = False
    backend: str = "auto"
    notes: dict[str, Any] = field(default_factory=dict)
    ahead: bool = False  # send what is asked next along with what is asked now, where a search knows it

    def rows(self, n: int) -> int:
        """Evaluations that an input of n regions takes at most: the search's, and the curves' where it has not them."""
        k = min(self.k or n, n)
        views = 1 if self.search.score_only else sum(self.objective.needs(view) for view in ("kept", "removed"))
        most = (self.search.asks(n, k) + self.ahead * k) * views + 2 * (k + 1) * (views < 2) + 2
        budget = self.budget(n)
        return most if budget is None else min(most, budget)

    def budget(self, n: int) -> int | None:
        """Evaluations that an input of n regions may take: the caller's number, the search's own, or the lower."""
        given = [self.evaluations, self.search.budget and self.search.budget(n)]
        return min((each for each in given if each is not None), default=None)

    def views(self, rows: Ints, n: int) -> dict[str, Ints]:
        """Of subsets of n regions, the rows of each view that a term needs."""
        views = {"kept": rows} if self.objective.needs("kept") else {}
        if self.objective.needs("removed"):
            views["removed"] = bitrows.complement(rows, n)
        return views


@dataclass(frozen=True)
class Kind:
    """What inputs must share to stand in one batch. Those of items are compared by identity."""

    shape: tuple[int, ...]  # of the resident input: [C, *grid], or tokens [P, D]
    grid: tuple[int, ...]  # of its label map
    dtype: torch.dtype
    constant: bool  # the baseline is one value a channel: one value is stored

    @cached_property
    def _hash(self) -> int:
        return hash((self.shape, self.grid, self.dtype, self.constant))

    def __hash__(self) -> int:  # asked for several times a batch
        return self._hash


_KINDS: WeakValueDictionary[Kind, Kind] = WeakValueDictionary()


@dataclass(frozen=True)
class Item:
    """One input, ready for the engine: in model space, with its baseline, regions and target."""

    x: Tensor
    baseline: Tensor
    regions: Regions
    target: NDArray[Any]
    id: str | None = None
    pixels: NDArray[np.uint8] | None = None
    shown: Regions | None = None  # the regions as the result shows them, where the engine's own are of tokens
    image: Tensor | None = None  # the input itself, where x holds its tokens
    described: Any = None  # the target as the result shows it, where the caller's own form says more than the row

    @cached_property
    def kind(self) -> Kind:
        constant = not any(self.baseline.stride()[1:])
        kind = Kind(tuple(self.x.shape), self.regions.labels.shape, self.x.dtype, constant)
        return _KINDS.setdefault(kind, kind)

    @cached_property
    def areas(self) -> tuple[NDArray[np.float32], int]:
        """Grid points of each region [n], and of those always shown."""
        areas = self.regions.areas()
        return areas.astype(np.float32), self.regions.labels.size - int(areas.sum())
