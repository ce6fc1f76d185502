"""Searches and set functions of one's own that break what was agreed are told so."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl.errors import ScorerError

from toys import explain, image, linear_model


def own_objective(fail):
    """The target's score, by a term of one's own that may fail."""

    def value(kept):
        fail(kept)
        return kept["score"]

    return pysmdl.Objective("mine", "class", (pysmdl.Term("mine", "kept", value),), {"mine": 1.0})


def test_a_set_function_that_raises_on_one_input_takes_no_other_along():
    seen = []

    def fail(kept):
        seen.append(kept)
        if len(seen) == 4:
            raise ZeroDivisionError("in a term of my own")

    items = [image(seed) for seed in range(3)]
    settings = {"regions": "grid:9", "search": "exact", "progress": False, "objective": own_objective(fail)}
    assert len(list(pysmdl.explain_many(items, linear_model(), on_error="skip", **settings))) == 2
    seen.clear()
    got = []
    with pytest.raises(ZeroDivisionError, match="of my own"):
        got.extend(pysmdl.explain_many(items, linear_model(), **settings))
    assert len(got) == 2


def test_a_set_function_that_is_no_number_is_refused():
    def value(kept):
        return np.where(np.arange(len(kept["score"])) == 2, np.nan, kept["score"]).astype(np.float32)

    mine = pysmdl.Objective("mine", "class", (pysmdl.Term("odd", "kept", value),), {"odd": 1.0})
    with pytest.raises(ScorerError, match="objective 'mine' gave NaN or infinity: odd"):
        explain(linear_model(), objective=mine, search="exact")


class Rude:
    """A search that breaks what was agreed."""

    def __init__(self, *asks, order=(0,), **returned):
        self.asks, self.returned = asks, returned.get("returned", pysmdl.search.Ranking(list(order)))

    def __call__(self, task):
        yield from self.asks
        return self.returned


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (Rude(order=(0, 0, 1)), r"a search must return distinct regions 0 to 15; got the order \[0, 0, 1\]"),
        (Rude(order=(16,)), "distinct regions 0 to 15"),
        (Rude(order=(-1,)), "distinct regions 0 to 15"),
        (Rude(order=(0.5,)), "distinct regions 0 to 15"),
        (Rude(pysmdl.search.Ask([], [99])), r"an ask's candidates must be regions 0 to 15; got \[99\]"),
        (Rude(pysmdl.search.Ask([-1], [2])), r"an ask's base must be regions 0 to 15; got \[-1\]"),
        (Rude(pysmdl.search.Ask(subsets=np.ones((2, 5), bool))), r"subsets must be bool \[a, n\] with n = 16 regions"),
        (Rude(order=(True, False)), r"distinct regions 0 to 15; got the order \[True, False\]"),
        (Rude([0, 1]), "a search must yield a Ask; got list"),
        (lambda task: pysmdl.search.Ranking([0]), "a search must start a Generator; got Ranking"),
        (Rude(returned=None), "a search must return a Ranking; got NoneType"),
        (
            Rude(returned=pysmdl.search.Ranking([0], attribution=[0.0, 1.0])),
            r"attribution \[n\] with n = 16; got shape",
        ),
        (
            Rude(returned=pysmdl.search.Ranking([0], attribution=[np.nan] * 16)),
            "a method must return finite values; got",
        ),
        (Rude(pysmdl.search.Ask([0], 1)), "an ask's candidates must be regions 0 to 15; got 1"),
        (Rude(pysmdl.search.Ask([0], [])), "an ask must be of one subset or more; got none"),
        (
            Rude(pysmdl.search.Ask([], [0], claim=pysmdl.search.Claim([1, 16]))),
            r"an ask must claim an order of distinct regions 0 to 15; got \[1, 16\]",
        ),
    ],
)
def test_a_search_that_breaks_what_was_agreed_is_told_so(search, message):
    rude = pysmdl.search.Search("rude", search, lambda n, k: n)
    with pytest.raises(pysmdl.errors.SearchError, match=message):
        explain(linear_model(), search=rude)
    with pytest.raises(pysmdl.errors.SearchError, match=message):
        pysmdl.testing.drive(rude, lambda member: member.sum(1), 16)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"base": np.ones(16, bool)}, "an ask's base must be regions by their numbers; got bool"),
        ({"candidates": [0.5]}, "an ask's candidates must be regions by their numbers; got float64"),
        (
            {"subsets": np.full((1, 16), 0.5)},
            "an ask's subsets must be bool, whether each region is in it; got float64",
        ),
        ({"subsets": [[0, 2]]}, "an ask's subsets must be bool, whether each region is in it; got int64"),
    ],
)
def test_what_would_pass_for_other_regions_is_no_ask(asked, message):
    with pytest.raises(pysmdl.errors.SearchError, match=message):
        pysmdl.search.Ask(**asked)


def test_zeros_and_ones_may_stand_for_membership():
    np.testing.assert_array_equal(pysmdl.search.Ask(subsets=np.eye(3)).subsets, np.eye(3, dtype=bool))


def test_a_search_of_ones_own_that_orders_more_than_k_is_cut_to_k():
    long = pysmdl.search.Search("long", Rude(order=range(16)), lambda n, k: n)
    assert explain(linear_model(), search=long, k=3).order.tolist() == [0, 1, 2]


def test_values_of_a_search_of_ones_own_may_be_a_list(tmp_path):
    given = pysmdl.search.Ranking(list(range(16)), attribution=list(range(16)))
    found = explain(linear_model(), search=pysmdl.search.Search("mine", Rude(returned=given), lambda n, k: n))
    found.save(tmp_path / "why.npz")
    np.testing.assert_array_equal(pysmdl.load(tmp_path / "why.npz").attribution, range(16))


def of_a_term(value):
    return pysmdl.Objective("mine", "class", (pysmdl.Term("odd", "kept", value),), {"odd": 1.0})


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (lambda kept: kept["score"][:1], r"ndarray of float32 \[1\]"),
        (lambda kept: kept["score"][:, None], r"ndarray of float32 \[16, 1\]"),
        (lambda kept: kept["score"].astype(complex), r"ndarray of complex128 \[16\]"),
        (lambda kept: ["much"] * len(kept["score"]), r"list of <U4 \[16\]"),
        (lambda kept: 0.5, r"float of float64 \[\]"),
        (lambda kept: None, r"NoneType of object \[\]"),
    ],
)
def test_a_term_that_gives_no_number_for_each_row_is_refused(value, got):
    wrong = f"term 'odd' must give an array of numbers, one for each of 16 rows; got {got}"
    with pytest.raises(pysmdl.errors.SearchError, match=wrong):
        explain(linear_model(), objective=of_a_term(value), search="exact")


class Short:
    """A pairwise term that gives one value, whatever it is asked."""

    def of(self, ask, n):
        return np.zeros(1, np.float32)

    def of_subsets(self, member):
        return np.zeros(1, np.float32)


def test_a_pairwise_term_of_the_wrong_length_is_refused():
    term = pysmdl.Term("short", "regions", pairwise=lambda features, backend: Short())
    scorer = pysmdl.scorers.classifier(linear_model(), features=lambda batch: batch.mean((2, 3)))
    short = pysmdl.Objective("mine", "class", (term,), {"short": 1.0})
    with pytest.raises(
        pysmdl.errors.SearchError, match=r"term 'short' must give .* each of 16 rows; got ndarray of float32 \[1\]"
    ):
        explain(scorer, objective=short, search="exact")


@pytest.mark.parametrize("made", [list, torch.from_numpy, lambda score: score.astype(float)])
def test_a_term_may_give_a_list_a_tensor_or_float64(made):
    plain = explain(linear_model(), objective=of_a_term(lambda kept: kept["score"]), search="exact")
    found = explain(linear_model(), objective=of_a_term(lambda kept: made(kept["score"])), search="exact")
    for name in ("order", "score", "insertion"):
        np.testing.assert_array_equal(getattr(found, name), getattr(plain, name))
    assert found.score.dtype == np.float32


def test_a_term_beyond_float32_is_infinite():
    with pytest.raises(ScorerError, match="objective 'mine' gave NaN or infinity: odd"):
        explain(linear_model(), objective=of_a_term(lambda kept: kept["score"] * np.float64(1e300)), search="exact")
