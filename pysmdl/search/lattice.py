"""The best order along subsets that have been measured: a longest path, which costs no evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pysmdl import bitrows
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
        self._half = [float(each) / 2 for each in area]
        self.total: dict[int, float] = {}
        self._of_size: list[list[int]] = [[] for _ in range(len(self._half) + 1)]
        self._reached: list[list[int]] = [[] for _ in self._of_size]  # of these, those that a path leads to
        self._worth: dict[int, float] = {}  # of the best path to each of them, from the empty one
        self._last: dict[int, int] = {}  # the region that it adds last

    def add(self, subsets: Sequence[int], total: NDArray[np.float32]) -> None:
        """Take F [a] of subsets, each as a whole number (:func:`numbers`)."""
        new = []
        for subset, f in zip(subsets, total.tolist(), strict=True):
            if subset not in self.total:
                self.total[subset], size = f, subset.bit_count()
                self._of_size[size].append(subset)
                new.append((size, subset))
        for size, subset in sorted(new):
            before = self._worth.get(subset)  # where a smaller one that is new too leads to it
            if subset == 0:
                self._worth[subset] = 0.0
            if subset == 0 or self._reach(size, subset):
                if before is None:
                    self._reached[size].append(subset)
                if self._worth[subset] != before:
                    self._extend(size, [subset])

    def best(self) -> tuple[list[int], float] | None:
        """The best order of k regions and what it is worth; None where none is known from end to end."""
        if not self._reached[self.k]:
            return None
        at = last = max(self._reached[self.k], key=self._worth.__getitem__)
        order = []
        while at:
            order.append(self._last[at])
            at ^= 1 << order[-1]
        return order[::-1], self._worth[last]

    def _reach(self, size: int, subset: int) -> bool:
        """Find the best path to a new subset; whether there is one."""
        f, worth, total = self.total[subset], self._worth, self.total
        best = -np.inf
        for smaller in self._reached[size - 1]:
            added = subset ^ smaller
            if not added & (added - 1):
                region = added.bit_length() - 1
                found = worth[smaller] + self._half[region] * (total[smaller] + f)
                if found > best:
                    best, self._last[subset] = found, region
                    worth[subset] = found
        return subset in worth

    def _extend(self, size: int, subsets: list[int]) -> None:
        """Let paths to these go on to larger subsets, wherever that is the best way there."""
        worth, total = self._worth, self.total
        while subsets and size < self.k:
            further: dict[int, None] = {}
            size += 1
            for subset in subsets:
                before, f = worth[subset], total[subset]
                for larger in self._of_size[size]:
                    added = subset ^ larger
                    if not added & (added - 1):
                        region = added.bit_length() - 1
                        found = before + self._half[region] * (f + total[larger])
                        known = worth.get(larger)
                        if known is None:
                            self._reached[size].append(larger)
                        if known is None or found > known:
                            worth[larger], self._last[larger] = found, region
                            further[larger] = None
            subsets = list(further)


def prefixes(order: NDArray[np.int32], k: int) -> Bools:
    """The subsets of an order's first 0, 1, ... k regions. [k + 1, n]."""
    return bitrows.in_prefixes(order[:k], len(order))


def numbers(member: Bools) -> list[int]:
    """Subsets [a, n] as whole numbers: bit r is region r."""
    count, n = member.shape
    packed = np.zeros((count, (n + 63) // 64 * 8), np.uint8)
    packed[:, : (n + 7) // 8] = np.packbits(member, axis=1, bitorder="little")
    if n <= 64:
        found: list[int] = packed.view("<u8").ravel().tolist()
        return found
    size, text = packed.shape[1], packed.tobytes()
    return [int.from_bytes(text[at : at + size], "little") for at in range(0, len(text), size)]
