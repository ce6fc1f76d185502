"""The searches on set functions without a model: brute force, theory, and how much each asks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import pysmdl
from pysmdl import bitrows, methods, search
from pysmdl.search.vocabulary import Ask, Claim, Evaluation
from pysmdl.testing import coverage, drive, interacting, modular

ALL = [factory() for factory in search.SEARCHES.values()]


def value(f, subset, n) -> np.float32:
    member = np.zeros((1, n), bool)
    member[0, list(subset)] = True
    return np.float32(f(member)[0])


def greedy_by_hand(f, n, k):
    order = []
    while len(order) < k:
        left = [a for a in range(n) if a not in order]
        order.append(max(left, key=lambda a: (value(f, [*order, a], n), -a)))
    return order


def bidirectional_by_hand(f, n, pending):
    """SPEC.md's words, for a set function without terms: looks are the values just measured with the front."""
    front, back, left = [], [], list(range(n))
    while len(left) > 1:
        scores = {a: value(f, [*front, a], n) for a in left}
        best = max(left, key=lambda a: (scores[a], -a))
        before = len(left)
        left.remove(best)
        if before > pending:
            listed = sorted(scores, key=lambda a: (scores[a], a))[:pending]
            priced = {a: value(f, [*back, a], n) for a in listed if a != best}
            worst = min(priced, key=lambda a: (priced[a], a))
            back.append(worst)
            left.remove(worst)
        front.append(best)
    return [*front, *left, *back[::-1]]


@pytest.mark.parametrize("made", ALL, ids=lambda s: s.name)
@pytest.mark.parametrize("n", [1, 2, 3, 9, 33])
def test_a_search_returns_a_permutation(made, n):
    ranking, asked = drive(made, interacting(n), n)
    assert sorted(ranking.order) == list(range(n))
    assert asked <= made.asks(n, n)


@pytest.mark.parametrize("made", [made for made in ALL if made.name != "stochastic"], ids=lambda s: s.name)
@pytest.mark.parametrize("k", [1, 3, 8])
def test_a_search_stops_at_k(made, k):
    full, _ = drive(made, interacting(8), 8)
    cut, asked = drive(made, interacting(8), 8, k)
    assert cut.order == full.order[:k]
    assert asked <= made.asks(8, k)


@pytest.mark.parametrize("made", [search.exact(), search.bidirectional(), search.scoped()], ids=lambda s: s.name)
@pytest.mark.parametrize("k", [1, 4, 9, 12, 24])
def test_the_first_k_cost_less(made, k):
    full, all_asked = drive(made, interacting(24), 24)
    cut, asked = drive(made, interacting(24), 24, k)
    assert cut.order == full.order[:k]
    assert asked == made.asks(24, k)
    assert asked < all_asked or k > 9


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [2, 5, 12])
def test_exact_is_greedy(n, seed):
    f = interacting(n, seed)
    ranking, asked = drive(search.exact(), f, n)
    assert ranking.order == greedy_by_hand(f, n, n)
    assert asked == n * (n + 1) // 2


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "pending"), [(2, 2), (7, 2), (12, 3), (13, 8), (20, 8)])
def test_bidirectional_is_the_papers(n, pending, seed):
    f = interacting(n, seed)
    assert drive(search.bidirectional(pending), f, n)[0].order == bidirectional_by_hand(f, n, pending)


@pytest.mark.parametrize("seed", range(3))
def test_greedy_keeps_its_promise_on_submodular_functions(seed):
    f = coverage(8, seed=seed)
    for k in (1, 2, 3, 4):
        order = drive(search.exact(), f, 8, k)[0].order
        best = max(value(f, subset, 8) for subset in itertools.combinations(range(8), k))
        assert value(f, order, 8) >= (1 - 1 / np.e) * best


@pytest.mark.parametrize("made", [made for made in ALL if made.name != "stochastic"], ids=lambda s: s.name)
def test_modular_functions_are_sorted(made):
    weights = np.array([0.3, -1, 2, 0.7, 0, 5, -0.2, 1, 0.1, 0.6], np.float32)
    assert drive(made, modular(weights), 10)[0].order == np.argsort(-weights).tolist()


def test_ties_go_to_the_lowest_region():
    f = modular(np.zeros(6, np.float32))
    assert drive(search.exact(), f, 6)[0].order == list(range(6))
    assert drive(search.bidirectional(2), f, 6)[0].order == [0, 2, 4, 5, 3, 1]


@pytest.mark.parametrize(("n", "rows"), [(49, 1610), (64, 2592), (100, 5868), (200, 21768)])
def test_bidirectional_asks_what_the_paper_says(n, rows):
    """SPEC's table counts both views, and the two rows of the full and the empty input that the curves add."""
    weights = np.arange(n, 0, -1).astype(np.float32)  # the winner is never in the short list
    _, asked = drive(search.bidirectional(8), modular(weights), n)
    assert 2 * asked + 2 == rows
    assert asked == search.bidirectional(8).asks(n, n)


@pytest.mark.parametrize(("n", "rows"), [(49, 986), (64, 1412), (100, 2612), (200, 7312)])
def test_scoped_asks_what_spec_says(n, rows):
    _, asked = drive(search.scoped(10, 5, 8), interacting(n), n)
    assert 2 * asked + 2 == rows  # and the full and the empty input for the curves
    assert asked == search.scoped().asks(n, n)


@pytest.mark.parametrize("seed", range(4))
def test_backward_is_greedy_elimination(seed):
    f, n = interacting(9, seed), 9
    by_hand, left = [], list(range(n))
    while left:
        worst = max(left, key=lambda a: (value(f, [b for b in left if b != a], n), -a))
        by_hand.insert(0, worst)
        left.remove(worst)
    assert drive(search.backward(), f, n)[0].order == by_hand


@pytest.mark.parametrize("seed", range(6))
def test_lazy_is_exact_where_gains_do_not_grow(seed):
    f = coverage(20, seed=seed)
    exact, dear = drive(search.exact(), f, 20)
    lazy, cheap = drive(search.lazy(width=3), f, 20)
    assert [value(f, lazy.order[:j], 20) for j in range(21)] == [value(f, exact.order[:j], 20) for j in range(21)]
    assert lazy.notes["gains_grown"] == 0
    assert cheap < 0.75 * dear


def test_lazy_counts_the_gains_that_grew_and_widens_its_bounds():
    """Region 0 is worthless until 1 is there, then the best: plain lazy greedy would leave it at the end."""

    def f(member):
        both = member[:, 0] & member[:, 1]
        return member @ np.array([0, 1.0, 0.9, 0.8, 0.7]) + 5.0 * both

    ranking, _ = drive(search.lazy(width=1), f, 5)
    assert ranking.order[:2] == [1, 0]
    assert ranking.notes["gains_grown"] >= 1
    assert ranking.notes["rounds_in_full"] >= 1


def test_stochastic_is_seeded_and_samples():
    f, made = interacting(30), search.stochastic(epsilon=0.1)
    first, asked = drive(made, f, 30, k=10, seed=1)
    assert first.order == drive(made, f, 30, k=10, seed=1)[0].order
    assert first.order != drive(made, f, 30, k=10, seed=2)[0].order
    assert asked == made.asks(30, 10) == 10 * 7  # (30 / 10) log(10) = 6.9
    assert drive(search.stochastic(seed=1), f, 30, k=10, seed=7)[0].order == first.order
    with pytest.raises(ValueError, match="epsilon must be a finite number above 0 and below 1; got 1"):
        search.stochastic(epsilon=1)


@pytest.mark.parametrize(("n", "rows"), [(49, 2450), (64, 4160), (100, 10100), (200, 40200)])
def test_exact_asks_n_times_n_plus_1(n, rows):
    _, asked = drive(search.exact(), modular(np.ones(n, np.float32)), n)
    assert 2 * asked == rows == 2 * search.exact().asks(n, n)


@pytest.mark.parametrize(
    ("share", "n", "pending"), [(0.1, 36, 4), (0.1, 30, 3), (0.1, 11, 2), (0.01, 20, 2), (0.5, 13, 7), (0.99, 9, 9)]
)
def test_pending_may_be_a_share_of_the_regions(share, n, pending):
    f = interacting(n, seed=3)
    by_share, by_number = search.bidirectional(share), search.bidirectional(pending=pending)
    assert drive(by_share, f, n)[0].order == drive(by_number, f, n)[0].order == bidirectional_by_hand(f, n, pending)
    assert drive(by_share, f, n)[1] == drive(by_number, f, n)[1]
    assert [by_share.asks(n, k) for k in (1, n // 2, n)] == [by_number.asks(n, k) for k in (1, n // 2, n)]
    assert by_share.parameters == {"pending": share}


@pytest.mark.parametrize("pending", [0.0, 1.0, 1.5, 8.0, -0.1, float("nan"), float("inf")])
def test_pending_that_is_no_share_is_refused(pending):
    with pytest.raises(ValueError, match="pending must be a whole number of at least 2, or a share between 0 and 1"):
        search.bidirectional(pending)


def test_pending_below_2_is_refused():
    with pytest.raises(ValueError, match="pending must be a whole number of at least 2; got 1"):
        search.bidirectional(pending=1)


def test_unknown_search_lists_those_there_are():
    with pytest.raises(ValueError, match=r"search must be one of 'backward', .*'exact', .*; got 'greedy'"):
        methods.resolve("greedy")


def test_a_name_that_is_nearly_right_is_told_which_is_meant():
    with pytest.raises(ValueError, match=r"search must be one of .*; got 'Kernel-SHAP': 'kernel_shap'\?"):
        methods.resolve("Kernel-SHAP")


@pytest.mark.parametrize("made", [search.exact, methods.lime])
def test_a_search_that_was_not_made_yet_is_told_so(made):
    with pytest.raises(ValueError, match=rf"search must be what {made.__name__}\(\) gives, not the function itself"):
        methods.resolve(made)


@pytest.mark.parametrize("setting", ["search", "objective", "preset"])
def test_what_is_no_name_at_all_is_named(setting):
    with pytest.raises(ValueError, match=rf"{setting} must be one of .*; got \['smdl'\]"):
        pysmdl.Explainer(lambda batch: batch.mean((2, 3)), **{setting: ["smdl"]})


def test_an_ask_keeps_what_it_was_given():
    base, candidates = [1], [0, 2]
    ask = Ask(base, candidates, claim=Claim(base, candidates))
    base.append(9)
    candidates.clear()
    np.testing.assert_array_equal(bitrows.unpack(ask.rows(3), 3), [[1, 1, 0], [0, 1, 1]])
    assert ask.claim.order == (1, 0, 2)


def test_an_ask_can_mean_all_but_or_any_subsets():
    but = Ask([1], [0, 2], complement=True)
    np.testing.assert_array_equal(bitrows.unpack(but.rows(4), 4), [[0, 0, 1, 1], [1, 0, 0, 1]])
    member = np.array([[True, False], [False, False]])
    np.testing.assert_array_equal(bitrows.unpack(Ask(subsets=member).rows(2), 2), member)


@pytest.mark.parametrize("n", [1, 31, 32, 33, 100])
def test_bit_rows_round_trip(n, rng):
    member = rng.random((20, n)) < 0.5
    rows = bitrows.pack(member)
    assert rows.shape == (20, bitrows.words(n))
    np.testing.assert_array_equal(bitrows.unpack(rows, n), member)
    np.testing.assert_array_equal(bitrows.unpack(bitrows.complement(rows, n), n), ~member)
    order = rng.permutation(n).astype(np.int32)
    prefixes = bitrows.unpack(bitrows.prefixes(order, n), n)
    assert [set(np.flatnonzero(row)) for row in prefixes] == [set(order[:j].tolist()) for j in range(n + 1)]


def test_terms_are_added_in_float32_in_their_order():
    terms = {
        "a": np.array([1.0], np.float32),
        "b": np.array([2.0**-24], np.float32),
        "c": np.array([2.0**-24], np.float32),
    }
    forward = Evaluation(terms, {"a": 1.0, "b": 1.0, "c": 1.0})
    backward = Evaluation(terms, {"c": 1.0, "b": 1.0, "a": 1.0})
    assert forward.total.dtype == np.float32
    assert forward.total[0] == 1.0
    assert backward.total[0] > 1.0
