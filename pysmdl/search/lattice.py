"""The best order along subsets that have been measured: a longest path, which costs no evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pysmdl.types import Bools

Numbers = NDArray[np.float64]


class Lattice:
    """Measured subsets as the points of a graph: an edge adds a region.

    A path from the empty subset to one of k regions is an order all of whose prefixes are known. It is worth the area
    under F: an edge counts the area of the region it adds times the mean of F at its two ends.

    Args:
        area: Of each region. [n].
        k: Regions in an order.
    """

    def __init__(self, area: Numbers, k: int) -> None:
        self.k = k
        self._half = (np.asarray(area) / 2).tolist()
        self._by_size: list[list[int]] = [[] for _ in range(k + 1)]  # subsets as bits of a number
        self._from: dict[int, list[tuple[int, float, int]]] = {}  # to each: subsets one region smaller, area, region
        self.total: dict[int, float] = {}

    def add(self, member: Bools, total: NDArray[np.float32]) -> None:
        """Take F [a] of subsets [a, n]."""
        known = self.total
        for subset, f, regions in zip(numbers(member), total.tolist(), member, strict=True):
            size = int(np.count_nonzero(regions))
            if subset in known:
                continue
            known[subset] = f
            if size > self.k:
                continue
            self._by_size[size].append(subset)
            self._from[subset] = []
            for region, half in enumerate(self._half):
                bit = 1 << region
                other = subset ^ bit
                if other in known:
                    smaller, larger = (other, subset) if other < subset else (subset, other)
                    self._from[larger].append((smaller, half, region))

    def best(self) -> tuple[list[int], float] | None:
        """The best order of k regions and what it is worth; None where none is known from end to end."""
        worth = {0: 0.0}
        step: dict[int, tuple[int, int]] = {}
        for subsets in self._by_size[1:]:
            for subset in subsets:
                f, best = self.total[subset], -np.inf
                for smaller, half, region in self._from[subset]:
                    before = worth.get(smaller)
                    if before is not None and (found := before + half * (self.total[smaller] + f)) > best:
                        best, step[subset] = found, (smaller, region)
                if subset in step:
                    worth[subset] = best
        ends = [subset for subset in self._by_size[self.k] if subset in worth]
        if 0 not in self.total or not ends:
            return None
        last = max(ends, key=worth.__getitem__)
        order, at = [], last
        while at:
            at, region = step[at]
            order.append(region)
        return order[::-1], worth[last]


def numbers(member: Bools) -> Sequence[int]:
    """Subsets [a, n] as whole numbers: bit r is region r."""
    packed = np.packbits(member, axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]
