"""Plan: what all inputs of a call share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pysmdl import bitrows
from pysmdl.engine.item import Kind
from pysmdl.engine.requests.ahead import Room
from pysmdl.objective import Objective
from pysmdl.removal.base import Removal
from pysmdl.scorers.base import Scorer
from pysmdl.search.vocabulary import Search
from pysmdl.types import Ints


@dataclass(frozen=True)
class Plan:
    """What all requests of one call share."""

    scorer: Scorer
    removal: Removal
    objective: Objective
    search: Search
    k: int | None = None
    evaluations: int | None = None
    seed: int = 0
    until: str | None = None
    mixed: bool = False
    backend: str = "auto"
    notes: dict[str, Any] = field(default_factory=dict)
    names: Mapping[int, str] | None = None  # of the classes
    provenance: dict[str, Any] = field(default_factory=dict)  # what made the results, as far as it is the same for all
    ahead: Callable[[Kind], Room] | None = None  # what may go along with a round of an input of this kind

    def rows(self, n: int) -> int:
        """Evaluations that an input of n regions takes at most: the search's, and the curves' where it has not them."""
        k = min(self.k or n, n)
        views = 1 if self.search.score_only else sum(self.objective.needs(view) for view in ("kept", "removed"))
        most = self.search.asks(n, k) * views + 2 * (k + 1) * (views < 2) + 2
        budget = self.budget(n)
        if self.search.budget is not None and budget is not None:
            return budget
        return most if budget is None else min(most, budget)

    @property
    def draws(self) -> int:
        """Evaluations that a row counts as: views of what is drawn in absence, answers drawn to each."""
        return self.removal.draws * self.scorer.repeats

    def budget(self, n: int) -> int | None:
        """Evaluations that an input of n regions may take: the caller's number, or what the search makes of it."""
        own = self.evaluations and self.evaluations // self.draws
        return own if self.search.budget is None else self.search.budget(n, own)

    def views(self, rows: Ints, n: int) -> list[Ints]:
        """Of subsets of n regions, the rows of each view that a term needs."""
        kept = [rows] if "kept" in self.objective.views else []
        return [*kept, bitrows.complement(rows, n)] if "removed" in self.objective.views else kept
