"""Set functions: a weighted sum of named terms over what the scorer said of a subset kept and of it removed.

F(S) = sum of weight * value(S). A term names the view it reads: the input that keeps S ("kept"), the one that removes
it ("removed"), or the features of single regions ("regions"). A set function of your own is an :class:`Objective` of
your own terms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pysmdl.errors import one_of
from pysmdl.search.vocabulary import Evaluation
from pysmdl.types import Floats, Reading

__all__ = ["Objective", "Term"]

VIEWS = ("kept", "removed", "regions")


@dataclass(frozen=True)
class Term:
    """One summand of a set function.

    Attributes:
        name: Its name, as in ``Explanation.terms``.
        view: "kept", "removed" or "regions".
        value: The scorer's reading of that view to the term, both over the same rows [a]; None for "regions", whose
            one term is the effectiveness.
    """

    name: str
    view: str
    value: Callable[[Reading], Floats] | None = None

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise one_of("view", self.view, VIEWS)


@dataclass(frozen=True)
class Objective:
    """Named terms and their weights. A term with weight 0 costs nothing: it is dropped when this is made.

    Attributes:
        name: What the result calls it.
        target: Kind of scorer it reads: "class", "box" or "tokens".
        terms: In the order in which they are added.
        weights: One a term, by name; at least one above 0.
        confidence_form: "entropy" or "evidential"; read by class scorers.
    """

    name: str
    target: str
    terms: tuple[Term, ...]
    weights: dict[str, float]
    confidence_form: str = "entropy"

    def __post_init__(self) -> None:
        for name, weight in self.weights.items():
            if name not in {term.name for term in self.terms}:
                raise one_of("weight", name, [term.name for term in self.terms])
            if not np.isfinite(weight) or weight < 0:
                raise ValueError(f"{name} must be a finite weight of at least 0; got {weight!r}")
        if self.confidence_form not in ("entropy", "evidential"):
            raise one_of("confidence_form", self.confidence_form, ("entropy", "evidential"))
        used = tuple(term for term in self.terms if self.weights.get(term.name, 0) > 0)
        if not used:
            raise ValueError(f"{self.name} needs a term with a weight above 0; got {self.weights}")
        object.__setattr__(self, "terms", used)
        object.__setattr__(self, "weights", {term.name: float(self.weights[term.name]) for term in used})

    @cached_property
    def _views(self) -> frozenset[str]:  # asked for several times a round
        return frozenset(term.view for term in self.terms)

    def needs(self, view: str) -> bool:
        """Whether any term reads this view."""
        return view in self._views

    def without(self, name: str) -> Objective:
        """The same without one term."""
        weights = {other: weight for other, weight in self.weights.items() if other != name}
        return Objective(self.name, self.target, self.terms, weights, self.confidence_form)

    def evaluate(self, kept: Reading | None, removed: Reading | None, effectiveness: Floats | None) -> Evaluation:
        """F of some subsets from the readings of their views; a view not given leaves its terms out."""
        terms: Reading = {}
        for term in self.terms:
            if term.view == "regions":
                if effectiveness is not None:
                    terms[term.name] = effectiveness
                continue
            reading = kept if term.view == "kept" else removed
            if reading is not None and term.value is not None:
                terms[term.name] = term.value(reading)
        return Evaluation(
            terms,
            self.weights,
            insertion=None if kept is None else kept["score"],
            deletion=None if removed is None else removed["score"],
            decided=None if kept is None else kept["decided"] > 0,
        )
