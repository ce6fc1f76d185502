"""The effectiveness term: how far apart the regions of a subset are in the model's features (SMDL, equation 4).

eff(S) = sum over i in S of min over j in S, j != i, of d_ij, with d_ij = arccos(cos(f_i, f_j)) / pi and f_i the
features of the view that keeps region i alone; 0 for fewer than two regions.
"""

from __future__ import annotations

import numpy as np
import torch

from pysmdl.kernels import distance_gains
from pysmdl.search.vocabulary import Ask
from pysmdl.types import Bools, Floats, Ints


def pairwise_distances(features: Floats) -> Floats:
    """Angles between features, as shares of pi. [n, D] to [n, n], float32, exactly symmetric."""
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    cosine = np.clip(unit @ unit.T, -1, 1)
    distances = np.arccos(cosine) / np.float32(np.pi)
    symmetric: Floats = np.minimum(distances, distances.T)
    return symmetric


class Effectiveness:
    """Prices subsets against one input's distance matrix; adding a region to a base already seen costs O(|S|)."""

    def __init__(self, features: Floats, backend: str = "auto") -> None:
        self.distances = pairwise_distances(features)
        self._tensor = torch.from_numpy(self.distances)
        self._backend = backend if backend in ("cpu", "reference") else "auto"  # the matrix lives on the host
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
