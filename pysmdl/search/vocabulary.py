"""The vocabulary of searches: what they ask, what they are told, what they return.

Sizes: ``n`` regions, ``a`` subsets of one ask, ``W`` words of a bit row.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pysmdl import bitrows
from pysmdl.errors import SearchError
from pysmdl.session import Remade
from pysmdl.types import Bools, Floats, Ints, Regions


class Claim:
    """What a search says of the order it is about to find, while it asks: a budget counts on it. Lists are copied.

    Args:
        front: What is settled at the start of the order.
        rest: The others by promise; a search that leaves them out has no more than `front` to give if it must stop.
        back: What is settled at its end, last region first.
        settles: Once this ask is answered, one of its candidates has the next place after `front`, where that is the
            base, or before `back` (or, until it has, the first of `rest` is one that was asked for on this base). A
            budget need not set that place's curve points aside as well.
        final: The order so far will be the answer, unless one of which every prefix has been asked for is better.
    """

    __slots__ = ("back", "final", "front", "rest", "settles")

    def __init__(
        self,
        front: Sequence[int] = (),
        rest: Sequence[int] = (),
        back: Sequence[int] = (),
        settles: bool = False,
        final: bool = False,
    ) -> None:
        self.front, self.rest, self.back = tuple(front), tuple(rest), tuple(back)  # the search goes on changing its own
        self.settles, self.final = settles, final

    @property
    def order(self) -> tuple[int, ...]:
        """The best order known."""
        return (*self.front, *self.rest, *reversed(self.back))

    def answer(self, n: int) -> tuple[int, ...]:
        """What of it may be given, if the search has to stop here: the end counts where nothing before it is left out
        of n regions.
        """
        return self.order if len(self.order) == n else (*self.front, *self.rest)


NO_CLAIM = Claim()


class Ask:
    """A question of a search: what is F of these subsets?

    Lists are copied, so the search may go on changing them.

    Args:
        base: Regions already chosen.
        candidates: One subset base ∪ {a} for each a, in this order.
        claim: What is known of the order while this is asked.
        complement: Ask for everything *but* base ∪ {a} instead.
        subsets: Any subsets instead of base and candidates, as bool membership [a, n].
        weights: Soft subsets instead, of a search that says so: how much of each region is kept, 0 to 1. [a, n].
        free: Only the terms that need no forward pass.
        score_only: Only the target score of each subset kept, as `total`; the set function is left out.
        ahead: What will be asked next whatever is found here, but for one of its subsets. Where a device would
            otherwise wait for the search to decide, both may be scored at once.
        likely: Of a greedy search, whose winner joins the base: the candidates, the likeliest winner first, as far as
            the round before says. Where there is room, what follows upon theirs may be scored with this.

    Attributes:
        recheck: Ask for the same again, with these subsets in full precision (:meth:`again`); None: a first ask.
    """

    __slots__ = (
        "ahead", "base", "candidates", "claim", "complement", "free", "likely", "recheck", "score_only", "subsets",
        "weights",
    )  # fmt: skip

    def __init__(
        self,
        base: Sequence[int] = (),
        candidates: Sequence[int] = (),
        *,
        claim: Claim = NO_CLAIM,
        complement: bool = False,
        subsets: Bools | None = None,
        weights: Floats | None = None,
        free: bool = False,
        score_only: bool = False,
        ahead: Ask | None = None,
        likely: Sequence[int] = (),
    ) -> None:
        self.base, self.candidates = _numbered("base", base), _numbered("candidates", candidates)
        self.claim, self.complement = claim, complement
        self.subsets = None if subsets is None else _membership(subsets)
        self.weights = None if weights is None else np.array(weights, np.float32)
        self.free, self.score_only, self.ahead = free, score_only, ahead
        self.likely = tuple(likely)
        self.recheck: NDArray[np.int64] | None = None

    def rows(self, n: int) -> NDArray[Any]:
        """The subsets as bit rows. [a, W]; soft ones as their weights. [a, n]."""
        if self.weights is not None:
            return self.weights
        if self.subsets is not None:
            return bitrows.pack(self.subsets)
        single = bitrows.singles(n)
        rows: Ints = np.bitwise_or.reduce(single[self.base], axis=0) | single[self.candidates]
        return ~rows & bitrows.full(n) if self.complement else rows

    def __len__(self) -> int:
        """How many subsets it asks for."""
        given: NDArray[Any] = next(each for each in (self.weights, self.subsets, self.candidates) if each is not None)
        return len(given) if given.ndim else 1

    def after(self, winner: int) -> Ask:
        """What a greedy search asks where this candidate wins."""
        others = [each for each in self.candidates.tolist() if each != winner]
        likely = [each for each in self.likely if each != winner]
        return Ask([*self.base.tolist(), winner], others, complement=self.complement, likely=likely)

    def again(self, subsets: NDArray[np.int64]) -> Ask:
        """The same ask, these of its subsets in full precision."""
        other = copy(self)
        other.recheck = subsets
        return other

    def plain(self) -> Ask:
        """The same ask without what is said beside it of the order: that is as long as the order, for each ask."""
        other = copy(self)
        other.claim, other.ahead, other.likely = NO_CLAIM, None, ()
        return other

    def check(self, n: int, soft: bool = False) -> None:
        """Raise SearchError where the ask is not of subsets of n regions, or of soft ones where the search has none, or
        claims an order that is none.
        """
        if not len(self):
            raise SearchError("an ask must be of one subset or more; got none")
        claimed = self.claim.order
        if len(set(claimed)) < len(claimed) or (claimed and not 0 <= min(claimed) <= max(claimed) < n):
            raise SearchError(f"an ask must claim an order of distinct regions 0 to {n - 1}; got {list(claimed)}")
        if self.weights is not None:
            within = self.weights.shape[1:] == (n,) and bool(((self.weights >= 0) & (self.weights <= 1)).all())
            if not (soft and self.score_only and within):
                raise SearchError(
                    f"an ask's weights must be [a, n] with n = {n} regions, from 0 to 1, score_only, of a search with "
                    f"soft=True; got {list(self.weights.shape)}"
                )
            return
        if self.subsets is not None:
            if self.subsets.ndim != 2 or self.subsets.shape[1] != n:
                raise SearchError(
                    f"an ask's subsets must be bool [a, n] with n = {n} regions; got {list(self.subsets.shape)}"
                )
            return
        for name, regions in (("base", self.base), ("candidates", self.candidates)):
            if regions.ndim != 1 or (len(regions) and not 0 <= regions.min() <= regions.max() < n):
                raise SearchError(f"an ask's {name} must be regions 0 to {n - 1}; got {regions.tolist()}")


def _numbered(name: str, regions: Sequence[int]) -> Ints:
    """Regions by their numbers, copied; neither membership nor fractions, which would pass for other regions."""
    given = np.array(regions)
    if given.size and given.dtype.kind not in "iu":
        raise SearchError(f"an ask's {name} must be regions by their numbers; got {given.dtype}")
    return given.astype(np.int32, copy=False)


def _membership(subsets: Any) -> Bools:
    """Membership, copied; 0 and 1 may stand for it."""
    given = np.array(subsets)
    if given.dtype != bool and not np.isin(given, (0, 1)).all():
        raise SearchError(f"an ask's subsets must be bool, whether each region is in it; got {given.dtype}")
    return given.astype(bool, copy=False)


@dataclass(frozen=True)
class Evaluation:
    """The answer to an ask: F of each subset, and what it is made of.

    Attributes:
        terms: Each term's value by name, unweighted. [a] each.
        weights: Each term's weight, in the order in which terms are added.
        insertion: Target score of the subsets kept, where a term needed that view. [a] or None.
        deletion: Target score of the subsets removed, likewise.
        decided: Whether the subset alone gives the decision, where that view was needed. [a] or None.
        margin: Totals that are not exact and further apart than this are in the right order.
        offset: Added to each total: what full precision was seen to add to the others of this ask, 0 where exact. [a]
            or None.
        exact: Which totals are in full precision. [a]; None: all.
        bounded: Whether target scores lie within 0 and 1.
    """

    terms: dict[str, Floats]
    weights: dict[str, float]
    insertion: Floats | None = None
    deletion: Floats | None = None
    decided: Bools | None = None
    margin: float = 0.0
    offset: Floats | None = None
    exact: Bools | None = None
    bounded: bool = True
    total: Floats = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", self.sum())

    def sum(self, instead: Evaluation | None = None) -> Floats:
        """F in float32, terms added in their order; those that `instead` has are taken from there."""
        total: Floats | None = None
        for name, weight in self.weights.items():
            value = instead.terms[name] if instead and name in instead.terms else self.terms.get(name)
            if value is not None:
                part = np.float32(weight) * value
                total = part if total is None else total + part
        if total is None:
            return np.zeros(0, np.float32)
        return total if self.offset is None else total + self.offset


@dataclass(frozen=True)
class Ranking:
    """What a search returns: regions, most important first, and what it has to say about how it went.

    Attributes:
        order: Regions, most important first.
        notes: Counts and such, for the result's notes.
        attribution: A value for each region, for methods that give one. [n].
    """

    order: list[int]
    notes: dict[str, Any] = field(default_factory=dict)
    attribution: Floats | None = None

    def __post_init__(self) -> None:
        if self.attribution is not None:
            object.__setattr__(self, "attribution", np.array(self.attribution, np.float32))

    def check(self, n: int) -> None:
        """Raise SearchError where the order is not of distinct regions of n, or a value is no number."""
        order = [each for each in self.order if isinstance(each, (int, np.integer)) and not isinstance(each, bool)]
        if len(order) < len(self.order) or len(set(order)) < len(order) or not all(0 <= each < n for each in order):
            raise SearchError(f"a search must return distinct regions 0 to {n - 1}; got the order {self.order}")
        if self.attribution is None:
            return
        if self.attribution.shape != (n,):
            shape = list(self.attribution.shape)
            raise SearchError(f"a method must return an attribution [n] with n = {n}; got shape {shape}")
        if not np.isfinite(self.attribution).all():
            raise SearchError(f"a method must return finite values; got the attribution {self.attribution.tolist()}")


def agreed(given: Any, kind: Any, verb: str) -> Any:
    """What a search gave, if it is what was agreed.

    Raises:
        SearchError: it is something else.
    """
    if not isinstance(given, kind):
        raise SearchError(f"a search must {verb} a {kind.__name__}; got {type(given).__name__}")
    return given


Rounds: TypeAlias = Generator[Ask, Evaluation, Ranking]
"""A search at work: yields asks, is sent evaluations, returns a ranking."""


@dataclass(frozen=True)
class Task:
    """What a search is started on.

    Attributes:
        n: Number of regions.
        k: How many of them are wanted.
        evaluations: Budget in rows, curves included; None for the search's own.
        seed: For searches that draw samples.
        regions: How the input is divided, for searches that ask how large regions are and where; None: nobody knows.
    """

    n: int
    k: int
    evaluations: int | None = None
    seed: int = 0
    regions: Regions | None = None


@dataclass(frozen=True)
class Search(Remade):
    """A search with its parameters, ready to run on any number of regions.

    Attributes:
        name: Its name in SEARCHES.
        start: A task to the running generator.
        asks: (n, k) to the number of subsets it asks for at most; times the views in use gives rows.
        parameters: What it was made with, for the record.
        score_only: Whether it asks for target scores of kept subsets alone, not for F.
        rechecks: Whether it asks again for what decides, where F is only known roughly.
        soft: Whether it asks for soft subsets, of which only some removals know what they look like.
        budget: n and the rows that the caller grants, or None, to those that it means to take, curves included; None
            where it does not plan them.
    """

    name: str
    start: Callable[[Task], Rounds]
    asks: Callable[[int, int], int]
    parameters: dict[str, Any] = field(default_factory=dict)
    score_only: bool = False
    rechecks: bool = False
    soft: bool = False
    budget: Callable[[int, int | None], int] | None = None
