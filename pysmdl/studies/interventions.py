"""Interventions: what an answer owes to a whole group of players, one of an input's modalities or messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.engine import Item
from pysmdl.explainer import Explainer
from pysmdl.settings import spelt_out
from pysmdl.types import Bools, Reading, Regions

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pysmdl.settings import Settings

OF_SEARCH = ("search", "k", "evaluations", "seed", "objective", "until", "preset", "trace")


@dataclass(frozen=True, eq=False)
class Interventions:
    """What happens where a whole group is taken away. NaN where an input has nothing of it.

    Attributes:
        groups: Their names. [g].
        whole: The score of each full input. [inputs].
        without: The score without each group. [inputs, g].
        flipped: 1 where the answer is another one then than to the full input, else 0. [inputs, g].
        evaluations: Rows that the model saw.
    """

    groups: tuple[str, ...]
    whole: NDArray[np.float64]
    without: NDArray[np.float64]
    flipped: NDArray[np.float64]
    evaluations: int

    def change(self) -> dict[str, float]:
        """By group, how much the score changes where it is taken away, the mean of the inputs that have it."""
        return self._means(self.without - self.whole[:, None])

    def flip_rate(self) -> dict[str, float]:
        """By group, the share of the inputs that have it whose answer flips.

        Raises:
            ValueError: the scorer does not say what is answered.
        """
        if np.isnan(self.flipped[~np.isnan(self.without)]).any():
            raise ValueError("this scorer gives a score and no answer: what flips needs classes, boxes or tokens")
        return self._means(self.flipped)

    def _means(self, values: NDArray[np.float64]) -> dict[str, float]:
        return {name: float(np.nanmean(column)) for name, column in zip(self.groups, values.T, strict=True)}


@spelt_out(Explainer, but=OF_SEARCH)
def interventions(
    items: Iterable[Any],
    model: Any,
    *,
    groups: Mapping[str, Sequence[int | str]] | None = None,
    **settings: Unpack[Settings],
) -> Interventions:
    """Take whole groups away, one at a time, and see how much the score changes and whether the answer does: whether
    what a model says depends on what it saw or on what it read (Liu et al., "On the Faithfulness of Visual Thinking",
    2025).

        change = f(without the group) - f(all)        flipped: the answer without the group is not the answer to all

    A row for each group of each input, and one for all of it.

    Args:
        items: Inputs as :func:`pysmdl.explain_many` takes them; one input in a list.
        model: As in :func:`pysmdl.explain`.
        groups: Players of each group, by number or by name; None: the input's own, such as its modalities, or who said
            a chat's messages.
        **settings: As in :func:`pysmdl.explain`, but for those of searches.

    Raises:
        ValueError: an input has no groups, or no such player; there is no input.
    """
    explainer = Explainer(model, **settings)

    def wanted(item: Item) -> Bools:
        return np.stack([np.ones(item.regions.n, bool), *(~each for each in _members(item.regions, groups).values())])

    read = explainer.readings(items, wanted)
    found = [(_members(item.regions, groups), reading) for reading, item in read]
    if not found:
        raise ValueError("items must be inputs, one at least; got none")
    names = tuple(dict.fromkeys(name for members, _ in found for name in members))
    without, flipped = (np.full((len(found), len(names)), np.nan) for _ in range(2))
    for place, (members, reading) in enumerate(found):
        columns = [names.index(name) for name in members]
        without[place, columns] = reading.score[1:]
        flipped[place, columns] = _flipped(reading)
    whole = np.array([reading.score[0] for _, reading in found], np.float64)
    rows = sum(1 + len({each.tobytes() for each in members.values()}) for members, _ in found)
    return Interventions(names, whole, without, flipped, rows * explainer.plan.draws)


def _members(regions: Regions, groups: Mapping[str, Sequence[int | str]] | None) -> dict[str, Bools]:
    """Which players are of each group. [n] each."""
    if groups is None:
        if not regions.groups:
            raise ValueError("the input's players have no groups of their own: give groups={name: players}")
        own = np.array(regions.groups)
        return {name: own == name for name in dict.fromkeys(regions.groups)}
    found = {}
    for name, players in groups.items():
        known: dict[int | str, int] = {i: i for i in range(regions.n)}
        known |= {each: i for i, each in enumerate(regions.names)}
        wrong = [each for each in players if each not in known]
        if wrong or not len(players):
            raise ValueError(
                f"groups must name players of the input, by number or name; {name!r} has {wrong or 'none'}"
            )
        found[name] = np.isin(np.arange(regions.n), [known[each] for each in players])
    return found


def _flipped(reading: Reading) -> NDArray[np.float64]:
    """Whether each row but the first answers otherwise than that. [rows - 1], NaN where nobody knows."""
    own = reading.decided if reading.confidence is None else reading.top  # a sigmoid's class is there or is not
    answers = reading.others.get("top_token", own)
    if answers is None:
        return np.full(len(reading.score) - 1, np.nan)
    answers = answers.reshape(len(answers), -1)
    found: NDArray[np.float64] = (answers[1:] != answers[:1]).any(1).astype(np.float64)
    return found
