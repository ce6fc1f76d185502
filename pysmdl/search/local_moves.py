"""Moves of single regions in a measured order that are worth measuring."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pysmdl.search.lattice import numbers, prefixes
from pysmdl.search.measurements import Measurements
from pysmdl.search.surrogate import Order, logistic
from pysmdl.types import Bools

Numbers = NDArray[np.float64]

REACH = 8  # places a region is moved at most
ROWS, SHARE = 12, 0.25  # measured at a time: so many, or this share of n
TRUST = 0.7  # of what the surrogate misses at a prefix, that it also misses at the subset that would replace it
DOUBT = 0.5  # of the surrogate's own, as a deviation of what a move gains


def promising(known: Measurements, order: Order, k: int, left: int) -> Bools:
    """The subsets to measure for the moves that promise most for each row, and do not touch each other. [a, n].

    Moving a region changes the prefixes between its old place and its new one, and no other. What it gains is known
    where these are, else predicted by the surrogate and by what that misses nearby.

    Args:
        order: All prefixes of its first k regions are known.
        left: Rows that may be taken.
    """
    moves = Moves(known, order, k)
    rows = min(left, max(ROWS, int(SHARE * len(order))))
    chosen: list[int] = []
    touched = bytearray(len(order))
    source, target, cost = moves.source.tolist(), moves.target.tolist(), moves.cost.tolist()
    for move in moves.ranked(left):
        first, last = sorted((source[move], target[move]))
        if cost[move] > left or any(touched[first : last + 1]):
            continue
        touched[first : last + 1] = bytes([1]) * (last + 1 - first)
        chosen += moves.subsets(move)
        rows, left = rows - cost[move], left - cost[move]
        if rows <= 0:
            break
    return moves.member(np.array(chosen, np.int64))


class Moves:
    """Each region to each place at most REACH away: what that gains, and what it costs to know.

    Attributes:
        source, target: Places of each move's region, before and after, k standing for all after the first k. [moves].
        region, prefix, earlier: It, and which of the order's prefixes gets it, or loses it where it moves on. [moves].
        gain, doubt: Expected gain of a move, and its deviation. [moves].
        cost: Rows it takes to know. [moves].
    """

    def __init__(self, known: Measurements, order: Order, k: int) -> None:
        n = len(order)
        self.reach = min(REACH, n - 1)
        steps = np.r_[-np.arange(1, self.reach + 1), np.arange(1, self.reach + 1)]
        # One row a step, one column a region: what is summed up along a move is a running sum down the rows.
        source = np.minimum(np.arange(n), k)  # after the first k, all stand at the same place: any may take the last
        region, source, target = np.broadcast_arrays(order, source, source + steps[:, None])
        inside = (target >= 0) & (target < n) & (np.minimum(source, target) < k)
        self.order, self.k, self.shape = order, k, source.shape
        self.source, self.target = source.ravel(), target.ravel()
        self.chain = prefixes(order, n)
        self.earlier = self.target < self.source
        place = self.target.clip(0, n - 1)
        self.region = region.ravel()
        self.prefix = np.where(self.earlier, place, place + 1)
        self.size = np.where(self.earlier, place + 1, place)
        self._price(known, inside.ravel() & (self.size <= n))

    def member(self, moves: NDArray[np.int64]) -> Bools:
        """The one prefix that each of these has and the move one place shorter has not. [moves, n]."""
        member: Bools = self.chain[self.prefix[moves]]
        member[np.arange(len(moves)), self.region[moves]] = self.earlier[moves]
        return member

    def _price(self, known: Measurements, inside: NDArray[np.bool_]) -> None:
        surrogate, order, k = known.surrogate, self.order, self.k
        chain = numbers(self.chain)
        total, found = known.of(chain), np.full(len(inside), np.nan)
        moved = zip(self.prefix[inside].tolist(), self.region[inside].tolist(), strict=True)
        found[inside] = known.of([chain[prefix] ^ (1 << region) for prefix, region in moved])
        unknown = np.isnan(found)
        asked = np.flatnonzero(unknown & inside & (self.size <= k))
        predicted, unsure = np.zeros(len(unknown)), np.zeros(len(unknown))
        told, doubted = surrogate.predict(np.concatenate((self.chain, self.member(asked))))
        told += known.constant
        predicted[asked], unsure[asked] = told[len(chain) :], doubted[len(chain) :]
        missed = np.nan_to_num(total - told[: len(chain)])
        value = np.where(unknown, predicted + TRUST * missed[self.size], found).reshape(self.shape)
        total = np.nan_to_num(total)
        area = surrogate.area[order]
        counts = (np.arange(len(order) + 1) < k).astype(float)
        matters = (unknown & (self.size <= k)).reshape(self.shape)
        doubt = np.where(matters, unsure.reshape(self.shape) / len(order), 0) ** 2
        gains, costs, doubts = [], [], []
        for rows, earlier in ((slice(self.reach), True), (slice(self.reach, None), False)):
            to = self.target.reshape(self.shape)[rows]
            gains.append(_gains(value[rows], total, area, counts, to, earlier))
            costs.append(known.views * matters[rows].cumsum(0))
            doubts.append(np.sqrt(doubt[rows].cumsum(0)))
        self.gain, self.doubt = np.concatenate(gains).ravel(), DOUBT * np.concatenate(doubts).ravel() + 1e-6
        self.cost = np.where(inside, np.concatenate(costs).ravel(), 0)
        self.unknown = unknown & (self.size <= k)

    def ranked(self, left: int) -> list[int]:
        """The moves that cost something and are affordable, by expected improvement a row."""
        z = (self.gain / self.doubt).clip(-30, 30)  # beyond, nothing changes, and exp would underflow
        improvement = self.gain * logistic(1.702 * z) + self.doubt * np.exp(-z * z / 2) / 2.5066
        tried = np.flatnonzero((self.cost > 0) & (self.cost <= left))
        score = improvement[tried] / self.cost[tried]
        ranked: list[int] = tried[np.argsort(-score, kind="stable")].tolist()
        return ranked

    def subsets(self, move: int) -> list[int]:
        """The moves whose own prefix this one needs and nobody knows: itself, and those that go less far."""
        row, column = divmod(move, self.shape[1])
        first = 0 if row < self.reach else self.reach
        return [at for at in range(first * self.shape[1] + column, move + 1, self.shape[1]) if self.unknown[at]]


def _gains(
    value: Numbers, total: Numbers, area: Numbers, counts: Numbers, target: NDArray[np.int64], earlier: bool
) -> Numbers:
    """What moves by 1, 2, ... places in one direction gain in the area under F. [reach, n].

    Args:
        value: Of the prefix that each adds. [reach, n].
        total: Of the order's prefixes. [n + 1].
        area: Of the regions in their order. [n].
        counts: 1 for steps that count, else 0. [n + 1].
        target: Places. [reach, n].
    """
    n = len(area)
    place = np.arange(n)
    steps = area * (total[:-1] + total[1:]) / 2 * counts[:n]  # what each step of the order counts
    own, after, gains = steps, np.zeros(n), []
    before, following = own.copy(), total[1:] if earlier else total[:-1]
    for at, new in zip(target.clip(0, n - 1), value, strict=True):
        before = before + steps[at]
        after = after + area[at] * (new + following) / 2 * counts[at + 1 if earlier else at - 1]
        end = total[at] if earlier else total[at + 1]
        gains.append(area[place] * (new + end) / 2 * counts[at] + after - before)
        following = new
    return np.array(gains)
