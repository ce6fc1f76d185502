"""Interactions: what two players do together beyond what each does alone, of every pair of an input's players."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.errors import one_of, whole_number
from pysmdl.explainer import Explainer
from pysmdl.interop.game import Game
from pysmdl.settings import spelt_out
from pysmdl.types import Bools

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pysmdl.settings import Settings

Values = NDArray[np.float64]
Function = Callable[[Bools], Values]
"""A set function: subsets [rows, n] to their values [rows]."""

EXACT = 12  # players up to which all subsets are asked for unless somebody says otherwise
DRAWS = 32
OF_SEARCH = ("search", "k", "evaluations", "objective", "until", "preset", "trace")
KEEPS: dict[str, Callable[[Values], Values]] = {
    "sii": lambda u: u,
    "bii": lambda u: np.full_like(u, 0.5),
    "stii": lambda u: 1 - np.sqrt(1 - u),
}
"""By index, u in [0, 1] to the chance with which a subset has each player: its quantile function."""


@dataclass(frozen=True, eq=False)
class Interactions:
    """An index of every pair, in units of the score: above 0 two players need each other, below 0 one will do.

    Attributes:
        matrix: Symmetric. [n, n], NaN on the diagonal.
        errors: Standard errors of what was sampled; 0 where all subsets were asked for. [n, n].
        index: "sii", "bii" or "stii".
        names: The players', where they have any. [n] or empty.
        evaluations: Distinct rows that the model saw.
    """

    matrix: Values
    errors: Values
    index: str
    names: tuple[str, ...]
    evaluations: int

    def top(self, k: int = 5) -> list[tuple[int | str, int | str, float]]:
        """The k pairs that do most together, of either sign: both players, by name if they have any, and the value."""
        one, other = np.triu_indices(len(self.matrix), 1)
        order = np.argsort(-np.abs(self.matrix[one, other]), kind="stable")[:k]
        called = self.names or range(len(self.matrix))
        return [(called[i], called[j], float(self.matrix[i, j])) for i, j in zip(one[order], other[order], strict=True)]


@spelt_out(Explainer, but=OF_SEARCH)
def interactions(
    x: Any,
    model: Any,
    target: Any = None,
    *,
    index: str = "sii",
    draws: int | None = None,
    **settings: Unpack[Settings],
) -> Interactions:
    """How much more two players do together than apart, the mean of all that the others may be.

        value[i, j] = mean over S without i and j of f(S + i + j) - f(S + i) - f(S + j) + f(S)

    Which S count how much is the index: "sii", of each size as much (Shapley interaction index, Grabisch and Roubens
    1999); "bii", each subset as much (Banzhaf interaction index); "stii", of size s as n - 1 - s, so that pairs and
    single players add up to the score (Shapley-Taylor, Sundararajan, Dhamdhere and Agarwal, ICML 2020).

    Up to 12 players all 2^n subsets are asked for. Beyond these, subsets are drawn that have each player with one
    chance, evenly spread over the draws by the index, and each is asked for with every one and two players flipped:
    1 + n + n (n - 1) / 2 rows a draw give one term of the mean for every pair, unbiased. Rows that repeat are
    evaluated once.

    Args:
        x, model, target: As in :func:`pysmdl.explain`.
        index: "sii", "bii" or "stii".
        draws: Subsets drawn, at least 2; None: every subset up to 12 players, else 32.
        **settings: As in :func:`pysmdl.explain`, but for those of searches; `seed` is of the draws, too.

    Raises:
        ValueError: there is no such index, draws are not at least 2, or there are fewer than two players.
    """
    if index not in KEEPS:
        raise one_of("index", index, KEEPS)
    draws = None if draws is None else whole_number("draws", draws, 2)
    rng = np.random.default_rng(whole_number("seed", settings.get("seed", 0), 0))
    game = Game(x, model, target, **settings)
    n = game.n_players
    if n < 2:
        raise ValueError(f"players must be at least two to interact; got {n}")
    if draws is None and n <= EXACT:
        matrix, errors = exact(game, n, index), np.zeros((n, n))
    else:
        matrix, errors = sampled(game, n, index, draws or DRAWS, rng)
    return Interactions(matrix, errors, index, game.names, game.evaluations)


def exact(f: Function, n: int, index: str) -> Values:
    """The index of every pair from all 2^n subsets. [n, n], NaN on the diagonal."""
    member = (np.arange(1 << n)[:, None] >> np.arange(n) & 1).astype(bool)
    values = np.asarray(f(member), np.float64).reshape((2,) * n)  # the last player varies slowest
    size = member[: 1 << (n - 2)].sum(1)  # of what the other players are
    weight = shares(n - 2, index)[size]
    matrix = np.full((n, n), np.nan)
    for i, j in zip(*np.triu_indices(n, 1), strict=True):
        of_pair = np.moveaxis(values, (n - 1 - i, n - 1 - j), (0, 1)).reshape(2, 2, -1)
        matrix[i, j] = matrix[j, i] = weight @ (of_pair[1, 1] - of_pair[1, 0] - of_pair[0, 1] + of_pair[0, 0])
    return matrix


def shares(others: int, index: str) -> Values:
    """What one subset of each size 0..m of the m other players counts: they add up to 1 over all subsets. [m + 1]."""
    each = np.ones(others + 1)
    for size in range(others):  # 1 / C(m, s)
        each[size + 1] = each[size] * (size + 1) / (others - size)
    if index == "bii":
        return np.full(others + 1, 0.5**others)
    if index == "sii":
        return each / (others + 1)
    return each * 2 * (others + 1 - np.arange(others + 1)) / ((others + 1) * (others + 2))


def sampled(f: Function, n: int, index: str, draws: int, rng: np.random.Generator) -> tuple[Values, Values]:
    """The mean of so many draws for every pair, and its standard error. [n, n] each."""
    keep = KEEPS[index]((np.arange(draws) + rng.random(draws)) / draws)
    one, other = np.triu_indices(n, 1)
    flips = np.zeros((1 + n + len(one), n), bool)
    flips[1 : 1 + n] = np.eye(n, dtype=bool)
    flips[1 + n :] = flips[1 + one] | flips[1 + other]
    found = np.empty((draws, len(one)))
    for term, chance in zip(found, keep, strict=True):
        member = rng.random(n) < chance
        score = np.asarray(f(member ^ flips), np.float64)
        sign = np.where(member, 1.0, -1.0)
        twice = score[0] - score[1 + one] - score[1 + other] + score[1 + n :]
        term[:] = sign[one] * sign[other] * twice
    matrix, errors = np.full((n, n), np.nan), np.full((n, n), np.nan)
    matrix[one, other] = matrix[other, one] = found.mean(0)
    errors[one, other] = errors[other, one] = found.std(0, ddof=1) / np.sqrt(draws)
    return matrix, errors
