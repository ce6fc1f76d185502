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
    def kernel_rows(
        flip: NDArray[np.int8], alike: Numbers, table: Numbers, first: int, even: Numbers, odd: Numbers | None = None
    ) -> None:
        """The kernel's rows from `first` on, in place: of subsets, or of sums and differences with complements."""
        count = flip.shape[1]
        signs = np.where(flip < 0, 1.0, -1.0)
        line = signs[:, first:].T @ alike @ signs
        apart = Plain.differences(flip, flip[:, first:].T < 0)
        near, far = table[apart], table[len(table) - 1 - apart]
        even[first:count, :count] = line + near if odd is None else near + far
        if odd is not None:
            odd[first:count, :count] = 2 * line + near - far

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
        apart = Plain.differences(fitted.flip, member).astype(np.int64)
        line = (np.where(member, 0.5, -0.5) * fitted.effect).sum(1)
        span = _span(fitted)
        odds = _log_odds(fitted, apart, line)
        slopes = [p * (1 - p) if fitted.bounded else np.ones_like(p) for p in (1 / (1 + np.exp(-z)) for z in odds)]
        nearest = [apart.min(1, initial=span), span - apart.max(1, initial=0)]
        if fitted.paired:
            nearest = [np.minimum(*nearest)] * 2
        doubt = [np.sqrt(1 - np.exp(-each / (fitted.reach * span))) for each in nearest]
        unsure = fitted.kept * slopes[0] * doubt[0] + fitted.removed * slopes[1] * doubt[1]
        return worth(fitted, apart, line), unsure

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

        What k steps are worth, and how unsure that is of each prefix. [n + 1].
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
        return chain_worth(fitted, order, k), Plain.predict(fitted, prefixes(order, len(order)))[1]


def chain_worth(fitted: Any, order: NDArray[Any], k: int) -> float:
    """The area under what a chain's first k + 1 subsets are worth."""
    found = Plain.predict(fitted, prefixes(order, len(order)))[0]
    return float((fitted.area[order] * (found[1:] + found[:-1]) / 2)[:k].sum())


def of_nothing(flip: NDArray[np.int8]) -> NDArray[np.int64]:
    """By how much the empty subset differs from each measured one. [count]."""
    differing: NDArray[np.int64] = np.maximum(-flip.astype(np.int64), 0).sum(0)
    return differing


def worth(fitted: Any, apart: NDArray[np.int64], line: Numbers) -> Numbers:
    """kept * score(S) - removed * score(V - S) by the differences from the measured subsets [a, count]. [a]."""
    scores = [_score(fitted, z) for z in _log_odds(fitted, apart, line)]
    found: Numbers = fitted.kept * scores[0] - fitted.removed * scores[1]
    return found


def _log_odds(fitted: Any, apart: NDArray[np.int64], line: Numbers) -> tuple[Numbers, Numbers]:
    """Of subsets and of their complements. [a] each."""
    span = _span(fitted)
    near, far = (fitted.smooth * np.exp(-d / (fitted.reach * span)) for d in (apart, span - apart))
    kept = fitted.offset + line + near @ fitted.near + far @ fitted.far
    return kept, fitted.offset - line + near @ fitted.far + far @ fitted.near


def _score(fitted: Any, z: Numbers) -> Numbers:
    if not fitted.bounded:
        return z
    found: Numbers = ((1 + 2 * fitted.soft) / (1 + np.exp(-z)) - fitted.soft).clip(0, 1)
    return found


def _span(fitted: Any) -> int:
    return int(np.abs(fitted.flip[:, :1].astype(np.int64)).sum()) if fitted.flip.shape[1] else 1
