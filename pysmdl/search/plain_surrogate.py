"""The plain twin of what ``_C`` does for the surrogate (csrc/core/chain.h defines it): NumPy, step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.search.lattice import prefixes
from pysmdl.types import Bools

Numbers = NDArray[np.float64]


class Plain:
    """What a :class:`pysmdl.search.surrogate.Surrogate` computes with where the extension is not built."""

    @staticmethod
    def differences(flip: NDArray[np.int8], member: Bools) -> NDArray[np.int16]:
        """Weight of the regions in which subsets [a, n] differ from each measured one. [a, count]."""
        differing: NDArray[np.int16] = (of_nothing(flip) + member @ flip.astype(np.int64)).astype(np.int16)
        return differing

    @staticmethod
    def kernel_rows(flip: NDArray[np.int8], alike: Numbers, table: Numbers, first: int, kernel: Numbers) -> None:
        """The kernel's rows from `first` on, in place."""
        count = flip.shape[1]
        signs = np.where(flip < 0, 1.0, -1.0)
        apart = Plain.differences(flip, flip[:, first:].T < 0)
        kernel[first:count, :count] = signs[:, first:].T @ alike @ signs + table[apart]

    @staticmethod
    def effects(flip: NDArray[np.int8], alike: Numbers, pull: Numbers) -> Numbers:
        """What regions add to log-odds by the linear part of a fit of which subsets pull so much. [n]."""
        effect: Numbers = 2 * alike @ (np.where(flip < 0, 1.0, -1.0) @ pull)
        return effect

    @staticmethod
    def extend_cholesky(factor: Numbers, known: int, count: int, noise: float, threads: int) -> None:
        """The lower factor of matrix + noise * identity, in place; rows known .. count - 1 are the matrix's."""
        old, new = slice(known), slice(known, count)
        rest = factor[new, new] + noise * np.eye(count - known)
        factor[new, old] = np.linalg.solve(np.tril(factor[old, old]), factor[new, old].T).T
        factor[new, new] = np.linalg.cholesky(rest - factor[new, old] @ factor[new, old].T)

    @staticmethod
    def solve_cholesky(factor: Numbers, x: Numbers) -> None:
        """x with factor factor^T x = x as given, in place."""
        part = np.tril(factor[: len(x), : len(x)])
        x[:] = np.linalg.solve(part.T, np.linalg.solve(part, x))

    @staticmethod
    def predict(fitted: Any, member: Bools) -> tuple[Numbers, Numbers]:
        """What subsets [a, n] are worth, and how unsure that is. [a] each."""
        worth, unsure = _of_views(fitted, member)
        return worth, unsure[0] + unsure[1]

    @staticmethod
    def influences(fitted: Any) -> Numbers:
        """How much each region changes a subset's log-odds: the root mean square over all measured and complements.

        [n].
        """
        member = (fitted.flip < 0).T
        member = np.vstack((member, ~member))
        odds = _log_odds(fitted, member)
        changes = [_log_odds(fitted, member ^ region) - odds for region in np.eye(len(fitted.flip), dtype=bool)]
        influence: Numbers = np.sqrt(np.square(changes).sum(1) / max(1, len(member)))
        return influence

    @staticmethod
    def greedy_chain(fitted: Any) -> NDArray[np.int32]:
        """From both ends: in turn what makes the front worth most and what makes the back worth least. [n]."""
        n = len(fitted.flip)
        left, ends = list(range(n)), [np.zeros(n, bool), np.zeros(n, bool)]
        order: list[list[int]] = [[], []]
        while left:
            side = len(order[0]) > len(order[1])
            found = Plain.predict(fitted, ends[side] | np.eye(n, dtype=bool)[left])[0]
            order[side].append(left.pop(int(((-1 if side else 1) * found).argmax())))
            ends[side][order[side][-1]] = True
        return np.array([*order[0], *reversed(order[1])], np.int32)

    @staticmethod
    def improve_chain(
        fitted: Any, order: NDArray[np.int32], k: int, passes: int, within: int, least: float
    ) -> tuple[float, Numbers]:
        """Move each region in turn to the best place at most `within` away, in place, where it gains more than `least`.

        What k steps are worth, and how unsure that is of each prefix, by its view kept and its view removed.
        [2, n + 1].
        """
        n = len(order)
        for _ in range(passes):
            before = order.copy()
            for x in range(n):
                i = int(np.flatnonzero(order == x)[0])
                others = np.delete(order, i)
                earlier, later = range(i - 1, max(-1, i - 1 - within), -1), range(i + 1, min(n, i + 1 + within))
                places = [i, *earlier, *later]
                found = [chain_worth(fitted, np.insert(others, place, x), k) for place in places]
                best = int(np.argmax([0, *(each - found[0] for each in found[1:])]))
                if best and found[best] - found[0] > least:
                    order[:] = np.insert(others, places[best], x)
            if np.array_equal(before, order):
                break
        return chain_worth(fitted, order, k), _of_views(fitted, prefixes(order, len(order)))[1]


def chain_worth(fitted: Any, order: NDArray[Any], k: int) -> float:
    """The area under what a chain's first k + 1 subsets are worth."""
    found = Plain.predict(fitted, prefixes(order, len(order)))[0]
    return float((fitted.area[order] * (found[1:] + found[:-1]) / 2)[:k].sum())


def of_nothing(flip: NDArray[np.int8]) -> NDArray[np.int64]:
    """By how much the empty subset differs from each measured one. [count]."""
    differing: NDArray[np.int64] = np.maximum(-flip.astype(np.int64), 0).sum(0)
    return differing


def _span(fitted: Any) -> int:
    return int(np.abs(fitted.flip[:, :1].astype(np.int64)).sum()) if fitted.flip.shape[1] else 1


def _log_odds(fitted: Any, member: Bools) -> Numbers:
    """z of subsets. [a]."""
    apart = Plain.differences(fitted.flip, member).astype(np.int64)
    line = (np.where(member, 0.5, -0.5) * fitted.effect).sum(1)
    z: Numbers = fitted.offset + line + fitted.smooth * np.exp(-apart / (fitted.reach * _span(fitted))) @ fitted.pull
    return z


def _of_views(fitted: Any, member: Bools) -> tuple[Numbers, Numbers]:
    """What subsets are worth, [a], and how unsure that is by their views kept and removed, [2, a]."""
    span = _span(fitted)
    scores, unsure = [], []
    for weight, view in ((fitted.kept, member), (fitted.removed, ~member)):
        z, d = _log_odds(fitted, view), Plain.differences(fitted.flip, view)
        p = 1 / (1 + np.exp(-z))
        spread = p * (1 - p) if fitted.bounded else np.ones_like(p)
        scores.append(weight * _score(fitted, z))
        far = 1 - np.exp(-d.min(1, initial=span) / (fitted.reach * span))
        unsure.append(weight * np.sqrt(spread * far))
    return scores[0] - scores[1], np.array(unsure)


def _score(fitted: Any, z: Numbers) -> Numbers:
    if not fitted.bounded:
        return z
    found: Numbers = ((1 + 2 * fitted.soft) / (1 + np.exp(-z)) - fitted.soft).clip(0, 1)
    return found
