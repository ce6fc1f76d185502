"""The surrogate of the guided search: compiled against plain, what it knows, what it finds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pysmdl import _native
from pysmdl.search.lattice import prefixes
from pysmdl.search.plain_surrogate import Plain
from pysmdl.search.surrogate import Surrogate, likeness, logistic

from set_functions import fitted


def written_out(surrogate: Surrogate, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The kernel of the module's docstring."""
    weight = surrogate._weight.astype(float)
    apart = ((first[:, None] != second) * weight).sum(2) / weight.sum()
    root = np.sqrt(weight / weight.sum())
    signs = [np.where(member, root, -root) for member in (first, second)]
    return signs[0] @ surrogate._alike @ signs[1].T + 8 * np.exp(-apart / 0.3)


def test_it_knows_what_it_was_told_and_is_sure_of_it():
    surrogate, member, score = fitted(9)
    surrogate.kept, surrogate.removed = 1.0, 0.0
    value, unsure = surrogate.predict(member)
    np.testing.assert_allclose(value, score(member), atol=0.03)
    assert unsure.max() == 0
    assert surrogate.predict(~member)[1].max() > 0


def test_it_is_the_textbooks_gaussian_process():
    """Mean by solving with the kernel written out: grown part by part it must be the same."""
    surrogate, told, score = fitted(7)
    odds = np.rint(16 * np.log((score(told) + 0.02) / (1.02 - score(told)))) / 16
    alpha = np.linalg.solve(written_out(surrogate, told, told) + 0.1 * np.eye(len(told)), odds - odds.mean())
    asked = np.random.default_rng(1).random((20, 7)) < 0.5
    z = odds.mean() + written_out(surrogate, asked, told) @ alpha
    surrogate.removed = 0.0
    np.testing.assert_allclose(surrogate.predict(asked)[0], (1.04 * logistic(z) - 0.02).clip(0, 1), atol=1e-5)


def test_neighbours_are_alike():
    row = likeness(16, np.stack(np.divmod(np.arange(16), 4), 1) / 4)[5]
    assert row[5] == 1
    assert row[6] == pytest.approx(0.8 * np.exp(-1 / (2 * 1.05**2)))
    assert row[6] == row[9] > row[10] > row[7]
    np.testing.assert_array_equal(likeness(4, None), np.eye(4))


def test_regions_weigh_by_their_influence():
    rng = np.random.default_rng(0)
    member = np.unique(rng.random((80, 12)) < 0.5, axis=0)
    surrogate = Surrogate(12)
    surrogate.add(member, logistic(4.0 * member[:, 3] - 2 + 0.5 * member[:, 7]).astype(np.float32))
    surrogate.fit()
    weight = surrogate._weight
    assert weight.argmax() == 3
    assert weight[3] > 4 * np.delete(weight, 3).mean()
    assert weight.min() >= 1


def test_regions_weigh_by_what_they_do_together_too():
    """Two that count only as both or neither: on average neither adds anything."""
    member = np.array(list(itertools.product((False, True), repeat=8)))
    surrogate = Surrogate(8)
    surrogate.add(member, logistic(6.0 * (member[:, 2] == member[:, 5]) - 3).astype(np.float32))
    surrogate.fit()
    assert np.abs(surrogate._effect).max() < 0.1
    assert set(surrogate._weight.argsort()[-2:]) == {2, 5}
    assert surrogate._weight[[2, 5]].min() > 4 * np.delete(surrogate._weight, [2, 5]).max()


@pytest.mark.parametrize("n", [1, 2, 7, 33])
@pytest.mark.parametrize("count", [1, 2, 61])
def test_influence_is_the_root_mean_square_change(n, count):
    """Of log-odds, over all that was measured and its complements, one region changed at a time."""
    native = pytest.importorskip("pysmdl._C")
    surrogate, _, _ = fitted(n, count, native=Plain)
    surrogate.kept, surrogate.removed, surrogate.bounded = 1.0, 0.0, False  # so that a subset is worth its log-odds
    told = surrogate._flip.T < 0
    told = np.vstack((told, ~told))
    plain = Plain.influences(surrogate._fitted())
    for x in range(n):
        changes = surrogate.predict(told ^ (np.arange(n) == x))[0] - surrogate.predict(told)[0]
        assert plain[x] == pytest.approx(np.sqrt((changes**2).mean()), rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(native.influences(surrogate._fitted()), plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n", [1, 2, 7, 16, pytest.param(33, marks=pytest.mark.slow)])
@pytest.mark.parametrize("weights", [(1.0, 1.0), (20.0, 1.0), (1.0, 0.0)])
@pytest.mark.parametrize("bounded", [True, False])
def test_compiled_chains_are_the_plain_ones(n, weights, bounded):
    pytest.importorskip("pysmdl._C")
    found = []
    for native in (None, Plain):
        surrogate, member, _ = fitted(n, native=native)  # of seeds 1 and 2 two moves are too close for float32
        np.testing.assert_array_equal(
            surrogate._native.differences(surrogate._flip, ~member[::2]),
            ((~member[::2, None] != member) * surrogate._weight.astype(int)).sum(2),
        )
        np.testing.assert_allclose(
            surrogate._effect,
            Plain.effects(surrogate._flip, surrogate._prior, surrogate._pull),
            atol=1e-9,
        )
        surrogate.kept, surrogate.removed = weights
        surrogate.bounded = bounded
        start = surrogate.greedy()
        moved = [surrogate.improved(start, k, 3, reach) for k, reach in ((n, 20), (max(1, n // 2), 2))]
        found.append((start, *moved, surrogate.predict(np.vstack((member, ~member)))))
    (start, *moved, told), (other_start, *others, other_told) = found
    assert start.tolist() == other_start.tolist()
    for (order, worth, unsure), (other, other_worth, other_unsure) in zip(moved, others, strict=True):
        assert sorted(order) == list(range(n))
        assert order.tolist() == other.tolist() or not bounded  # whose gains are as large as float32's rounding
        assert worth == pytest.approx(other_worth, rel=1e-5, abs=2e-5)
        if order.tolist() == other.tolist():
            np.testing.assert_allclose(unsure, other_unsure, atol=1e-5 * (1 + other_unsure.max()))
    for each, other in zip(told, other_told, strict=True):
        np.testing.assert_allclose(each, other, atol=1e-5 * (1 + np.abs(other).max()))


def test_the_number_of_threads_changes_no_bit_of_a_factor(monkeypatch):
    pytest.importorskip("pysmdl._C")
    found = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(_native, "threads", lambda threads=threads: threads)
        surrogate, member, _ = fitted(70, 1200)
        found.append(np.tril(surrogate._factor[: len(member), : len(member)]))
    assert len(found[0]) > 1000  # whose blocks are worth threads
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


@pytest.mark.parametrize("step", [1, 3, 4, 5, 8, 9, 12, 64, 70, 150])
def test_a_factor_grows_by_any_number_of_rows(step):
    _C = pytest.importorskip("pysmdl._C")
    rng = np.random.default_rng(step)
    size, root = 150, rng.normal(size=(150, 40))
    matrix = root @ root.T  # of rank 40: the noise makes it definite
    factor = np.full((200, 200), np.nan, np.float32)
    factor[:size, :size] = np.tril(matrix)
    for known in range(0, size, step):
        _C.extend_cholesky(factor, known, min(known + step, size), 0.5, 2)
    found = np.tril(factor[:size, :size]).astype(float)
    np.testing.assert_allclose(found @ found.T, matrix + 0.5 * np.eye(size), atol=1e-4)
    assert np.isnan(factor[size:]).all()
    with pytest.raises(ValueError, match="matrix \\+ noise is not positive definite"):
        _C.extend_cholesky(-np.eye(70, dtype=np.float32), 0, 70, 0.5, 1)


def test_moves_find_the_best_chain_of_a_small_surrogate():
    surrogate = fitted(5, seed=3)[0]

    def worth(order):
        value = surrogate.predict(prefixes(np.array(order), 5))[0]
        return (surrogate.area[list(order)] * (value[1:] + value[:-1]) / 2).sum()

    best = max(itertools.permutations(range(5)), key=worth)
    starts = [np.array(start, np.int32) for start in itertools.islice(itertools.permutations(range(5)), 0, 120, 7)]
    found = [surrogate.improved(start, 5, 10, 5) for start in starts]
    assert max(each.worth for each in found) == pytest.approx(worth(best), abs=1e-4)
    for order, value, _ in found:
        assert value == pytest.approx(worth(order), abs=1e-9)


@pytest.mark.parametrize(("jump", "noise"), [(0.0, 0.1), (2.5, 1.0)])
def test_the_noise_is_the_one_under_which_scores_are_likeliest(jump, noise):
    rng = np.random.default_rng(3)
    told = np.unique(rng.random((70, 9)) < 0.5, axis=0)
    scores = logistic(2 * told[:, 0] - told[:, 1] + jump * rng.choice([-1, 1], len(told))).astype(np.float32)
    surrogate = Surrogate(9)
    surrogate.add(told, scores)
    surrogate.fit()

    odds = np.rint(16 * np.log((scores + 0.02) / (1.02 - scores))) / 16
    kernel = written_out(surrogate, told, told) / 2  # of a process half as large

    def likelihood(noise: float) -> float:
        spread, y = kernel + noise / 2 * np.eye(len(told)), odds - odds.mean()
        return -(y @ np.linalg.solve(spread, y) + np.linalg.slogdet(spread)[1]) / 2

    assert surrogate.noise == max((0.1, 0.3, 1.0), key=likelihood) == noise
