"""The guided search and its surrogate: compiled against plain, what it promises, what it spends."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import pysmdl
from pysmdl import search
from pysmdl.search import guided_search
from pysmdl.search.surrogate import Plain, Surrogate, logistic
from pysmdl.testing import drive, interacting

from golden_models import encode, encoder, inputs
from toys import Recorder, explain, linear_model, same

CLASS = pysmdl.smdl(effectiveness=0, confidence=0)


def fitted(n: int, count: int = 60, seed: int = 0, native=None) -> tuple[Surrogate, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    member = np.unique(rng.random((count, n)) < rng.random((count, 1)), axis=0)
    weights, pairs = rng.normal(size=n), rng.normal(size=(n, n)) / n
    score = logistic(member @ weights / 2 + ((member @ pairs) * member).sum(1)).astype(np.float32)
    found = Surrogate(n, native)
    for part in np.array_split(np.arange(len(member)), 3):  # in parts, as a search gives them
        found.add(member[part], score[part])
        found.fit()
    return found, member, score


# The surrogate


def test_it_knows_what_it_was_told_and_is_sure_of_it():
    surrogate, member, score = fitted(9)
    surrogate.kept, surrogate.removed = 1.0, 0.0
    value, unsure = surrogate.predict(member)
    np.testing.assert_allclose(value, score.clip(0.02, 0.98), atol=0.03)
    assert unsure.max() == 0
    assert surrogate.predict(~member)[1].max() > 0


def test_it_is_the_textbooks_gaussian_process():
    """Mean by solving with the kernel written out: grown part by part, the factor must be the same."""
    surrogate, member, score = fitted(7)
    weight = surrogate._weight
    apart = ((member[:, None] != member) * weight).sum(2) / weight.sum()
    kernel = 4 * (1 - 2 * apart) + 4 * np.exp(-apart / 0.3)
    odds = np.rint(16 * np.log(score.clip(0.02, 0.98) / (1 - score.clip(0.02, 0.98)))) / 16
    alpha = np.linalg.solve(kernel + 0.1 * np.eye(len(member)), odds - odds.mean())
    surrogate.removed = 0.0
    np.testing.assert_allclose(surrogate.predict(member)[0], logistic(odds.mean() + kernel @ alpha), atol=1e-6)


def test_regions_weigh_by_their_effect():
    rng = np.random.default_rng(0)
    member = np.unique(rng.random((80, 12)) < 0.5, axis=0)
    surrogate = Surrogate(12)
    surrogate.add(member, logistic(4.0 * member[:, 3] - 2 + 0.5 * member[:, 7]).astype(np.float32))
    surrogate.fit()
    weight = surrogate._weight
    assert weight.argmax() == 3
    assert weight[3] > 4 * np.delete(weight, 3).mean()
    assert weight.min() >= 1


@pytest.mark.parametrize("n", [1, 2, 7, 31, 33])
@pytest.mark.parametrize("weights", [(1.0, 1.0), (20.0, 1.0), (1.0, 0.0)])
def test_compiled_chains_are_the_plain_ones(n, weights):
    pytest.importorskip("pysmdl._C")
    found = []
    for native in (None, Plain):
        surrogate, member, _ = fitted(n, native=native)
        np.testing.assert_array_equal(
            surrogate._native.differences(surrogate._flip, ~member[::2]),
            ((~member[::2, None] != member) * surrogate._weight.astype(int)).sum(2),
        )
        surrogate.kept, surrogate.removed = weights
        start = surrogate.greedy()
        moved = [surrogate.improved(start, k, 3, reach) for k, reach in ((n, 20), (max(1, n // 2), 2))]
        found.append((start, *moved))
    (start, *moved), (other_start, *others) = found
    assert start.tolist() == other_start.tolist()
    for (order, worth), (other, other_worth) in zip(moved, others, strict=True):
        assert sorted(order) == list(range(n))
        assert order.tolist() == other.tolist()
        assert worth == pytest.approx(other_worth, abs=1e-9)


def test_moves_find_the_best_chain_of_a_small_surrogate():
    surrogate = fitted(5, seed=3)[0]

    def worth(order):
        return surrogate.predict(guided_search._prefixes(np.array(order), 5)[1:])[0].sum()

    best = max(itertools.permutations(range(5)), key=worth)
    starts = [np.array(start, np.int32) for start in itertools.islice(itertools.permutations(range(5)), 0, 120, 7)]
    found = [surrogate.improved(start, 5, 10, 5) for start in starts]
    assert max(value for _, value in found) == pytest.approx(worth(best), abs=1e-9)
    for order, value in found:
        assert value == pytest.approx(worth(order), abs=1e-9)


# The search


def worth(f, order) -> float:
    return float(f(guided_search._prefixes(np.array(order), len(order))[1:]).sum())


def rough(n: int, seed: int):
    """A set function with a jump of its own at every subset."""
    smooth, jumps = interacting(n, seed), np.random.default_rng(seed).normal(size=2**n)
    return lambda member: smooth(member) + 0.3 * jumps[member @ (1 << np.arange(n))]


@pytest.mark.parametrize("objective", [CLASS, pysmdl.lima(), pysmdl.smdl(0, 0, 1, 0), pysmdl.smdl(0, 0, 0, 1)])
@pytest.mark.parametrize("regions", [1, 4, 9, 25])
def test_every_row_counts_and_the_budget_holds(objective, regions):
    model = Recorder(linear_model())
    scorer = pysmdl.scorers.classifier(model, features=lambda batch: batch.flatten(1)[:, ::7])
    found = explain(scorer, regions=f"grid:{regions}", objective=objective, search="guided")
    assert len(model.rows) == len(set(model.rows)) == found.evaluations <= 10 * regions + 140
    assert sorted(found.order) == list(range(regions))
    assert np.isfinite(found.insertion).all()
    assert np.isfinite(found.deletion).all()
    assert "stopped" not in found.notes


@pytest.mark.parametrize("evaluations", [50, 73, 120, 300])
def test_it_takes_what_it_is_given_from_either_side(evaluations):
    inside = explain(linear_model(), regions="grid:25", search=search.guided(evaluations=evaluations))
    outside = explain(linear_model(), regions="grid:25", search="guided", evaluations=evaluations)
    assert same(inside, outside)
    assert inside.evaluations <= evaluations
    assert inside.evaluations > 0.7 * evaluations  # it stops where it has nothing left to try
    tighter = explain(linear_model(), regions="grid:25", search=search.guided(evaluations=300), evaluations=60)
    assert tighter.evaluations <= 60


def test_a_budget_below_the_curves_is_refused():
    with pytest.raises(
        ValueError, match="evaluations must be at least 50 to measure the curves of 25 of 25 regions; got 49"
    ):
        explain(linear_model(), regions="grid:25", search=search.guided(evaluations=49))
    with pytest.raises(ValueError, match="pairs must be a whole number of at least 1; got 0"):
        search.guided(pairs=0)


def test_more_evaluations_find_better_orders_and_beat_random_ones():
    f, n = interacting(24, 1), 24
    few, some, many = (worth(f, drive(search.guided(rows), f, n)[0].order) for rows in (60, 150, 400))
    rng = np.random.default_rng(0)
    assert max(worth(f, rng.permutation(n)) for _ in range(200)) < min(some, many)
    assert few < min(some, many)
    exact, asked = drive(search.exact(), f, n)
    assert asked == 300  # subsets; 600 rows of two views
    assert many >= some - 0.1
    assert many >= worth(f, exact.order) - 0.1


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_no_swap_of_neighbours_is_better_where_every_subset_can_be_measured(n):
    for seed in range(25):
        f = rough(n, seed)
        order = drive(search.guided(), f, n)[0].order
        swapped = [[*order[:i], order[i + 1], order[i], *order[i + 2 :]] for i in range(n - 1)]
        assert all(worth(f, other) <= worth(f, order) + 1e-6 for other in swapped), (seed, order)


@pytest.mark.parametrize(("n", "seed"), [(6, 1), (8, 8), (10, 7), (12, 10)])
def test_an_order_that_is_known_when_it_becomes_the_favourite_is_not_ignored(n, seed, monkeypatch):
    f, favourite = rough(n, seed), guided_search._favourite
    measured: set[bytes] = set()
    known: list[float] = []

    def recorded(member):
        measured.update(map(bytes, np.packbits(member, axis=1)))
        return f(member)

    def noted(*arguments, **settings):
        order = favourite(*arguments, **settings)
        if measured.issuperset(map(bytes, np.packbits(guided_search._prefixes(order, n), axis=1))):
            known.append(worth(f, order))
        return order

    monkeypatch.setattr(guided_search, "_favourite", noted)
    order = drive(search.guided(), recorded, n)[0].order
    assert worth(f, order) >= max(known) - 1e-6


def test_k_regions_are_the_best_found_for_k():
    found = explain(linear_model(), regions="grid:36", search="guided", k=6, objective=CLASS)
    whole = explain(linear_model(), regions="grid:36", search="guided", objective=CLASS)
    assert len(found.order) == 6
    assert found.score.sum() >= whole.score[:6].sum() - 1e-3


@pytest.mark.slow
def test_the_same_seed_gives_the_same_order_whatever_the_batches_and_backend():
    items = [
        {"image": inputs()[f"one{i}_r10_image"], "target": i, "regions": inputs()[f"one{i}_r10_labels"]}
        for i in range(3)
    ]
    settings = {"search": search.guided(250), "objective": CLASS, "progress": False}
    alone = [pysmdl.explain(i["image"], encoder(encode), i["target"], regions=i["regions"], **settings) for i in items]
    for other in (
        {"batch_size": 7},
        {"batch_size": 64},
        {"config": pysmdl.EngineConfig(backend="reference", max_searches=2)},
    ):
        crowd = list(pysmdl.explain_many(items, encoder(encode), ordered=True, **settings, **other))
        assert [each.order.tolist() for each in crowd] == [each.order.tolist() for each in alone]
    reseeded = pysmdl.explain(items[0]["image"], encoder(encode), 0, regions=items[0]["regions"], seed=1, **settings)
    assert reseeded.order.tolist() != alone[0].order.tolist()
    again = pysmdl.explain(items[0]["image"], encoder(encode), 0, regions=items[0]["regions"], **settings)
    assert same(again, alone[0])


@pytest.mark.slow
def test_it_loses_little_where_exact_greedy_is_at_its_best():
    """The golden cases' own images, where backward finds nothing better: a hundredth, at 38 % of the rows."""
    better, rows = [], []
    for i in range(4):
        image, labels = inputs()[f"one{i}_r10_image"], inputs()[f"one{i}_r10_labels"]
        found = {
            name: pysmdl.explain(
                image, encoder(encode), None, regions=labels, objective=CLASS, search=name, progress=False
            )
            for name in ("exact", "guided")
        }
        quality = {name: each.insertion_auc - each.deletion_auc for name, each in found.items()}
        better.append(quality["guided"] - quality["exact"])
        rows.append(found["guided"].evaluations / 1332)
    assert np.mean(better) > -0.01
    assert max(rows) <= 0.38
