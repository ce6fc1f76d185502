"""Subsets to ask for, as bool membership [rows, n]: random, balanced, of given sizes, one region flipped; soft ones as
weights.
"""

from __future__ import annotations

from itertools import chain, combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from pysmdl.types import Bools, Floats


def random_masks(rng: np.random.Generator, rows: int, n: int, keep: float = 0.5) -> Bools:
    """Each region kept with probability `keep`, independently. [rows, n]."""
    return rng.random((rows, n), np.float32) < keep


def balanced_masks(rng: np.random.Generator, rows: int, n: int) -> Bools:
    """A Latin hypercube cut at 0.5: each region is kept in half of the rows, in random ones. [rows, n].

    Each row by itself is a uniform random subset. With an odd number of rows, chance decides on the middle one.
    """
    columns = np.repeat((np.arange(rows) < rows // 2)[None], n, axis=0)
    if rows % 2:
        columns[:, -1] = rng.random(n) < 0.5
    drawn: Bools = rng.permuted(columns, axis=1).T
    return drawn


def masks_of_sizes(rng: np.random.Generator, sizes: NDArray[np.int64], n: int) -> Bools:
    """A uniform random subset of each of the given sizes. [rows, n]."""
    ranks = rng.permuted(np.repeat(np.arange(n)[None], len(sizes), axis=0), axis=1)
    drawn: Bools = ranks < sizes[:, None]
    return drawn


def every_mask_of_size(n: int, size: int) -> Bools:
    """All subsets of one size, in lexicographic order. [comb(n, size), n]."""
    count = comb(n, size)
    regions = np.fromiter(chain.from_iterable(combinations(range(n), size)), np.int64, count * size)
    member = np.zeros((count, n), bool)
    member[np.repeat(np.arange(count), size), regions] = True
    return member


def with_flips(member: Bools) -> Bools:
    """Each subset, followed by itself with region 0, 1, ... n - 1 flipped. [rows (n + 1), n]."""
    rows, n = member.shape
    flips = np.vstack((np.zeros((1, n), bool), np.eye(n, dtype=bool)))
    flipped: Bools = (member[:, None] ^ flips).reshape(rows * (n + 1), n)
    return flipped


def soft_masks(rng: np.random.Generator, count: int, n: int) -> Floats:
    """Points of a scrambled Sobol sequence in [0, 1]^(2 n): each one's first half, followed by itself with region 0, 1,
    ... n - 1 from its second half. [count (n + 1), n].
    """
    from scipy.stats.qmc import Sobol

    points = Sobol(2 * n, seed=rng).random_base2((count - 1).bit_length())[:count].astype(np.float32)
    own, other = points[:, :n], points[:, n:]
    rows = np.repeat(own[:, None], n + 1, axis=1)
    rows[:, np.arange(1, n + 1), np.arange(n)] = other
    return rows.reshape(count * (n + 1), n)
