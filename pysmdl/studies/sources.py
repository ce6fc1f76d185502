"""Which sentences of its sources an answer stands on: the fewest that carry it, and what each one's absence costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.api import explain
from pysmdl.errors import number, whole_number
from pysmdl.explanation.data import NEARLY
from pysmdl.interop.game import Game
from pysmdl.regions import partition

OF_SEARCH = ("search", "k", "evaluations", "seed", "objective", "until", "preset")


@dataclass(frozen=True)
class MinimalSources:
    """Spans that carry an answer, none of which can be spared.

    Attributes:
        players: Their numbers, in the text's order.
        names: Their text.
        sufficiency: Score with these alone, as a share of the whole text's, where that is above 0; else the difference.
        necessity: Share of the whole text's score that goes without them; else the difference.
        evaluations: Distinct rows that the model saw.
    """

    players: tuple[int, ...]
    names: tuple[str, ...]
    sufficiency: float
    necessity: float
    evaluations: int

    @property
    def text(self) -> str:
        """The spans, end to end."""
        return "".join(self.names)

    @property
    def characters(self) -> int:
        """Length of the spans."""
        return len(self.text)

    @property
    def words(self) -> int:
        """Words of the spans."""
        return len(self.text.split())


def minimal_sources(
    text: Any, model: Any, target: Any = None, *, within: float = NEARLY, players: Any = "sentences", **settings: Any
) -> MinimalSources:
    """The fewest spans found that keep an answer's score within so much of the whole text's (LAQuer's question).

    The first spans of a search's order that do so, of which then one after the other is dropped, the last of the order
    first, as long as the score stands.

    Args:
        text, model, target: As in :func:`pysmdl.explain`.
        within: What the score may lose, as :meth:`pysmdl.Explanation.enough` has it: of what is no probability a share
            of the span that was measured.
        players: The spans.
        **settings: Of :func:`pysmdl.explain`: search, removal, tokenizer ...
    """
    within = number("within", within, least=0)
    found = explain(text, model, target, players=players, progress=False, **settings)
    own = {name: value for name, value in settings.items() if name not in OF_SEARCH}
    game = Game(text, model, target, players=players, **own)
    full, n, loss = float(game.grand_value), game.n_players, within * found.unit
    kept = np.zeros(n, bool)
    kept[found.order[: max(1, found.enough(within))]] = True
    for player in found.order[: int(kept.sum())][::-1]:
        without = kept.copy()
        without[player] = False
        if without.any() and game(without)[0] >= min(full, game(kept)[0]) - loss:
            kept = without
    alone, rest = (float(game(each)[0]) for each in (kept, ~kept))
    chosen = tuple(np.flatnonzero(kept).tolist())
    shares = (alone / full, 1 - rest / full) if full > 0 else (alone - full, full - rest)
    names = tuple(found.players[i] for i in chosen)
    return MinimalSources(chosen, names, *shares, found.evaluations + game.evaluations)


@dataclass(frozen=True)
class LeftOut:
    """What each span's absence costs.

    Attributes:
        values: f(whole) - f(whole without it). [n], NaN where it was not asked for.
        names: The spans. [n].
        sections: Of each span, its section. [n].
        section_values: What each section's absence costs. [sections].
        evaluations: Distinct rows that the model saw.
        proposed: Rows that the smaller model saw.
        tokens: What the model ran, where it has a tokenizer.
    """

    values: NDArray[np.float64]
    names: tuple[str, ...]
    sections: NDArray[np.int64]
    section_values: NDArray[np.float64]
    evaluations: int
    proposed: int = 0
    tokens: int = 0

    @property
    def order(self) -> NDArray[np.int64]:
        """The spans that were asked for, the costliest first."""
        known = np.flatnonzero(~np.isnan(self.values))
        return known[np.argsort(-self.values[known], kind="stable")]


def leave_one_out(
    text: Any,
    model: Any,
    target: Any = None,
    *,
    players: Any = "sentences",
    sections: Any = "lines",
    best: int = 3,
    proxy: Any = None,
    candidates: int = 8,
    **settings: Any,
) -> LeftOut:
    """Leave-one-out of a long context: sections first, then the spans of the costliest ones alone (AttriBoT, ICLR
    2025). Rows share the keys and values of what stands before what they leave out.

    Args:
        text, model, target: As in :func:`pysmdl.explain`.
        players: The spans.
        sections: How the text is divided first; a span belongs to the section that it begins in.
        best: Sections whose spans are asked for.
        proxy: A smaller model's scorer, which proposes the spans in place of the sections: the real one is asked for
            its costliest alone.
        candidates: How many it proposes.
        **settings: Of :func:`pysmdl.explain`: removal, tokenizer ...
    """
    best, candidates = whole_number("best", best, 1), whole_number("candidates", candidates, 1)
    game = Game(text, model, target, players=players, **settings)
    scorer = game._explainer.scorer
    read = scorer.reader.read(text, scorer.input, True)
    coarse = partition(sections, None, read.x.shape, own=read.divide)
    names = partition(players, None, read.x.shape, own=read.divide).names
    first = [int(np.argmax(game.labels == player)) for player in range(game.n_players)]
    of_section = coarse.labels[first].astype(np.int64)
    asked, proposed, costs = np.arange(game.n_players), 0, np.full(coarse.n, np.nan)
    if proxy is not None:
        small = Game(text, proxy, target, players=players, **settings)
        asked = np.argsort(-_costs(small, [[int(each)] for each in asked]), kind="stable")[:candidates]
        proposed = small.evaluations
    elif coarse.n > best:
        costs = _costs(game, [np.flatnonzero(of_section == section).tolist() for section in range(coarse.n)])
        asked = np.flatnonzero(np.isin(of_section, np.argsort(-costs, kind="stable")[:best]))
    values = np.full(game.n_players, np.nan)
    values[asked] = _costs(game, [[int(each)] for each in asked])
    return LeftOut(values, names, of_section, costs, game.evaluations, proposed, game.counted().get("tokens", 0))


def _costs(game: Game, left_out: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """f(whole) - f(whole without some players), of each."""
    member = np.ones((len(left_out), game.n_players), bool)
    for row, players in zip(member, left_out, strict=True):
        row[list(players)] = False
    return float(game.grand_value) - game(member)
