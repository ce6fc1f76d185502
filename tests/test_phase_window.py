"""PhaseWin's search: the traced orders of its published selector, and its words by a plain loop."""

from __future__ import annotations

import json
from functools import cache
from random import Random
from typing import Any

import numpy as np
import pytest

import pysmdl
from pysmdl import search
from pysmdl.testing import drive, interacting

from golden_models import HOME, Remembering, detect, detector, encode, encoder, inputs, speak, speaker
from oracle import TIE, Oracle

SCORERS = {
    "classifier": encoder(Remembering(encode)),
    "detector": detector(Remembering(detect)),
    "twotoken": speaker(Remembering(speak)),
}
AS_PUBLISHED = {
    "frac": "window_share", "beta_del": "delete", "alpha_sel": "select", "beta_win": "batch", "anneal": "anneal",
    "delta": "jump", "phi": "protect", "greedy": "greedy",
}  # fmt: skip
SHORT = {"BA": "batch", "LG": "largest"}


@cache
def traced() -> dict[str, Any]:
    return json.loads((HOME / "phasewin.json").read_text())


def parameters(case: dict) -> dict[str, Any]:
    given = traced()["settings"][case["settings"]]
    return {"policy": SHORT[given["policy"]]} | {AS_PUBLISHED[name]: given[name] for name in given.keys() - {"policy"}}


def target_of(case: dict):
    if case["model"] == "detector":
        return pysmdl.Box(case["target_box"], case["target_labels"])
    return case["target"] if case["model"] == "classifier" else pysmdl.Tokens(case["tokens"], case["token_ids"])


def order_of(case: dict) -> list[int]:
    image, labels = (inputs()[f"{case['data']}_{kind}"] for kind in ("image", "labels"))
    baseline = "zero" if case["model"] == "detector" else "black"
    found = pysmdl.explain(
        image, SCORERS[case["model"]], target_of(case), regions=labels, objective=pysmdl.pair(),
        search=search.phase_window(**parameters(case)), baseline=baseline, progress=False,
        config=pysmdl.EngineConfig(deterministic=True),  # else which ties part depends on the clock
    )  # fmt: skip
    return found.order.tolist()


def tied(case: dict, order: list[int]) -> bool:
    """Whether the first two that differ had the same F when they were queued or chosen."""
    assert case["model"] == "classifier"
    image, labels = (inputs()[f"{case['data']}_{kind}"] for kind in ("image", "labels"))
    oracle = Oracle(image, labels.astype(np.int64), case["target"], (0, 0, 1, 1))
    at = next(i for i, pair in enumerate(zip(order, case["order"], strict=True)) if pair[0] != pair[1])
    return any(
        abs(oracle.f({*order[:j], order[at]}) - oracle.f({*order[:j], case["order"][at]})) <= TIE
        for j in range(1, at + 1)
    )


def test_there_are_76_traced_orders_in_four_settings():
    assert len(traced()["cases"]) == 76
    assert {case["settings"] for case in traced()["cases"]} == {"released", "strict", "largest", "warm"}


@pytest.mark.parametrize("place", range(0, 76, 19))
def test_a_traced_order(place):
    case = traced()["cases"][place]
    assert order_of(case) == case["order"]


@pytest.mark.slow
def test_all_traced_orders_but_for_ties():
    orders = [(case, order_of(case)) for case in traced()["cases"]]
    others = [(case, order) for case, order in orders if order != case["order"]]
    assert len(others) <= 3
    assert all(tied(case, order) for case, order in others)


def by_hand(f, n, share, delete, select, policy, batch, anneal, seed, jump, protect, greedy):
    """The paper's selector one candidate at a time, all state in one dict."""
    draws, placed, low, old = Random(seed), [], [], list(range(n))

    def gain(a):
        member = np.zeros((1, n), bool)
        member[0, [*placed, a]] = True
        return np.float32(f(member)[0])

    def sorted_by_gain(regions):
        scores = {a: gain(a) for a in regions}
        return sorted(regions, key=lambda a: -scores[a]), scores

    for _ in range(min(greedy, n)):
        first = sorted_by_gain(old)[0][0]
        placed.append(first)
        old.remove(first)
    width = max(1, int(share * len(old)))
    while old:
        ranked, scores = sorted_by_gain(old)
        if scores[ranked[0]] <= 0:
            break
        placed.append(ranked[0])
        old.remove(ranked[0])
        taken = [scores[ranked[0]]]
        if not old:
            break
        ranked, scores = sorted_by_gain(old)
        most = scores[ranked[0]]
        if most <= 0:
            continue
        low += [a for a in old if scores[a] < delete * most]
        middle = [a for a in old if delete * most <= scores[a] < select * most]
        queue = [a for a in ranked if scores[a] >= select * most]
        window, tail, returned, over = queue[:width], queue[width:], [], False
        while not over and (window or tail):
            while tail and len(window) < width:
                a = tail.pop(0)
                if anneal and draws.random() < 0.5 and a not in returned:
                    returned.append(a)
                    tail.append(a)
                else:
                    window.append(a)
            ranked, scores = sorted_by_gain(window)
            best = scores[ranked[0]]
            good = [a for a in window if scores[a] >= select * most]
            if policy == "batch":
                good = [a for a in good if scores[a] >= batch * best]
            elif policy == "largest":
                good = [a for a in good if a == ranked[0]]
            else:
                good = [a for a in good if a == ranked[0] or (a == ranked[1] and scores[a] >= 0.95 * best)]
            over = not good
            for a in good:
                g = scores[a]
                over = len(taken) > 1 and taken[-1] / g - taken[-2] / taken[-1] > jump
                if over and g < protect * taken[-1]:
                    break
                taken.append(g)
                placed.append(a)
                window.remove(a)
                if over:
                    break
        old = [*window, *tail, *middle]
    last = sorted_by_gain(old)[0]
    placed += last
    return placed + sorted_by_gain(low)[0]


@pytest.mark.parametrize("policy", ["batch", "largest", "top2"])
@pytest.mark.parametrize("anneal", [True, False])
def test_it_is_the_papers_words(policy, anneal):
    rng, phases = np.random.default_rng(0), 0
    for seed in range(12):
        n, shift = int(rng.integers(1, 24)), float(rng.choice([0.0, 0.5, 2.0]))
        smooth = interacting(n, seed)
        share, delete, select = rng.uniform(0.1, 0.6), rng.uniform(0, 0.5), rng.uniform(0.3, 0.95)
        rest = (policy, 0.95, anneal, seed, rng.uniform(0, 0.05), rng.uniform(0.9, 1.05), int(rng.integers(0, 4)))

        def f(member, smooth=smooth, shift=shift):
            return np.float32(smooth(member) + shift)

        found = drive(search.phase_window(share, delete, select, *rest), f, n)[0].order
        assert found == by_hand(f, n, share, delete, select, *rest)
        phases += found != drive(search.exact(), f, n)[0].order
    assert phases >= 3  # it is not exact greedy


def test_it_is_seeded_and_stops_at_k():
    f = interacting(30)
    raised = lambda member: f(member) + 2  # noqa: E731
    made = search.phase_window(seed=None, jump=1.0)
    orders = {tuple(drive(made, raised, 30, seed=seed)[0].order) for seed in range(6)}
    assert len(orders) > 1
    assert drive(search.phase_window(jump=1.0), raised, 30, seed=5) == drive(search.phase_window(jump=1.0), raised, 30)
    for k in (1, 5, 29):
        cut, asked = drive(made, raised, 30, k)
        assert cut.order == drive(made, raised, 30)[0].order[:k]
        assert asked <= made.asks(30, k)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("policy", ["batch", "largest", "top2"])
def test_a_fall_to_nothing_ends_a_phase(policy):
    """Where select is 0 a window's F may be 0 too, and the ratio from one region taken to the next has no bound."""
    made = search.phase_window(select=0, delete=0, batch=0, anneal=False, policy=policy)
    few = lambda member: np.float32(member.sum(1) <= 3)  # noqa: E731
    assert drive(made, few, 12)[0].order == list(range(12))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"policy": "best"}, "policy must be one of 'batch', 'largest', 'top2'; got 'best'"),
        ({"window_share": 1.5}, "window_share must be a share from 0 to 1; got 1.5"),
        ({"select": -0.1}, "select must be a finite number of at least 0; got -0.1"),
        ({"anneal": "no"}, "anneal must be True or False; got 'no'"),
        ({"delete": 0.7}, "delete must be at most select, 0.6; got 0.7"),
        ({"greedy": 1.5}, "greedy must be a whole number of at least 0; got 1.5"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        search.phase_window(**settings)
