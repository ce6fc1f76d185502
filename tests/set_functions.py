"""What the tests of the guided search and of its parts share: set functions, and a surrogate that was told some."""

from __future__ import annotations

import numpy as np

from pysmdl import bitrows
from pysmdl.search.surrogate import Surrogate, logistic
from pysmdl.testing import interacting


def fitted(n: int, count: int = 60, seed: int = 0, native=None):
    rng = np.random.default_rng(seed)
    member = np.unique(rng.random((count, n)) < rng.random((count, 1)), axis=0)
    weights, pairs = rng.normal(size=n), rng.normal(size=(n, n)) / n

    def score(subsets):
        return logistic(subsets @ weights / 2 + ((subsets @ pairs) * subsets).sum(1)).astype(np.float32)

    found = Surrogate(n, rng.dirichlet(np.ones(n)), rng.random((n, 2)), native)
    for part in np.array_split(np.arange(len(member)), 3):  # in parts, as a search gives them
        if len(part):
            found.add(member[part], score(member[part]))
            found.fit()
    return found, member, score


def rough(n: int, seed: int):
    """A set function with a jump of its own at every subset."""
    smooth, jumps = interacting(n, seed), np.random.default_rng(seed).normal(size=2**n)
    return lambda member: smooth(member) + 0.3 * jumps[member @ (1 << np.arange(n))]


def area_under(f, order, area) -> float:
    value = np.asarray(f(bitrows.in_prefixes(np.array(order, np.int32), len(area))), np.float64)
    return float((area[order] * (value[1:] + value[:-1]) / 2).sum())
