"""For tests of searches and scorers: toy set functions, a driver, and comparisons that show their worst case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl import bitrows
from pysmdl.search.vocabulary import Evaluation, Ranking, Search, Task
from pysmdl.types import Floats, Regions

SetFunction = Callable[[NDArray[Any]], NDArray[Any]]
"""Bool membership [a, n], or weights of soft subsets, to values [a]."""


def drive(
    search: Search, f: SetFunction, n: int, k: int | None = None, seed: int = 0, regions: Regions | None = None
) -> tuple[Ranking, int]:
    """Run a search on a set function; returns its ranking and how many subsets it asked for."""
    rounds = search.start(Task(n, n if k is None else min(k, n), seed=seed, regions=regions))
    asked = 0
    try:
        ask = next(rounds)
        while True:
            member = bitrows.unpack(ask.rows(n), n) if ask.weights is None else ask.weights
            values = {} if ask.free else {"f": np.asarray(f(member), np.float32)}
            asked += 0 if ask.free else len(member)
            ask = rounds.send(Evaluation(values, {"f": 1.0}))
    except StopIteration as done:
        return done.value, asked


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
