"""Set functions: a weighted sum of named terms over what the scorer said of a subset kept and of it removed.

F(S) = sum of weight * value(S). A term names the view it reads: the input that keeps S ("kept"), the one that removes
it ("removed"), or the features of single regions ("regions"). A set function of your own is an :class:`Objective` of
your own terms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from pysmdl.errors import SearchError, number, one_of
from pysmdl.search.vocabulary import Ask, Evaluation
from pysmdl.types import Bools, Floats, Reading

__all__ = ["Objective", "Pairwise", "Term", "numbers_of", "removed_score", "target_score"]

VIEWS = ("kept", "removed", "regions")
TARGETS = ("class", "box", "tokens", "any")


class Pairwise(Protocol):
    """A term over the features of single regions, on one input. Effectiveness is one."""

    def of(self, ask: Ask, n: int) -> Floats:
        """Its value for each subset of an ask. [a], float32."""

    def of_subsets(self, member: Bools) -> Floats:
        """Its value for any subsets. [a, n] to [a]."""


@dataclass(frozen=True)
class Term:
    """One summand of a set function.

    Attributes:
        name: Its name, as in ``Explanation.terms``.
        view: "kept", "removed" or "regions".
        value: For "kept" and "removed": the scorer's reading of that view to the term, both over the same rows [a].
        pairwise: For "regions": the features of the views that show one region alone [n, D], and the backend of the
            ops, to what prices subsets by them.
    """

    name: str
    view: str
    value: Callable[[Reading], Floats] | None = None
    pairwise: Callable[[Floats, str], Pairwise] | None = None

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise one_of("view", self.view, VIEWS)
        if not isinstance(self.name, str):
            raise ValueError(f"name must be text; got {self.name!r}")
        needed = "pairwise" if self.view == "regions" else "value"
        if getattr(self, needed) is None:
            raise ValueError(f"term {self.name!r} reads the view {self.view!r}, so it needs {needed}=")
        if not callable(getattr(self, needed)):
            raise TypeError(f"{needed} of term {self.name!r} must be callable; got {getattr(self, needed)!r}")


@dataclass(frozen=True)
class Objective:
    """Named terms and their weights. A term with weight 0 costs nothing: it is dropped when this is made.

    Attributes:
        name: What the result calls it.
        target: Kind of scorer it reads: "class", "box", "tokens" or "any".
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
        if not isinstance(self.terms, (tuple, list)) or not all(isinstance(term, Term) for term in self.terms):
            raise ValueError(f"terms must be pysmdl.Terms, one or more; got {self.terms!r}")
        if not isinstance(self.weights, Mapping):
            raise ValueError(f"weights must be one a term, {{name: weight}}; got {self.weights!r}")
        if self.target not in TARGETS:
            raise one_of("target", self.target, TARGETS)
        names = [term.name for term in self.terms]
        if not names:
            raise ValueError(f"terms must hold at least one term; objective {self.name!r} has none")
        if len(set(names)) < len(names):
            raise ValueError(f"terms must have names of their own; got {names}")
        if unknown := [name for name in self.weights if name not in names]:
            raise one_of("weight", unknown[0], names)
        weights = {name: number(name, weight, least=0) for name, weight in self.weights.items()}
        if self.confidence_form not in ("entropy", "evidential"):
            raise one_of("confidence_form", self.confidence_form, ("entropy", "evidential"))
        used = tuple(term for term in self.terms if weights.get(term.name, 0) > 0)
        if not used:
            raise ValueError(f"{self.name} needs a term with a weight above 0; got {self.weights}")
        object.__setattr__(self, "terms", used)
        object.__setattr__(self, "weights", {term.name: weights[term.name] for term in used})

    @cached_property
    def views(self) -> frozenset[str]:
        """The views that its terms read."""
        return frozenset(term.view for term in self.terms)

    @cached_property
    def pairwise(self) -> tuple[Term, ...]:
        """Its terms over the features of single regions."""
        return tuple(term for term in self.terms if term.view == "regions")

    def needs(self, view: str) -> bool:
        """Whether any term reads this view."""
        return view in self.views

    def without(self, name: str) -> Objective:
        """The same without one term."""
        weights = {other: weight for other, weight in self.weights.items() if other != name}
        return Objective(self.name, self.target, self.terms, weights, self.confidence_form)

    def evaluate(self, kept: Reading | None, removed: Reading | None, regions: Mapping[str, Floats]) -> Evaluation:
        """F of some subsets from the readings of their views, and the values of the pairwise terms by name.

        A view or a value that is not given leaves its terms out.

        Raises:
            SearchError: a term gives something else than a number for each row.
        """
        terms: dict[str, Floats] = {}
        for term in self.terms:
            reading = kept if term.view == "kept" else removed
            if term.view == "regions":
                if term.name in regions:
                    terms[term.name] = regions[term.name]
            elif reading is not None and term.value is not None:
                terms[term.name] = numbers_of(term.name, term.value(reading), len(reading.score))
        return Evaluation(
            terms,
            self.weights,
            insertion=None if kept is None else kept.score,
            deletion=None if removed is None else removed.score,
            decided=None if kept is None or kept.decided is None else kept.decided > 0,
            bounded=all(view is None or view.whole is None for view in (kept, removed)),
        )


def numbers_of(term: str, given: Any, rows: int) -> Floats:
    """What a term gave, in float32: it may be the caller's own, and give a tensor, a list or float64.

    Raises:
        SearchError: these are no numbers, or not one for each row.
    """
    found = np.asarray(given)
    if found.shape != (rows,) or found.dtype.kind not in "biuf":
        raise SearchError(
            f"term {term!r} must give an array of numbers, one for each of {rows} rows; got {type(given).__name__} of "
            f"{found.dtype} {list(found.shape)}"
        )
    with np.errstate(over="ignore"):  # infinity is refused by whoever weighs it
        return found.astype(np.float32, copy=False)


def target_score(kept: Reading) -> Floats:
    """The target score of the subset kept."""
    return kept.score


def removed_score(removed: Reading) -> Floats:
    """1 minus the target score of the subset removed; of scores without bounds the full input's minus it."""
    lost: Floats = (1 if removed.whole is None else np.float32(removed.whole)) - removed.score
    return lost
