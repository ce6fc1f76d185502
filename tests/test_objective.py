"""Each term against its equation, by hand."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl.objective import Objective, Term
from pysmdl.objective.effectiveness import Effectiveness, pairwise_distances
from pysmdl.scorers.classes import evidential_confidence
from pysmdl.search.vocabulary import Ask
from pysmdl.types import Reading

FEATURES = np.array([[1, 0], [0, 2], [-3, 0], [1, 1]], np.float32)  # angles 0, 90, 180, 45 degrees
D = np.array([[0, 0.5, 1, 0.25], [0.5, 0, 0.5, 0.25], [1, 0.5, 0, 0.75], [0.25, 0.25, 0.75, 0]], np.float32)


def test_distances_are_angles():
    np.testing.assert_allclose(pairwise_distances(FEATURES), D, atol=1e-7)
    parallel = pairwise_distances(np.array([[1, 2, 3], [2, 4, 6], [-3, -6, -9], [0, 0, 0], [0, 0, 0]], np.float32))
    np.testing.assert_allclose(parallel[0], [0, 0, 1, 0.5, 0.5], atol=1e-7)
    assert parallel[3, 4] == 0


@pytest.mark.slow
@pytest.mark.parametrize("apart", [1, 1e-2, 1e-4, 3e-5, 1e-6])
def test_angles_of_nearly_parallel_features_are_right(rng, apart):
    across = rng.normal(size=(2, 300))
    across[1] -= across[0] * (across[0] @ across[1]) / (across[0] @ across[0])
    first, second = across / np.linalg.norm(across, axis=1, keepdims=True)
    turned = np.linspace(0, apart, 40)[:, None]
    features = (7 * (np.cos(turned) * first + np.sin(turned) * second)).astype(np.float32)
    features[::3] *= -2
    exact = features.astype(np.longdouble)
    exact /= np.sqrt((exact**2).sum(1, keepdims=True))
    for i, u in enumerate(exact):
        lengths = (np.sqrt(((exact + sign * u) ** 2).sum(1)) for sign in (-1, 1))
        np.testing.assert_allclose(pairwise_distances(features)[i], 2 * np.arctan2(*lengths) / np.pi, rtol=0, atol=1e-7)


def test_distances_are_symmetric_to_the_bit_and_take_little_memory(rng):
    features = rng.normal(size=(300, 2000)).astype(np.float32)
    features[::2] = features[0]  # 11175 pairs that are looked at one by one
    tracemalloc.start()
    found = pairwise_distances(features)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * 8 * features.size, "all differences at once would take 1.4 GB"
    np.testing.assert_array_equal(found, found.T)
    assert not found[::2, ::2].any()


@pytest.mark.parametrize(
    ("subset", "by_hand"),
    [((), 0), ((2,), 0), ((0, 1), 0.5 + 0.5), ((0, 1, 2), 0.5 + 0.5 + 0.5), ((0, 1, 2, 3), 0.25 + 0.25 + 0.5 + 0.25)],
)
def test_effectiveness_is_equation_4(subset, by_hand):
    member = np.zeros((1, 4), bool)
    member[0, list(subset)] = True
    assert Effectiveness(FEATURES).of_subsets(member)[0] == pytest.approx(by_hand, abs=1e-6)


def test_incremental_effectiveness_is_the_whole_sum(rng):
    n = 30
    term = Effectiveness(rng.normal(size=(n, 8)).astype(np.float32))
    front, back, left = [], [], list(range(n))
    for step in range(14):
        for base in (front, back):
            ask = Ask(base, left)
            member = np.zeros((len(left), n), bool)
            member[:, base] = True
            member[np.arange(len(left)), left] = True
            np.testing.assert_array_equal(term.of(ask, n), term.of_subsets(member))
            np.testing.assert_array_equal(term.of(Ask(subsets=member), n), term.of_subsets(member))
        front.append(left.pop(step % len(left)))
        back.append(left.pop(0))


def test_effectiveness_of_everything_but():
    term = Effectiveness(FEATURES)
    found = term.of(Ask([0], [1, 2, 3], complement=True), 4)
    by_hand = [
        term.of_subsets(np.array([row]))[0]
        for row in ([0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0])
        for row in [np.array(row, bool)]
    ]
    np.testing.assert_array_equal(found, by_hand)


def test_evidential_confidence_by_hand():
    z = torch.tensor([[0.0, 1.0, 20.0], [-20.0, -20.0, -20.0]])
    first = 1 - 3 / ((1 + 1) + (math.e + 1) + (math.exp(10) + 1))
    second = 1 - 3 / (3 * (math.exp(-10) + 1))
    np.testing.assert_allclose(evidential_confidence(z), [first, second], atol=1e-6)


SCORE = Term("score", "kept", lambda kept: kept.score)


def reading(**values):
    return Reading(**{name: np.array(value, np.float32) for name, value in values.items()})


def test_smdl_is_the_weighted_sum_of_four_terms():
    objective = pysmdl.smdl(confidence=2, effectiveness=3, consistency=5, collaboration=7)
    kept = reading(score=[0.1, 0.9], confidence=[0.5, 0.25], decided=[0, 1])
    found = objective.evaluate(kept, reading(score=[0.75, 0.5]), {"effectiveness": np.array([0.5, 2.0], np.float32)})
    np.testing.assert_allclose(
        found.total, [2 * 0.5 + 3 * 0.5 + 5 * 0.1 + 7 * 0.25, 2 * 0.25 + 3 * 2 + 5 * 0.9 + 7 * 0.5], rtol=1e-6
    )
    assert list(found.terms) == ["confidence", "effectiveness", "consistency", "collaboration"]
    assert found.decided.tolist() == [False, True]


def test_weight_0_drops_a_term_and_its_view():
    objective = pysmdl.smdl(confidence=0, effectiveness=0, consistency=0, collaboration=2)
    assert [term.name for term in objective.terms] == ["collaboration"]
    assert not objective.needs("kept")
    assert not objective.needs("regions")
    found = objective.evaluate(None, reading(score=[0.25]), {})
    np.testing.assert_allclose(found.total, [1.5])
    assert found.insertion is None


MARGIN = Term("margin", "kept", lambda kept: kept["traced"][:, 0] - kept["traced"][:, 1])


def test_published_weights():
    assert pysmdl.smdl().weights == {"confidence": 1, "effectiveness": 1, "consistency": 1, "collaboration": 1}
    assert pysmdl.lima().weights == {"effectiveness": 0.05, "consistency": 20, "collaboration": 1}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pysmdl.smdl(consistency=-1), "consistency must be a finite number of at least 0; got -1"),
        (lambda: pysmdl.smdl(consistency=math.nan), "consistency must be a finite number"),
        (lambda: pysmdl.smdl(0, 0, 0, 0), "needs a term with a weight above 0"),
        (
            lambda: pysmdl.smdl(confidence_form="bayes"),
            "confidence_form must be one of 'entropy', 'evidential'; got 'bayes'",
        ),
        (lambda: pysmdl.lima(collaboration=math.inf), "collaboration must be a finite number of at least 0; got inf"),
        (lambda: pysmdl.vps(clue="1"), "clue must be a finite number of at least 0; got '1'"),
        (lambda: Objective("mine", "class", (), {"other": 1.0}), "terms must hold at least one term"),
        (lambda: Objective("mine", "class", (SCORE, SCORE), {"score": 1.0}), "terms must have names of their own"),
        (lambda: Objective("mine", "class", (SCORE,), {"other": 1.0}), "weight must be one of 'score'; got 'other'"),
        (lambda: Term("mine", "kept"), "term 'mine' reads the view 'kept', so it needs value="),
        (lambda: Term("mine", "regions"), "term 'mine' reads the view 'regions', so it needs pairwise="),
        (lambda: Term("mine", "sideways"), "view must be one of 'kept', 'regions', 'removed'; got 'sideways'"),
    ],
)
def test_bad_objectives_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_set_function_of_your_own():
    objective = Objective("margin", "class", (MARGIN,), {"margin": 1.0})
    image = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)

    def model(batch):
        return torch.stack((batch[:, 0].mean((1, 2)), batch[:, 1].mean((1, 2)), batch[:, 2].mean((1, 2))), 1) * 9

    found = pysmdl.explain(
        image, model, 0, trace=[1], regions="grid:4", objective=objective, search="exact", progress=False
    )
    np.testing.assert_allclose(found.score, found.insertion[1:] - found.traced[1][0, 1:], atol=1e-6)
