"""The greedy searches: generators that ask for F of subsets, are told, and decide. They see no model, tensor or device.

Candidates are asked for in ascending region index and the choice is the strict float32 maximum, the first of equals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pysmdl.search.choice import best_of, by_score, lowest_of, placing
from pysmdl.search.vocabulary import Ask, Ranking, Rounds


def exact_rounds(n: int, k: int) -> Rounds:
    """Greedy selection: each round scores every region left and keeps the best (SMDL, algorithm 1).

    Asks for k(2n - k + 1) / 2 subsets. (1 - 1/e)-optimal when F is monotone submodular (Nemhauser, Wolsey and Fisher
    1978); F made from a network is neither by proof.
    """
    chosen: list[int] = []
    left = list(range(n))
    rest = left
    while left and len(chosen) < k:
        ask = Ask(chosen, left, claim=placing(chosen, rest), likely=rest if chosen else ())
        best, found = yield from best_of(ask)  # F(S + a) for each a left
        rest = by_score(left, found.total, but=best)
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
        ask = Ask(front, left, claim=placing(front, left, back))
        best, found = yield from best_of(ask)
        rest = by_score(left, found.total, but=best)
        if len(left) > pending and len(front) + 1 < k:
            with_back = yield Ask(back, left, free=True)  # only what needs no forward pass
            worst = yield from lowest_of(ask, found, with_back, pending)
            listed = sorted(left[i] for i in worst if i != best)
            front.append(left.pop(best))
            ask = Ask(back, listed, claim=placing(front, rest, back), ahead=Ask(front, left))
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
        likely = rest[::-1] if back else ()
        ask = Ask(back, left, claim=placing((), rest, back), complement=True, likely=likely)
        best, found = yield from best_of(ask)  # F(V - (back + a)) for each a left
        rest = by_score(left, -found.total, but=best)  # what hurts most to lose comes first
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
        best, found = yield from best_of(Ask(chosen, left, claim=placing(chosen, rest)))
        if all(view is None or view[best] == 0 for view in (found.insertion, found.deletion)):
            break
        rest = by_score(left, found.total, but=best)
        chosen.append(left.pop(best))
    while left and len(chosen) < k:
        best, _ = yield from best_of(Ask(back, left, claim=placing(chosen, left, back), complement=True))
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
        ask = Ask(front, listed if in_full else listed[:scope], claim=placing(front, listed, back))
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
            ask = Ask(back, tail, claim=placing(front, listed, back), complement=True, ahead=ahead)
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
        best, _ = yield from best_of(Ask(chosen, sample, claim=placing(chosen, left)))
        chosen.append(sample[best])
        left.remove(chosen[-1])
    return Ranking(chosen)


def fixed_rounds(order: Sequence[int], k: int) -> Rounds:
    """Asks nothing: the order is given, and only its curves are measured."""
    yield from ()
    return Ranking(list(order)[:k])
