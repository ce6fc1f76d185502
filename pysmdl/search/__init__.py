"""The searches by name: ``exact()``, ``bidirectional()`` ... give a :class:`Search`, a generator with its parameters.

A search of your own is a generator function of a :class:`Task` that yields :class:`Ask`, is sent :class:`Evaluation`
and returns a :class:`Ranking`, in a :class:`Search`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace

import numpy as np

from pysmdl.errors import number, one_of, whole_number, yes_or_no
from pysmdl.search.choice import best_of, lowest_of, placing
from pysmdl.search.greedy import (
    backward_rounds,
    bidirectional_rounds,
    exact_rounds,
    fixed_rounds,
    forward_backward_rounds,
    scoped_rounds,
    stochastic_rounds,
)
from pysmdl.search.guided_search import guided_rounds, usual
from pysmdl.search.lazy_greedy import lazy_rounds
from pysmdl.search.phase_window import POLICIES, WindowRules, phase_window_rounds
from pysmdl.search.vocabulary import Ask, Claim, Evaluation, Ranking, Rounds, Search, Task
from pysmdl.session import remade

__all__ = [
    "SEARCHES",
    "Ask",
    "Claim",
    "Evaluation",
    "Ranking",
    "Rounds",
    "Search",
    "Task",
    "backward",
    "best_of",
    "bidirectional",
    "exact",
    "fixed",
    "forward_backward",
    "guided",
    "lazy",
    "lowest_of",
    "phase_window",
    "placing",
    "scoped",
    "stochastic",
]


@remade
def exact() -> Search:
    """Exact greedy: n(n + 1) evaluations with both views for a full order. The published search of SMDL, VPS, EAGLE."""
    return Search(
        "exact", lambda task: exact_rounds(task.n, task.k), lambda n, k: k * (2 * n - k + 1) // 2, rechecks=True
    )


@remade
def backward() -> Search:
    """Greedy elimination from the full input, n(n + 1) evaluations with both views. Runs in full, then cut to k."""
    return Search(
        "backward", lambda task: backward_rounds(task.n, task.k), lambda n, k: n * (n + 1) // 2, rechecks=True
    )


@remade
def bidirectional(pending: int | float = 8) -> Search:
    """LiMA's search: a third fewer evaluations than exact greedy for a full order of 49 regions.

    Args:
        pending: How many candidates are priced for the back: a number of at least 2; or a share of the n regions
            between 0 and 1, for ceil(pending * n) of them, 2 at least, as LiMA's code has it since July 2026.
    """
    share = isinstance(pending, (float, np.floating))
    if share and not 0 < pending < 1:
        raise ValueError(f"pending must be a whole number of at least 2, or a share between 0 and 1; got {pending}")
    pending = float(pending) if share else whole_number("pending", pending, 2)

    def priced(n: int) -> int:
        return max(2, math.ceil(pending * n)) if share else int(pending)

    def asks(n: int, k: int) -> int:
        pending = priced(n)
        both = min(max(0, (n - pending + 1) // 2), k - 1)  # rounds that fill both ends
        left = n - 2 * both
        alone = min(left - 1, k - both)  # rounds that fill the front
        return both * (n - both + 1 + pending) + alone * left - alone * (alone - 1) // 2

    return Search(
        "bidirectional",
        lambda task: bidirectional_rounds(task.n, task.k, priced(task.n)),
        asks,
        {"pending": pending},
        rechecks=True,
    )


@remade
def forward_backward() -> Search:
    """VPS's search for grounding: exact greedy, then from the end, to the last region, once nothing matches."""
    return Search(
        "forward_backward",
        lambda task: forward_backward_rounds(task.n, task.k),
        lambda n, k: n * (n + 1) // 2 + n,  # one scan may be made in both directions
        rechecks=True,
    )


@remade
def scoped(scope: int = 10, update_step: int = 5, pending: int = 8) -> Search:
    """EAGLE's efficient search: about 2.5 times fewer evaluations than exact greedy for a full order of 49 regions.

    Args:
        scope: Candidates scored in a round that does not score all.
        update_step: Every so many rounds all are scored and sorted.
        pending: Candidates priced for the back.
    """
    scope = whole_number("scope", scope, 1)
    update_step = whole_number("update_step", update_step, 1)
    pending = whole_number("pending", pending, 1)

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


@remade
def stochastic(epsilon: float = 0.1, seed: int | None = None) -> Search:
    """Stochastic greedy: a random sample of candidates a step. The same seed gives the same order.

    Args:
        epsilon: The share of the guarantee given up; smaller samples more. Between 0 and 1.
        seed: None for the seed of explain().
    """
    epsilon = number("epsilon", epsilon, above=0, below=1)
    seed = None if seed is None else whole_number("seed", seed, 0)

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


@remade
def lazy(width: int = 8) -> Search:
    """Lazy greedy in batches, with bounds widened by the growth of gains that it sees.

    Args:
        width: Candidates refreshed at a time.
    """
    width = whole_number("width", width, 1)
    return Search(
        "lazy",
        lambda task: lazy_rounds(task.n, task.k, width),
        lambda n, k: k * (2 * n - k + 1) // 2 + 1,
        {"width": width},
    )


@remade
def phase_window(
    window_share: float = 0.3,
    delete: float = 0.05,
    select: float = 0.6,
    policy: str = "batch",
    batch: float = 0.99,
    anneal: bool = True,
    seed: int | None = 0,
    jump: float = 0.02,
    protect: float = 0.98,
    greedy: int = 0,
) -> Search:
    """PhaseWin's search (CVPR 2026, arXiv 2511.10914): greedy choices from a window of what last looked best.

    A seventh of exact greedy's evaluations at 116 regions, a third at 36, two thirds at 25: how many depends on the
    scores. See :mod:`its module <pysmdl.search.phase_window>` for what a phase is; G is the best F of a phase's second
    scoring.

    Args:
        window_share: The window's width, as a share of the regions left after the greedy rounds.
        delete: Candidates below this share of G are set aside for the end. At most `select`.
        select: Candidates at or above this share of G may enter the window, and be taken from it.
        policy: What is taken of a window: "batch", all within `batch` of its best; "largest", the best alone; "top2",
            the second too where it is within 5 % of the best.
        batch: Share of the window's best from which on "batch" takes a candidate.
        anneal: Whether a candidate may be put back once, by even odds, when the window is filled.
        seed: Of those odds; None for the seed of explain().
        jump: A phase ends where the ratio of F between one region taken and the next rises by more than this.
        protect: Share of the last F from which on the region that ended a phase so is taken all the same.
        greedy: Rounds of exact greedy to begin with.
    """
    if policy not in POLICIES:
        raise one_of("policy", policy, POLICIES)
    rules = WindowRules(
        _share("window_share", window_share),
        _share("delete", delete),
        _share("select", select),
        policy,
        _share("batch", batch),
        yes_or_no("anneal", anneal),
        0 if seed is None else whole_number("seed", seed, 0),
        number("jump", jump, least=0),
        number("protect", protect, least=0),
        whole_number("greedy", greedy, 0),
    )

    if rules.delete > rules.select:
        raise ValueError(f"delete must be at most select, {rules.select:g}; got {rules.delete:g}")

    def start(task: Task) -> Rounds:
        return phase_window_rounds(task.n, task.k, replace(rules, seed=task.seed) if seed is None else rules)

    def asks(n: int, k: int) -> int:
        first = min(rules.greedy, k)
        total, left = first * (2 * n - first + 1) // 2, n - first
        width = max(1, int(rules.window_share * left))
        total += left  # one scoring of what the phases leave
        while left > 0:  # a phase of one choice after its first is the dearest a region
            total, left = total + 2 * left - 1 + 2 * min(width, left), left - 2
        return total

    return Search("phase_window", start, asks, {**asdict(rules), "seed": seed})


def _share(name: str, value: float) -> float:
    found = number(name, value, least=0)
    if found > 1:
        raise ValueError(f"{name} must be a share from 0 to 1; got {found:g}")
    return found


@remade
def guided(
    evaluations: int | None = None, pairs: int | None = None, seed: int | None = None, batch: int | None = None
) -> Search:
    """pysmdl's own: a surrogate fitted on everything measured says what to measure next (see its module).

    Better orders than exact greedy's at a fraction of its evaluations, and the better the more it may take, from
    2 n + 40 on: see docs/searches.md. Every row counts, its blobs and the curves too. The same seed, the same order. Of
    up to 10 regions with a row for each of the 2^n subsets, the best order there is.

    Args:
        evaluations: Rows to take in all; None for explain's budget, else 10 n + 140.
        pairs: Subsets to begin with, each with its complement; None for a tenth of the rows, 20 to 100.
        seed: None for the seed of explain().
        batch: Subsets to measure at a time, or more; None for a twentieth of n, or a hundredth of those known, and less
            where fewer than 10 n + 140 rows are granted. A larger one keeps a server's places or a large device busy,
            and finds somewhat worse orders.
    """
    evaluations = None if evaluations is None else whole_number("evaluations", evaluations, 1)
    batch = None if batch is None else whole_number("batch", batch, 1)
    pairs = None if pairs is None else whole_number("pairs", pairs, 1)
    seed = None if seed is None else whole_number("seed", seed, 0)

    def budget(n: int, granted: int | None = None) -> int:
        wanted = granted if evaluations is None else evaluations
        return usual(n) if wanted is None else wanted if granted is None else min(wanted, granted)

    def start(task: Task) -> Rounds:
        rows = budget(task.n, task.evaluations)
        first = min(100, max(20, rows // 10)) if pairs is None else pairs
        return guided_rounds(task if seed is None else replace(task, seed=seed), rows, first, batch or 1)

    parameters = {"evaluations": evaluations, "pairs": pairs, "seed": seed, "batch": batch}
    return Search("guided", start, lambda n, k: budget(n), parameters, budget=budget)


def fixed(order: Sequence[int]) -> Search:
    """An order of your own, to have its curves measured: 2n evaluations.

    Args:
        order: Distinct regions, most important first; those left out follow in ascending order.
    """
    if not isinstance(order, Iterable) or isinstance(order, (str, bytes)):
        raise ValueError(f"order must be regions by their numbers, most important first; got {order!r}")
    return _fixed(tuple(whole_number("order's regions", region, 0) for region in order))


@remade
def _fixed(given: tuple[int, ...]) -> Search:
    if len(set(given)) < len(given):
        raise ValueError(f"order must hold distinct regions from 0; got {list(given)}")

    def start(task: Task) -> Rounds:
        if max(given, default=0) >= task.n:
            raise ValueError(f"order must hold regions below {task.n}; got {max(given)}")
        return fixed_rounds([*given, *(region for region in range(task.n) if region not in given)], task.k)

    return Search("fixed", start, lambda n, k: 0, {"order": list(given)})


SEARCHES: dict[str, Callable[[], Search]] = {
    "exact": exact,
    "backward": backward,
    "bidirectional": bidirectional,
    "forward_backward": forward_backward,
    "scoped": scoped,
    "lazy": lazy,
    "stochastic": stochastic,
    "phase_window": phase_window,
    "guided": guided,
}
