"""The searches: generators that ask for F of subsets, are told, and decide. They see no model, tensor or device.

Candidates are asked for in ascending region index and the choice is the strict float32 maximum, the first of equals.
``exact()``, ``bidirectional()`` ... give a :class:`Search`: the generator with its parameters. SEARCHES has the names.
:mod:`pysmdl.guided` and :mod:`pysmdl.lazy` hold the two that keep books.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence

import numpy as np

from pysmdl.errors import whole
from pysmdl.guided import guided_rounds
from pysmdl.lazy import lazy_rounds
from pysmdl.types import Ask, Evaluation, Floats, Ranking, Rounds, Search, Task


def exact_rounds(n: int, k: int) -> Rounds:
    """Greedy selection: each round scores every region left and keeps the best (SMDL, algorithm 1).

    Asks for k(2n - k + 1) / 2 subsets. (1 - 1/e)-optimal when F is monotone submodular (Nemhauser, Wolsey and Fisher
    1978); F made from a network is neither by proof.
    """
    chosen: list[int] = []
    left = list(range(n))
    rest = left
    while left and len(chosen) < k:
        best, found = yield from best_of(Ask(chosen, left, front=chosen, rest=rest))  # F(S + a) for each a left
        rest = _by_score(left, found.total, but=best)
        chosen.append(left.pop(best))
    return Ranking(chosen)


def bidirectional_rounds(n: int, k: int, pending: int) -> Rounds:
    """Greedy selection from both ends (LiMA, algorithm 1): a round puts the best in front, the worst at the back.

    The `pending` candidates that look worst, judged by what the front's round measured and by effectiveness with the
    back, are scored again with the back. Asks for about n^2 / 4 + pending n / 2 subsets, and stops once k are in front.
    Not the double greedy of Buchbinder et al. 2012, which apricot calls bidirectional.
    """
    front: list[int] = []
    back: list[int] = []
    left = list(range(n))
    while len(left) > 1 and len(front) < k:
        ask = Ask(front, left, front=front, rest=left, back=back)
        best, found = yield from best_of(ask)
        rest = _by_score(left, found.total, but=best)
        if len(left) > pending and len(front) + 1 < k:
            with_back = yield Ask(back, left, free=True)  # only what needs no forward pass
            worst = yield from lowest_of(ask, found, with_back, pending)
            listed = sorted(left[i] for i in worst if i != best)
            front.append(left.pop(best))
            ask = Ask(back, listed, front=front, rest=rest, back=back, ahead=Ask(front, left))
            lowest, _ = yield from best_of(ask, sign=-1)
            back.append(listed[lowest])
            left.remove(back[-1])
        else:
            front.append(left.pop(best))
    return Ranking([*front, *left, *reversed(back)][:k])


def backward_rounds(n: int, k: int) -> Rounds:
    """Greedy elimination from the full input: each round drops the region whose loss keeps F highest, to the end.

    Asks for n(n + 1) / 2 subsets. Where a model is brittle under masking, its orders are better than exact greedy's,
    which starts from an input that shows nothing.
    """
    back: list[int] = []
    left = list(range(n))
    rest = left
    while left:
        ask = Ask(back, left, complement=True, rest=rest, back=back)  # F(V - (back + a)) for each a left
        best, found = yield from best_of(ask)
        rest = _by_score(left, -found.total, but=best)  # what hurts most to lose comes first
        back.append(left.pop(best))
    return Ranking(back[::-1][:k])


def forward_backward_rounds(n: int, k: int) -> Rounds:
    """Exact greedy until the best candidate matches nothing in either view, then from the end (VPS, for grounding).

    From there on F cannot tell candidates apart; the region whose removal keeps F(V - B) highest goes to the end. The
    scan that found the zero is repeated in the other direction.
    """
    chosen: list[int] = []
    back: list[int] = []
    left = list(range(n))
    rest = left
    while left and len(chosen) < k:
        best, found = yield from best_of(Ask(chosen, left, front=chosen, rest=rest))
        if all(view is None or view[best] == 0 for view in (found.insertion, found.deletion)):
            break
        rest = _by_score(left, found.total, but=best)
        chosen.append(left.pop(best))
    while left and len(chosen) < k:
        best, _ = yield from best_of(Ask(back, left, complement=True, front=chosen, rest=left, back=back))
        back.append(left.pop(best))
    return Ranking([*chosen, *reversed(back)][:k])


def scoped_rounds(n: int, k: int, scope: int, update_step: int, pending: int) -> Rounds:
    """Greedy selection within a window of a ranked list, from both ends (EAGLE's efficient search).

    Every `update_step` rounds the whole list is scored and sorted, and its head goes to the front; in between only the
    first `scope` are scored. The back takes, of the last `pending`, the one whose removal leaves F highest; in the
    first round simply the last. Ties go by position in the list; the last one left takes its place unasked. Stops once
    k are in front.
    """
    front: list[int] = []
    back: list[int] = []
    listed = list(range(n))
    while len(listed) > 1 and len(front) < k:
        in_full = len(front) % update_step == 0
        ask = Ask(front, listed if in_full else listed[:scope], front=front, rest=listed, back=back)
        best, found = yield from best_of(ask)
        if in_full:
            if found.exact is not None:  # every place in the list counts
                found = yield ask.again(np.flatnonzero(~found.exact))
            listed, best = [listed[i] for i in np.argsort(-found.total, kind="stable")], 0
        front.append(listed.pop(best))
        if len(front) == 1 and listed:
            back.append(listed.pop())
        elif len(listed) > pending and len(front) < k:
            tail = listed[-pending:]
            window = scope + (len(listed) - pending < scope)  # one more where it may lose one to the back
            ahead = Ask(front, listed if len(front) % update_step == 0 else listed[:window])
            ask = Ask(back, tail, complement=True, front=front, rest=listed, back=back, ahead=ahead)
            best, _ = yield from best_of(ask)
            back.append(tail[best])
            listed.remove(back[-1])
    return Ranking([*front, *listed, *reversed(back)][:k])


def stochastic_rounds(n: int, k: int, epsilon: float, seed: int) -> Rounds:
    """Greedy selection among a random sample of (n / k) log(1 / epsilon) candidates a step (Mirzasoleiman et al. 2015).

    (1 - 1/e - epsilon)-optimal in expectation when F is monotone submodular; O(n log(1 / epsilon)) subsets for any k.
    """
    rng = np.random.default_rng(seed)
    size = max(1, math.ceil(n / k * math.log(1 / epsilon)))
    chosen: list[int] = []
    left = list(range(n))
    while left and len(chosen) < k:
        sample = np.sort(rng.choice(left, min(size, len(left)), replace=False)).tolist()
        best, _ = yield from best_of(Ask(chosen, sample, front=chosen, rest=left))
        chosen.append(sample[best])
        left.remove(chosen[-1])
    return Ranking(chosen)


def fixed_rounds(order: Sequence[int], k: int) -> Rounds:
    """Asks nothing: the order is given, and only its curves are measured."""
    yield from ()
    return Ranking(list(order)[:k])


def best_of(ask: Ask, sign: int = 1) -> Generator[Ask, Evaluation, tuple[int, Evaluation]]:
    """The first maximum of an ask (with sign -1 the first minimum), and what was found. It settles a region's place.

    Where totals are only known roughly, those within the margin of the best are asked for again in full precision,
    until none is left that could change the choice.
    """
    ask.settles = True
    found = yield ask
    while True:
        total = sign * found.total
        best = int(total.argmax())
        if found.exact is None:
            return best, found
        unsure = np.flatnonzero((total >= total[best] - found.margin) & ~found.exact)
        if len(unsure) == 0:
            return best, found
        found = yield ask.again(unsure)


def lowest_of(ask: Ask, found: Evaluation, instead: Evaluation, count: int) -> Generator[Ask, Evaluation, list[int]]:
    """The `count` lowest of an ask with some terms taken from elsewhere, ties by place; as sure as :func:`best_of`."""
    while True:
        looks = found.sum(instead)
        lowest: list[int] = np.argsort(looks, kind="stable")[:count].tolist()
        if found.exact is None:
            return lowest
        unsure = np.flatnonzero((np.abs(looks - looks[lowest[-1]]) <= found.margin) & ~found.exact)
        if len(unsure) == 0:
            return lowest
        found = yield ask.again(unsure)


def _by_score(left: Sequence[int], total: Floats, but: int) -> list[int]:
    """The regions by descending score, without the one just chosen: the best guess for what is not settled."""
    return [left[i] for i in np.argsort(-total, kind="stable").tolist() if i != but]


def exact() -> Search:
    """Exact greedy: n(n + 1) evaluations with both views for a full order. The published search of SMDL, VPS, EAGLE."""
    return Search(
        "exact", lambda task: exact_rounds(task.n, task.k), lambda n, k: k * (2 * n - k + 1) // 2, rechecks=True
    )


def backward() -> Search:
    """Greedy elimination from the full input, n(n + 1) evaluations with both views. Runs in full, then cut to k."""
    return Search(
        "backward", lambda task: backward_rounds(task.n, task.k), lambda n, k: n * (n + 1) // 2, rechecks=True
    )


def bidirectional(pending: int = 8) -> Search:
    """LiMA's search: a third fewer evaluations than exact greedy for a full order of 49 regions.

    Args:
        pending: How many candidates are priced for the back; at least 2.
    """
    pending = whole("pending", pending, 2)

    def asks(n: int, k: int) -> int:
        both = min(max(0, (n - pending + 1) // 2), k - 1)  # rounds that fill both ends
        left = n - 2 * both
        alone = min(left - 1, k - both)  # rounds that fill the front
        return both * (n - both + 1 + pending) + alone * left - alone * (alone - 1) // 2

    return Search(
        "bidirectional",
        lambda task: bidirectional_rounds(task.n, task.k, pending),
        asks,
        {"pending": pending},
        rechecks=True,
    )


def forward_backward() -> Search:
    """VPS's search for grounding: exact greedy, then from the end, to the last region, once nothing matches."""
    return Search(
        "forward_backward",
        lambda task: forward_backward_rounds(task.n, task.k),
        lambda n, k: n * (n + 1) // 2 + n,  # one scan may be made in both directions
        rechecks=True,
    )


def scoped(scope: int = 10, update_step: int = 5, pending: int = 8) -> Search:
    """EAGLE's efficient search: about 2.5 times fewer evaluations than exact greedy for a full order of 49 regions.

    Args:
        scope: Candidates scored in a round that does not score all.
        update_step: Every so many rounds all are scored and sorted.
        pending: Candidates priced for the back.
    """
    scope = whole("scope", scope, 1)
    update_step = whole("update_step", update_step, 1)
    pending = whole("pending", pending, 1)

    def asks(n: int, k: int) -> int:
        total, front, listed = 0, 0, n
        while listed > 1 and front < k:
            total += listed if front % update_step == 0 else min(scope, listed)
            front, listed = front + 1, listed - 1
            if front == 1:
                listed -= bool(listed)
            elif listed > pending and front < k:
                total, listed = total + pending, listed - 1
        return total

    return Search(
        "scoped",
        lambda task: scoped_rounds(task.n, task.k, scope, update_step, pending),
        asks,
        {"scope": scope, "update_step": update_step, "pending": pending},
        rechecks=True,
    )


def stochastic(epsilon: float = 0.1, seed: int | None = None) -> Search:
    """Stochastic greedy: a random sample of candidates a step. The same seed gives the same order.

    Args:
        epsilon: The share of the guarantee given up; smaller samples more. Between 0 and 1.
        seed: None for the seed of explain().
    """
    if not 0 < epsilon < 1:
        raise ValueError(f"epsilon must be between 0 and 1; got {epsilon}")
    seed = None if seed is None else whole("seed", seed, 0)

    def asks(n: int, k: int) -> int:
        size = max(1, math.ceil(n / k * math.log(1 / epsilon)))
        return sum(min(size, n - step) for step in range(k))

    return Search(
        "stochastic",
        lambda task: stochastic_rounds(task.n, task.k, epsilon, task.seed if seed is None else seed),
        asks,
        {"epsilon": epsilon, "seed": seed},
        rechecks=True,
    )


def lazy(width: int = 8) -> Search:
    """Lazy greedy in batches, with bounds widened by the growth of gains that it sees.

    Args:
        width: Candidates refreshed at a time.
    """
    width = whole("width", width, 1)
    return Search(
        "lazy",
        lambda task: lazy_rounds(task.n, task.k, width),
        lambda n, k: k * (2 * n - k + 1) // 2 + 1,
        {"width": width},
    )


def guided(evaluations: int | None = None, pairs: int | None = None, seed: int | None = None) -> Search:
    """pysmdl's own: a surrogate fitted on everything measured says what to measure next (:mod:`pysmdl.guided`).

    Better orders than exact greedy's at a fraction of its evaluations: see docs/searches.md. Every row counts, its
    random pairs and the curves too. The same seed gives the same order.

    Args:
        evaluations: Rows to take in all; None for explain's budget, else 10 n + 140.
        pairs: Random halves to begin with, with their complements; None for 40 + n / 2.
        seed: None for the seed of explain().
    """
    evaluations = None if evaluations is None else whole("evaluations", evaluations, 1)
    pairs = None if pairs is None else whole("pairs", pairs, 1)
    seed = None if seed is None else whole("seed", seed, 0)

    def budget(n: int) -> int:
        return 10 * n + 140 if evaluations is None else evaluations

    def start(task: Task) -> Rounds:
        rows = budget(task.n) if task.evaluations is None else task.evaluations
        halves = 40 + task.n // 2 if pairs is None else pairs
        return guided_rounds(task.n, task.k, rows, halves, task.seed if seed is None else seed)

    parameters = {"evaluations": evaluations, "pairs": pairs, "seed": seed}
    return Search("guided", start, lambda n, k: budget(n), parameters, budget=budget)


def fixed(order: Sequence[int]) -> Search:
    """An order of your own, to have its curves measured: 2n evaluations.

    Args:
        order: Distinct regions, most important first; those left out follow in ascending order.
    """
    given = [int(region) for region in order]
    if len(set(given)) < len(given) or min(given, default=0) < 0:
        raise ValueError(f"order must hold distinct regions from 0; got {given}")

    def start(task: Task) -> Rounds:
        if max(given, default=0) >= task.n:
            raise ValueError(f"order must hold regions below {task.n}; got {max(given)}")
        return fixed_rounds([*given, *(region for region in range(task.n) if region not in given)], task.k)

    return Search("fixed", start, lambda n, k: 0, {"order": given})


SEARCHES: dict[str, Callable[[], Search]] = {
    "exact": exact,
    "backward": backward,
    "bidirectional": bidirectional,
    "forward_backward": forward_backward,
    "scoped": scoped,
    "lazy": lazy,
    "stochastic": stochastic,
    "guided": guided,
}
