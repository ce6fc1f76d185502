"""Partial information: what two players say about a score that is information, both, one alone, or together only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.engine import Item
from pysmdl.explainer import Explainer
from pysmdl.settings import spelt_out
from pysmdl.types import Bools, Regions

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pysmdl.settings import Settings

Values = NDArray[np.float64]

OF_SEARCH = ("search", "k", "evaluations", "seed", "objective", "until", "preset", "trace")


@dataclass(frozen=True, eq=False)
class Decomposition:
    """What pairs of players say, in units of the score: nats, where that is information. Arrays have an axis of places
    at their end where these were asked for. NaN on the diagonal, and of pairs that were not asked for.

    Attributes:
        information: What each player says alone. [n].
        redundancy: What either of two says. Symmetric, [n, n].
        unique: What player i says and j does not, at [i, j]. [n, n].
        synergy: What only both together say. Symmetric, [n, n].
        names: The players', where they have any. [n] or empty.
        evaluations: Distinct rows that the model saw.
    """

    information: Values
    redundancy: Values
    unique: Values
    synergy: Values
    names: tuple[str, ...]
    evaluations: int


@spelt_out(Explainer, but=OF_SEARCH)
def pid(
    x: Any,
    model: Any,
    target: Any = None,
    *,
    pairs: Iterable[tuple[int | str, int | str]] | None = None,
    pointwise: bool = False,
    clip: bool = False,
    **settings: Unpack[Settings],
) -> Decomposition:
    """Partial information decomposition of pairs of players (Williams and Beer 2010; of the words of a prompt that a
    diffusion model draws: Dewan et al., "DiffusionPID", NeurIPS 2024).

        I(S) = f(S) - f(nothing)
        redundancy[i, j] = min(I(i), I(j))            unique[i, j] = I(i) - redundancy[i, j]
        synergy[i, j] = I(i, j) - unique[i, j] - unique[j, i] - redundancy[i, j]

    The score should be information: a log-ratio, or :func:`pysmdl.heads.denoising` of a diffusion model's errors. The
    redundancy is the least information of the two (Barrett 2015), which Gaussian variables share under every definition
    that asks for the unique parts of two variables alone. One row each for nothing, each player and each pair.

    Args:
        x, model, target: As in :func:`pysmdl.explain`.
        pairs: Players by number or name; None: all pairs.
        pointwise: Decompose each part of the score by itself, where a head gives several [B, T]: places of a picture,
            tokens of an answer.
        clip: Count I below 0, which single places may have, as 0.
        **settings: As in :func:`pysmdl.explain`, but for those of searches.

    Raises:
        ValueError: fewer than two players, no such player, a pair of one, or a score that has no parts.
    """
    explainer = Explainer(model, **settings)

    def wanted(item: Item) -> Bools:
        one, other = _places(item.regions, pairs)
        member = np.zeros((1 + item.regions.n + len(one), item.regions.n), bool)
        member[1 : 1 + item.regions.n] = np.eye(item.regions.n, dtype=bool)
        both = member[1 + item.regions.n :]
        both[np.arange(len(one)), one] = both[np.arange(len(one)), other] = True
        return member

    reading, item = next(iter(explainer.readings([{"image": x, "target": target}], wanted)))
    if pointwise and "tokens" not in reading.others:
        raise ValueError("pointwise needs a score of several parts, a head that gives [B, T]; this one gives a number")
    n, score = item.regions.n, reading.others["tokens"] if pointwise else reading.score
    told = score[1:].astype(np.float64) - score[0]
    told = np.maximum(told, 0) if clip else told
    found = _decomposed(told[:n], told[n:], *_places(item.regions, pairs))
    return Decomposition(told[:n], *found, item.regions.names, len(score) * explainer.plan.draws)


def _decomposed(
    alone: Values, together: Values, one: NDArray[np.intp], other: NDArray[np.intp]
) -> tuple[Values, Values, Values]:
    """Redundancy, unique and synergy [n, n, ...] from what players say alone [n, ...] and pairs together [p, ...]."""
    n = len(alone)
    redundancy, unique, synergy = (np.full((n, n, *alone.shape[1:]), np.nan) for _ in range(3))
    shared = np.minimum(alone[one], alone[other])
    redundancy[one, other] = redundancy[other, one] = shared
    unique[one, other], unique[other, one] = alone[one] - shared, alone[other] - shared
    synergy[one, other] = synergy[other, one] = together - alone[one] - alone[other] + shared
    return redundancy, unique, synergy


def _places(
    regions: Regions, pairs: Iterable[tuple[int | str, int | str]] | None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Both players of each pair. [p] each."""
    if regions.n < 2:
        raise ValueError(f"players must be at least two to share information; got {regions.n}")
    if pairs is None:
        one, other = np.triu_indices(regions.n, 1)
        return one, other
    known: dict[int | str, int] = {i: i for i in range(regions.n)}
    known |= {each: i for i, each in enumerate(regions.names)}
    found = []
    for pair in pairs:
        two = [known.get(each) for each in pair]
        if len(two) != 2 or None in two or two[0] == two[1]:
            raise ValueError(f"pairs must be of two players each, by number or name; got {pair!r}")
        found.append(two)
    at = np.array(found, np.intp).reshape(-1, 2)
    return at[:, 0], at[:, 1]
