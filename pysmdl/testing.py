"""For tests of searches and scorers: toy set functions, a driver, and comparisons that show their worst case."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl import bitrows
from pysmdl.search.vocabulary import Ask, Evaluation, Ranking, Rounds, Search, Task, agreed
from pysmdl.types import Floats, Regions

SetFunction = Callable[[NDArray[Any]], NDArray[Any]]
"""Bool membership [a, n], or weights of soft subsets, to values [a]."""


def drive(
    search: Search, f: SetFunction, n: int, k: int | None = None, seed: int = 0, regions: Regions | None = None
) -> tuple[Ranking, int]:
    """Run a search on a set function; returns its ranking and how many subsets it asked for.

    Raises:
        SearchError: the search breaks what was agreed.
    """
    task = Task(n, n if k is None else min(k, n), seed=seed, regions=regions)
    rounds: Rounds = agreed(search.start(task), Generator, "start")
    found: Any = None  # what starts a generator
    asked = 0
    try:
        while True:
            ask = agreed(rounds.send(found), Ask, "yield")
            ask.check(n, search.soft)
            member = bitrows.unpack(ask.rows(n), n) if ask.weights is None else ask.weights
            values = {} if ask.free else {"f": np.asarray(f(member), np.float32)}
            asked += 0 if ask.free else len(member)
            found = Evaluation(values, {"f": 1.0})
    except StopIteration as done:
        ranking = agreed(done.value, Ranking, "return")
        ranking.check(n)
        return ranking, asked


def coverage(n: int, points: int = 40, seed: int = 0) -> SetFunction:
    """A random weighted coverage function: monotone and submodular."""
    rng = np.random.default_rng(seed)
    covers = rng.random((n, points)) < 0.2
    weights = rng.random(points)
    return lambda member: ((member.astype(float) @ covers) > 0) @ weights


def modular(weights: Floats) -> SetFunction:
    """F(S) = sum of the weights of S."""
    return lambda member: member @ weights


def interacting(n: int, seed: int = 0) -> SetFunction:
    """A smooth function with positive and negative interactions: neither monotone nor submodular."""
    rng = np.random.default_rng(seed)
    linear, pairs = rng.normal(size=n), rng.normal(size=(n, n)) / n
    return lambda member: np.tanh((member @ linear + ((member @ pairs) * member).sum(1)) / np.sqrt(n))
