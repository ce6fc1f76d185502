"""The guided search and its surrogate: compiled against plain, what it promises, what it spends."""

from __future__ import annotations

import contextlib
import itertools

import numpy as np
import pytest

import pysmdl
from pysmdl import _native, bitrows, search
from pysmdl.search import guided_search
from pysmdl.search.lattice import Lattice, numbers
from pysmdl.search.local_moves import Moves
from pysmdl.search.measurements import Measurements
from pysmdl.search.plain_surrogate import Plain
from pysmdl.search.surrogate import Surrogate, likeness, logistic
from pysmdl.search.vocabulary import Evaluation, Task
from pysmdl.testing import drive, interacting

from golden_models import encode, encoder, inputs
from toys import Recorder, explain, linear_model, same

CLASS = pysmdl.smdl(effectiveness=0, confidence=0)


def fitted(n: int, count: int = 60, seed: int = 0, native=None):
    rng = np.random.default_rng(seed)
    member = np.unique(rng.random((count, n)) < rng.random((count, 1)), axis=0)
    weights, pairs = rng.normal(size=n), rng.normal(size=(n, n)) / n

    def score(subsets):
        return logistic(subsets @ weights / 2 + ((subsets @ pairs) * subsets).sum(1)).astype(np.float32)

    found = Surrogate(n, rng.dirichlet(np.ones(n)), rng.random((n, 2)), native)
    for part in np.array_split(np.arange(len(member)), 3):  # in parts, as a search gives them
        if len(part):
            found.add(member[part], score(member[part]))
            found.fit()
    return found, member, score


def written_out(surrogate: Surrogate, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The kernel of the module's docstring."""
    weight = surrogate._weight.astype(float)
    apart = ((first[:, None] != second) * weight).sum(2) / weight.sum()
    root = np.sqrt(weight / weight.sum())
    signs = [np.where(member, root, -root) for member in (first, second)]
    return signs[0] @ surrogate._alike @ signs[1].T + 8 * np.exp(-apart / 0.3)


# The surrogate


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
        value = surrogate.predict(guided_search.prefixes(np.array(order), 5))[0]
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


# The lattice


def area_under(f, order, area) -> float:
    value = np.asarray(f(bitrows.in_prefixes(np.array(order, np.int32), len(area))), np.float64)
    return float((area[order] * (value[1:] + value[:-1]) / 2).sum())


@pytest.mark.parametrize("seed", range(8))
def test_the_best_order_along_what_is_measured_is_found_whatever_came_first(seed):
    rng = np.random.default_rng(seed)
    n, f, area = 6, rough(6, seed), rng.dirichlet(np.ones(6))
    orders = [rng.permutation(n) for _ in range(6)]
    member = np.unique(np.vstack([guided_search.prefixes(order.astype(np.int32), n) for order in orders]), axis=0)
    known = {row.tobytes() for row in member}

    def measured(order):
        return all(row.tobytes() in known for row in guided_search.prefixes(np.array(order, np.int32), n))

    lattice = Lattice(area, n)
    for part in np.array_split(rng.permutation(len(member)), 5):
        lattice.add(numbers(member[part]), f(member[part]).astype(np.float32))
    best = max((list(o) for o in itertools.permutations(range(n)) if measured(o)), key=lambda o: area_under(f, o, area))
    order, worth = lattice.best()
    assert worth == pytest.approx(area_under(f, best, area), abs=1e-6)
    assert area_under(f, order, area) == pytest.approx(worth, abs=1e-6)


def test_an_order_with_a_gap_is_none():
    lattice = Lattice(np.ones(3), 3)
    lattice.add([0b000, 0b011, 0b111], np.ones(3, np.float32))
    assert lattice.best() is None
    lattice.add([0b010], np.ones(1, np.float32))
    assert lattice.best() == ([1, 0, 2], 3.0)


@pytest.mark.parametrize("n", [1, 8, 63, 64, 65, 200])
def test_subsets_are_numbers(n, rng):
    member = rng.random((9, n)) < 0.5
    assert numbers(member) == [sum(1 << int(r) for r in np.flatnonzero(row)) for row in member]


# Moves of single regions


@pytest.mark.parametrize(("n", "k"), [(2, 2), (6, 6), (11, 11), (2, 1), (6, 1), (6, 4), (11, 3), (11, 10)])
def test_what_a_move_gains_is_known_where_its_prefixes_are(n, k):
    rng, f = np.random.default_rng(0), rough(n, 1)
    area = rng.dirichlet(np.ones(n))
    everything = (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(bool)
    surrogate, lattice = Surrogate(n, area), Lattice(area, k)
    surrogate.bounded = False
    lattice.add(numbers(everything), f(everything).astype(np.float32))
    surrogate.add(everything[:4], f(everything[:4]).astype(np.float32))
    surrogate.fit()
    order = rng.permutation(n).astype(np.int32)
    moves = Moves(Measurements(surrogate, lattice), order, k)
    columns = np.arange(len(moves.source)) % n
    assert set(range(k, n)) <= set(columns[moves.target == k - 1])  # any other may take the last place
    for place, source, target, gain, cost in zip(
        columns, moves.source, moves.target, moves.gain, moves.cost, strict=True
    ):
        assert cost == 0
        if 0 <= target < n and min(source, target) < k:
            moved = np.insert(np.delete(order, place), target, order[place])
            better = area_under(f, moved[:k], area) - area_under(f, order[:k], area)
            assert gain == pytest.approx(better, abs=1e-6)


def test_moves_of_few_regions_among_many_are_no_more_than_those_of_all():
    """Each of the others may take the last place; one to each pair of regions had taken minutes, and gigabytes."""
    member = np.tri(4, 300, -1, dtype=bool)
    surrogate, lattice = Surrogate(300), Lattice(np.full(300, 1 / 300), 3)
    surrogate.add(member, np.zeros(4, np.float32))
    surrogate.fit()
    moves = Moves(Measurements(surrogate, lattice), np.arange(300, dtype=np.int32), 3)
    assert len(moves.target) == 2 * 8 * 300
    assert set(np.flatnonzero((moves.target == 2) & (moves.cost > 0)) % 300) == {0, 1, *range(3, 300)}


# The search


def worth(f, order) -> float:
    return float(f(guided_search.prefixes(np.array(order), len(order))[1:]).sum())


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


@pytest.mark.parametrize("evaluations", [50, 73, 120, 300, 500])  # 390 where nobody says
def test_it_takes_what_it_is_given_from_either_side(evaluations):
    inside = explain(linear_model(), regions="grid:25", search=search.guided(evaluations=evaluations))
    outside = explain(linear_model(), regions="grid:25", search="guided", evaluations=evaluations)
    assert same(inside, outside)
    assert inside.evaluations <= evaluations
    assert inside.evaluations > 0.7 * evaluations  # it stops where it has nothing left to try
    for own, granted in ((300, 60), (60, 300)):
        both = explain(linear_model(), regions="grid:25", search=search.guided(own), evaluations=granted)
        assert both.evaluations <= 60


def test_a_larger_batch_asks_less_often_for_as_many_rows():
    f = interacting(24, 1)
    often, seldom = (drive(search.guided(300, batch=batch), f, 24)[0] for batch in (None, 8))
    assert seldom.notes["fits"] < often.notes["fits"] / 2
    assert worth(f, seldom.order) > worth(f, often.order) - 0.5
    with pytest.raises(ValueError, match="batch must be a whole number of at least 1; got 0"):
        search.guided(batch=0)


def test_of_many_regions_it_asks_seldom_and_learns_from_so_many_subsets(monkeypatch):
    f, often = interacting(24, 1), drive(search.guided(380), interacting(24, 1), 24)[0]
    monkeypatch.setattr(guided_search, "MANY", 5)
    seldom = drive(search.guided(380), f, 24)[0]
    assert seldom.notes["fits"] < often.notes["fits"] / 2
    monkeypatch.setattr("pysmdl.search.surrogate.MOST_KNOWN", 40)
    few, asked = drive(search.guided(380), f, 24)
    assert 330 < asked <= 380  # what the surrogate does not learn the answer does
    assert worth(f, few.order) > worth(f, seldom.order) - 1
    surrogate, member, score = fitted(9)
    surrogate.add(~member, score(~member))
    assert len(member) > 40 == len(surrogate.member)


def asks_of(search_, f, n: int, k: int | None = None) -> tuple[list, list[int]]:
    """What a search asks, of one view, and its order."""
    asks, rounds = [], search_.start(Task(n, k or n))
    try:
        ask = next(rounds)
        while True:
            asks.append(ask)
            ask = rounds.send(Evaluation({"f": f(bitrows.unpack(ask.rows(n), n)).astype(np.float32)}, {"f": 1.0}))
    except StopIteration as done:
        return asks, done.value.order


@pytest.mark.parametrize("k", [12, 4])
def test_where_rows_are_plenty_a_second_search_never_takes_back_what_the_first_has_found(k):
    n, f = 12, rough(12, 3)
    asks, order = asks_of(search.guided(600), f, n, k)
    rows = [row for ask in asks for row in map(bytes, bitrows.unpack(ask.rows(n), n))]
    assert 575 <= len(set(rows)) <= 588  # the curve of the other view is set aside
    ends = bytes(n), bytes([1]) * n
    assert [rows.count(end) for end in ends] == [2, 2]  # each began with these

    def found(order) -> float:
        values = f(bitrows.in_prefixes(np.array(order[:k], np.int32), n))
        return float((values[1:] + values[:-1]).sum() / 2)

    final = [ask.claim.final for ask in asks]
    assert final[0] is False
    promised = [found(ask.claim.answer(n)) for ask in asks[final.index(True) :] if ask.claim.final]
    assert len(promised) > 20
    assert all(later > earlier - 1e-4 for earlier, later in itertools.pairwise([*promised, found(order)]))
    second = max(i for i, ask in enumerate(asks) if ends[0] in map(bytes, bitrows.unpack(ask.rows(n), n)))
    assert len(rows) / 4 < sum(len(ask.rows(n)) for ask in asks[:second]) < len(rows) / 2
    assert asks[second].claim.final  # the second search is no better yet


def test_two_searches_know_together_what_either_was_told():
    """Also F of a subset of which one was told the view kept, and the other the view removed."""
    n, rng = 9, np.random.default_rng(0)
    told = np.unique(rng.random((40, n)) < 0.5, axis=0)
    first, second = (guided_search.Guide(Task(n, n), 100, 10) for _ in range(2))
    second.known.read_as(first.known)
    first.known.views = second.known.views = 2

    def tell(guide, member, score_only: bool) -> None:
        asked = guide.known.measure_rows(member, range(n)) if score_only else guide.known.measure(member, range(n))
        ask = next(asked)
        kept = np.linspace(0, 1, len(ask.rows(n)), dtype=np.float32)
        views = {"insertion": kept} if score_only else {"insertion": kept, "deletion": 1 - kept}
        with contextlib.suppress(StopIteration):
            while True:
                asked.send(Evaluation({"f": kept}, {"f": 1.0}, **views))

    tell(first, told[:10], False)
    tell(second, told[10:12], False)
    tell(first, told[12:20], True)
    tell(second, ~told[12:15], True)
    rows = first.known.rows | second.known.rows
    first.join(second, 200)
    assert first.known.rows == rows == set(numbers(first.surrogate.member))
    assert first.known.has(numbers(told[:12])).all()
    ask = next(first.known.measure(told[20:21], range(n)))
    for_nothing = {row.tobytes() for row in told[12:15]}
    assert for_nothing <= {row.tobytes() for row in bitrows.unpack(ask.rows(n), n)}


def asked_of_two_views(rows: int, n: int, f, constant: float = 1.0) -> tuple[list, list[int]]:
    """What a search asks where F = score(S) - score(V - S) + constant, and its order."""
    asks = []
    rounds = search.guided(rows).start(Task(n, n, rows, 0))
    try:
        ask = next(rounds)
        while True:
            member = bitrows.unpack(ask.rows(n), n)
            asks.append((ask.score_only, member))
            kept, removed = ((0.5 + f(each) / 2).astype(np.float32) for each in (member, ~member))
            terms = {"kept": kept} if ask.score_only else {"kept": kept, "removed": constant - removed}
            ask = rounds.send(Evaluation(terms, dict.fromkeys(terms, 1.0), insertion=kept, deletion=removed))
    except StopIteration as done:
        return asks, done.value.order


def test_one_view_is_measured_where_the_other_says_nothing_new():
    smooth = interacting(30, 7)
    asks, order = asked_of_two_views(300, 30, lambda s: np.where(s[:, 3] & s[:, 7], 0.8, -0.9) + 0.1 * smooth(s))
    single = np.concatenate([member for score_only, member in asks if score_only])
    rows = {row.tobytes() for row in single}
    assert len(rows) == len(single) > 40  # each of them once
    both = [member for score_only, member in asks if not score_only]
    rows |= {row.tobytes() for member in both for row in np.concatenate((member, ~member))}
    assert 295 <= len(rows) <= 300
    assert sum((~row).tobytes() not in rows for row in single) >= 20
    prefixes = bitrows.unpack(bitrows.prefixes(np.array(order, np.int32), 30), 30)
    assert {row.tobytes() for row in prefixes} <= {row.tobytes() for member in both for row in member}


def test_what_all_subsets_have_in_common_changes_no_order():
    f = interacting(24, 3)
    (asks, order), (others, other) = (asked_of_two_views(300, 24, f, constant) for constant in (0.0, 1.0))
    assert order == other
    assert len(asks) == len(others)


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


@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 2), (4, 2), (4, 4), (6, 6)])
def test_of_few_regions_it_measures_every_subset_at_once_and_finds_the_best_order(n, k):
    for seed in range(4):
        f, asks = rough(n, seed), []

        def counted(member, f=f, asks=asks):
            asks.append(len(member))
            return f(member)

        def area(order, f=f):
            value = f(guided_search.prefixes(np.array(order, np.int32), k))
            return ((value[1:] + value[:-1]) / 2).sum()

        order = drive(search.guided(2**n if n > 5 else None), counted, n, k)[0].order
        assert asks == [2**n]
        best = max(map(area, itertools.permutations(range(n))))
        assert area([*order, *(set(range(n)) - set(order))]) == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("objective", [CLASS, pysmdl.smdl(0, 0, 1, 0)], ids=["both views", "one view"])
@pytest.mark.parametrize("n", [4, 6, 8])
def test_a_row_for_each_subset_pays_for_all_of_them_and_the_curves(n, objective):
    """What a budget sets aside for curves is no more than the subsets that there are."""
    labels = (np.arange(144) * n // 144).reshape(12, 12)
    settings = {"regions": labels, "objective": objective}
    found = explain(linear_model(), search=search.guided(2**n), **settings)
    assert found.evaluations == 2**n
    assert "stopped" not in found.notes
    assert same(found, explain(linear_model(), search=search.guided(2**n + 100), **settings))


def test_one_row_less_than_all_subsets_is_searched():
    sizes = []

    def counted(member):
        sizes.append(len(member))
        return rough(7, 0)(member)

    assert drive(search.guided(127), counted, 7)[1] <= 127
    assert len(sizes) > 5


@pytest.mark.parametrize(("n", "seed"), [(6, 1), (8, 8), (10, 7), (12, 10)])
def test_no_order_along_what_it_measured_is_better_than_its_answer(n, seed):
    f, lattice = rough(n, seed), Lattice(np.full(n, 1 / n), n)

    def recorded(member):
        found = f(member)
        lattice.add(numbers(member), found.astype(np.float32))
        return found

    order = drive(search.guided(), recorded, n)[0].order
    assert area_under(f, order, np.full(n, 1 / n)) >= lattice.best()[1] - 1e-6


def test_where_regions_lie_and_how_large_they_are_is_used():
    labels = np.arange(36).reshape(6, 6).repeat(4, 0).repeat(4, 1).astype(np.int32)
    regions = pysmdl.regions.from_labels(labels)
    np.testing.assert_allclose(regions.places()[[0, 1, 6]], [[1.5, 1.5], [1.5, 5.5], [5.5, 1.5]] / np.float64(24))
    centre = np.exp(-((regions.places() - 0.4) ** 2).sum(1) / 0.05)

    def f(member):
        return np.tanh(3 * (member @ centre) / centre.sum())

    informed = [worth(f, drive(search.guided(120), f, 36, seed=s, regions=regions)[0].order) for s in range(4)]
    blind = [worth(f, drive(search.guided(120), f, 36, seed=s)[0].order) for s in range(4)]
    assert np.mean(informed) > np.mean(blind)


def test_where_regions_lie_is_no_matter_of_what_they_count_for():
    covers = np.zeros((3, 6, 8), bool)
    covers[0], covers[1, :2, :2], covers[2, :2, :2] = True, True, True  # the last is hidden by the one before
    unit = np.sqrt(48)
    places = pysmdl.regions.overlapping(covers).places()
    np.testing.assert_allclose(places, np.array([[2.5, 3.5], [0.5, 0.5], [0.5, 0.5]]) / unit)
    one_hot = pysmdl.regions.columns(list("abcd"), {"letter": list("bcd")})
    np.testing.assert_allclose(one_hot.places(), [[0], [2 / 4]])
    for weights in (np.full(24, 10.0), np.full(24, 1e-6)):
        scaled, alike = pysmdl.regions.players(24, weights=weights), pysmdl.regions.players(24)
        found = [drive(search.guided(150), interacting(24, 3), 24, regions=each)[0] for each in (scaled, alike)]
        assert found[0].order == found[1].order


def test_k_regions_are_the_best_found_for_k():
    found = explain(linear_model(), regions="grid:36", search="guided", k=6, objective=CLASS)
    whole = explain(linear_model(), regions="grid:36", search="guided", objective=CLASS)
    assert len(found.order) == 6
    assert found.score.sum() >= whole.score[:6].sum() - 1e-2


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


def test_numpys_errors_may_be_raised_meanwhile():
    with np.errstate(all="raise"):
        found, _ = drive(search.guided(), interacting(8), 8)
    assert found.order == drive(search.guided(), interacting(8), 8)[0].order
