"""The effectiveness term: how far apart the regions of a subset are in the model's features (SMDL, equation 4).

eff(S) = sum over i in S of min over j in S, j != i, of d_ij, with d_ij the angle between f_i and f_j as a share of pi
and f_i the features of the view that keeps region i alone; 0 for fewer than two regions.
"""

from __future__ import annotations

import numpy as np
import torch

from pysmdl.kernels import distance_gains
from pysmdl.kernels.dispatch import serves
from pysmdl.search.vocabulary import Ask
from pysmdl.types import Bools, Floats, Ints

PARALLEL = 1 - 1e-9  # of cosines beyond it, either way, even an arccos in float64 is off by more than 1e-9
TILE = 1 << 17  # features looked at in one piece, in float64: 1 MiB


def pairwise_distances(features: Floats) -> Floats:
    """Angles between features, as shares of pi. [n, D] to [n, n], float32, exactly symmetric, right to 1e-7.

        d_ij = 2 atan2(|u_i - u_j|, |u_i + u_j|) / pi        u = f / |f| in float64, 0 where f is

    The published arccos of a float32 product is off by up to 4e-5 where features are nearly parallel. In float64 it
    says the same as the definition, and costs n times less, but for pairs that are parallel to 9 digits.
    """
    unit = features.astype(np.float64)
    lengths = np.linalg.norm(unit, axis=1, keepdims=True)
    np.divide(unit, lengths, out=unit, where=lengths > 0)
    cosine = unit @ unit.T
    angles = np.arccos(np.clip(cosine, -1, 1))
    nothing = lengths[:, 0] == 0
    close = np.abs(cosine) > PARALLEL
    close[np.ix_(nothing, nothing)] = True
    rows, columns = np.nonzero(np.triu(close, 1))
    step = max(1, TILE // unit.shape[1])
    for start in range(0, len(rows), step):
        pairs = rows[start : start + step], columns[start : start + step]
        u, v = unit[pairs[0]], unit[pairs[1]]
        angles[pairs] = 2 * np.arctan2(np.linalg.norm(u - v, axis=1), np.linalg.norm(u + v, axis=1))
    upper = np.triu(angles / np.pi, 1).astype(np.float32)
    distances: Floats = upper + upper.T
    return distances


class Effectiveness:
    """Prices subsets against one input's distance matrix; adding a region to a base already seen costs O(|S|)."""

    def __init__(self, features: Floats, backend: str = "auto") -> None:
        self.distances = pairwise_distances(features)
        self._tensor = torch.from_numpy(self.distances)
        self._backend = serves("distance_gains", backend, "cpu")  # the matrix lives on the host
        self._bases: list[tuple[Ints, Floats]] = []  # recent bases and their members' nearest distances

    def of(self, ask: Ask, n: int) -> Floats:
        """eff of each subset of the ask. [a], float32."""
        if ask.subsets is not None:
            return self.of_subsets(ask.subsets)
        if ask.complement:
            member = np.ones((len(ask.candidates), n), bool)
            member[:, ask.base] = False
            member[np.arange(len(ask.candidates)), ask.candidates] = False
            return self.of_subsets(member)
        nearest = self._nearest(ask.base)
        arguments = (torch.from_numpy(array) for array in (nearest, ask.base, ask.candidates))
        return distance_gains(self._tensor, *arguments, backend=self._backend).numpy()

    def of_subsets(self, member: Bools) -> Floats:
        """eff of any subsets. [a, n] to [a]."""
        apart = self.distances.copy()
        np.fill_diagonal(apart, np.inf)
        total = np.zeros(len(member), np.float32)
        step = max(1, (1 << 22) // apart.size)  # bounds the [step, n, n] array
        for start in range(0, len(member), step):
            part = member[start : start + step]
            nearest = np.where(part[:, None, :], apart, np.inf).min(2)  # [step, n]
            several = part & (part.sum(1) > 1)[:, None]
            total[start : start + step] = nearest.sum(1, dtype=np.float64, where=several)
        return total

    def _nearest(self, base: Ints) -> Floats:
        """Distance of each member of the base to its nearest other member. [len(base)]."""
        for known, nearest in reversed(self._bases):
            grown = len(base) - len(known)
            if grown in (0, 1) and np.array_equal(base[: len(known)], known):
                if grown:
                    d = self.distances[base[-1], known]
                    nearest = np.append(np.minimum(nearest, d), d.min(initial=np.inf)).astype(np.float32)
                return self._remember(base, nearest)
        apart = self.distances[np.ix_(base, base)]
        np.fill_diagonal(apart, np.inf)
        return self._remember(base, apart.min(1, initial=np.inf).astype(np.float32))

    def _remember(self, base: Ints, nearest: Floats) -> Floats:
        self._bases = [*self._bases[-3:], (base, nearest)]  # front and back grow in turn; a few are enough
        return nearest
