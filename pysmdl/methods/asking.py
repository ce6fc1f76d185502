"""From a method to a Search: how many rows it may spend, one ask for them all, the order of what it makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pysmdl.errors import whole_number
from pysmdl.search.vocabulary import Ask, Claim, Ranking, Rounds, Search, Task
from pysmdl.types import Bools, Floats

Values: TypeAlias = NDArray[np.float64]
"""A value per region [n], before it is rounded to float32."""

Estimate: TypeAlias = Callable[[Floats], Values | tuple[Values, dict[str, float]]]
"""From the target scores of a design's subsets [a] to the values of the regions [n], and notes where there are some."""

Design: TypeAlias = Callable[[int, int, np.random.Generator], tuple[Bools | Floats, Estimate]]
"""(n, rows, rng) to the subsets to ask for, bool or weights [rows, n], and what to make of their scores."""


def asker(
    name: str,
    design: Design,
    parameters: dict[str, Any],
    *,
    usual: Callable[[int], int],
    least: Callable[[int], int] = lambda n: n + 1,
    spends: Callable[[int, int], int] = lambda n, rows: rows,
    evaluations: int | None = None,
    seed: int | None = None,
    soft: bool = False,
) -> Search:
    """A method as a search that asks once.

    Args:
        name: Its name in METHODS.
        design: Draws the subsets; see :data:`Design`.
        parameters: What it was made with, for the record.
        usual: n to the rows it takes where nobody says how many.
        least: n to the rows below which it has nothing to say.
        spends: (n, rows granted) to the rows that it uses of them.
        evaluations: Rows for its own subsets; None for explain's budget less the curves, or the usual number.
        seed: None for the seed of explain().
        soft: Whether its subsets are soft.

    Raises:
        ValueError: evaluations is not a whole number of at least 1; when started, it is below `least`.
    """
    evaluations = None if evaluations is None else whole_number("evaluations", evaluations, 1)
    seed = None if seed is None else whole_number("seed", seed, 0)

    def start(task: Task) -> Rounds:
        rows = spends(task.n, granted(name, task, least(task.n), usual(task.n), evaluations))
        rng = np.random.default_rng(task.seed if seed is None else seed)
        return ask_once(*design(task.n, rows, rng), task.k)

    def asks(n: int, k: int) -> int:
        return spends(n, usual(n) if evaluations is None else evaluations)

    return Search(name, start, asks, parameters, score_only=True, soft=soft)


def ask_once(member: Bools | Floats, estimate: Estimate, k: int) -> Rounds:
    """Ask for the score of all subsets, value the regions, order them by descending value, ties by lowest region."""
    asked: dict[str, Any] = {"subsets" if member.dtype == bool else "weights": member}
    found = yield Ask(**asked, score_only=True, claim=Claim(rest=range(member.shape[1])))
    # Sorted as float32, as it is reported: noise of the last digits must not part regions that read the same.
    estimated = estimate(found.total)
    values, notes = estimated if isinstance(estimated, tuple) else (estimated, {})
    attribution = values.astype(np.float32)
    order = np.argsort(-attribution, kind="stable")[:k].tolist()
    return Ranking(order, {"sampled": len(member), **notes}, attribution)


def granted(name: str, task: Task, least: int, usual: int, evaluations: int | None) -> int:
    """Rows that the method may ask for: its own number or the usual one, within explain's budget."""
    if evaluations is not None and evaluations < least:
        raise ValueError(f"evaluations must be at least {least} for {name} on {task.n} regions; got {evaluations}")
    if task.evaluations is None:
        return usual if evaluations is None else evaluations
    curves = 2 * (task.k + 1)  # both views of each prefix; that the ends of a full order coincide is left to spare
    room = task.evaluations - curves
    if room < least:
        raise ValueError(
            f"evaluations must be at least {least + curves} for {name} on {task.n} regions and the curves of "
            f"{task.k} of them; got {task.evaluations}"
        )
    return room if evaluations is None else min(room, evaluations)
