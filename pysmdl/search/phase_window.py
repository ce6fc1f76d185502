"""PhaseWin's search: greedy choices from a window over the candidates that last looked best, in phases."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from pysmdl.search.choice import best_of, placing
from pysmdl.search.greedy import exact_rounds
from pysmdl.search.vocabulary import Ask, Claim, Evaluation, Ranking, Rounds
from pysmdl.types import Floats

POLICIES = ("batch", "largest", "top2")
CLOSE = 0.95  # of the best, for the second best to be taken with it ("top2")


@dataclass(frozen=True)
class WindowRules:
    """How :func:`phase_window_rounds` chooses; its arguments as in ``search.phase_window``."""

    window_share: float
    delete: float
    select: float
    policy: str
    batch: float
    anneal: bool
    seed: int
    jump: float
    protect: float
    greedy: int

    def accepted(self, total: Floats, most: float) -> list[int]:
        """Which of a window's candidates are taken, by its policy. `most`: the phase's best F at its start."""
        least, best = self.select * most, int(total.argmax())
        if self.policy == "batch":
            least = max(least, self.batch * total[best])
            return [int(i) for i in np.flatnonzero(total >= least)]
        taken = [best] if total[best] >= least else []
        if self.policy == "top2" and taken and len(total) > 1:
            second = int(np.argsort(-total, kind="stable")[1])
            if total[second] >= max(least, CLOSE * total[best]):
                taken = sorted((best, second))
        return taken

    def speeds_up(self, gains: Sequence[float], gain: float) -> bool:
        """Whether F falls faster from one accepted region to the next than it did before: to 0, at any rate."""
        if len(gains) < 2:
            return False
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return bool(gains[-1] / gain - gains[-2] / gains[-1] > self.jump)


def phase_window_rounds(n: int, k: int, rules: WindowRules) -> Rounds:
    """Greedy selection in phases (PhaseWin, CVPR 2026): most rounds score only a window of the candidates.

    A phase takes the best of all that are left, scores the others once, sets aside those that are far below their
    best, and queues those that are near it. From then on only the first of the queue are scored, and those at the top
    taken together, until the window holds nobody good enough or F falls too suddenly. What no phase took is ordered by
    one scoring in the end, then what was set aside.
    """
    chosen = (yield from exact_rounds(n, min(rules.greedy, k))).order
    left, set_aside = [region for region in range(n) if region not in chosen], list[int]()
    width, draws = max(1, int(rules.window_share * len(left))), Random(rules.seed)
    while left and len(chosen) < k:
        best, found = yield from best_of(Ask(chosen, left, claim=placing(chosen, [*left, *set_aside])))
        if found.total[best] <= 0:
            break
        chosen.append(left.pop(best))
        if left and len(chosen) < k:
            left = yield from _phase(rules, draws, width, found.total[best], chosen, left, set_aside, k)
    for rest, after in ((left, set_aside), (set_aside, [])):
        if rest and len(chosen) < k:
            found = yield Ask(chosen, rest, claim=placing(chosen, [*rest, *after]))
            chosen += [rest[i] for i in np.argsort(-found.total, kind="stable").tolist()]
    return Ranking(chosen[:k])


def _phase(
    rules: WindowRules,
    draws: Random,
    width: int,
    first: float,
    chosen: list[int],
    left: list[int],
    set_aside: list[int],
    k: int,
) -> Generator[Ask, Evaluation, list[int]]:
    """A phase after its first region, whose F was `first`: adds to `chosen` and `set_aside`, returns what is left."""
    found = yield Ask(chosen, left, claim=placing(chosen, [*left, *set_aside]))
    total, most = found.total, found.total.max()
    if most <= 0:
        return left
    set_aside += [region for region, f in zip(left, total, strict=True) if f < rules.delete * most]
    between = [r for r, f in zip(left, total, strict=True) if rules.delete * most <= f < rules.select * most]
    queue = [left[i] for i in np.argsort(-total, kind="stable").tolist() if total[i] >= rules.select * most]
    window, tail = queue[:width], deque(queue[width:])
    gains, put_back, ends = [first], set[int](), False
    while (window or tail) and len(chosen) < k and not ends:
        _fill(window, tail, width, put_back if rules.anneal else None, draws)
        found = yield Ask(chosen, window, claim=Claim(chosen, [*window, *tail, *between, *set_aside]))
        taken = [(window[i], found.total[i]) for i in rules.accepted(found.total, most)]
        ends = not taken
        for region, gain in taken:
            ends = rules.speeds_up(gains, gain)
            if not ends or gain >= rules.protect * gains[-1]:
                window.remove(region)
                chosen.append(region)
                gains.append(gain)
            if ends:
                break
    return [*window, *tail, *between]


def _fill(window: list[int], tail: deque[int], width: int, put_back: set[int] | None, draws: Random) -> None:
    """Take from the tail's head what the window has room for; with annealing, each is put back once by even odds."""
    while tail and len(window) < width:
        region = tail.popleft()
        if put_back is not None and draws.random() < 0.5 and region not in put_back:
            put_back.add(region)
            tail.append(region)
        else:
            window.append(region)
