"""The classic methods as searches: what all have in common, their rows counted, and through the engine."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import pysmdl
from pysmdl import methods, search
from pysmdl.search.vocabulary import Task
from pysmdl.testing import drive, interacting, modular

from toys import Recorder, explain, linear_model, same

ALL = [pytest.param(factory, id=name) for name, factory in methods.METHODS.items()]
SAMPLING = [pytest.param(factory, id=name) for name, factory in methods.METHODS.items() if name != "occlusion"]


# What every method has in common.


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("n", [1, 2, 3, 9, 33])
def test_a_method_orders_and_values_all_regions(make, n):
    made = make()
    ranking, asked = drive(made, interacting(n), n)
    assert sorted(ranking.order) == list(range(n))
    assert ranking.attribution.shape == (n,)
    assert ranking.attribution.dtype == np.float32
    assert np.isfinite(ranking.attribution).all()
    assert np.all(np.diff(ranking.attribution[ranking.order]) <= 0)
    assert asked == made.asks(n, n) == ranking.notes["sampled"]


@pytest.mark.parametrize("make", ALL)
def test_a_method_stops_at_k(make):
    full, _ = drive(make(), interacting(8), 8)
    cut, _ = drive(make(), interacting(8), 8, k=3)
    assert cut.order == full.order[:3]
    np.testing.assert_array_equal(cut.attribution, full.attribution)


@pytest.mark.parametrize("make", ALL)
def test_regions_that_change_nothing_are_equal_and_in_order(make):
    """Of a constant score; RISE's values differ by chance, so its regions need not be in order."""
    ranking, _ = drive(make(), lambda member: np.full(len(member), 0.25), 5)
    if make in (methods.rise, methods.drise):
        np.testing.assert_allclose(ranking.attribution, 0.25, atol=0.02)
    else:
        np.testing.assert_allclose(ranking.attribution, 0, atol=1e-7)
        assert ranking.order == list(range(5))


@pytest.mark.parametrize(
    "made",
    [
        methods.occlusion(),
        methods.occlusion(keep=True),
        methods.rise(60000),
        methods.drise(60000),
        methods.lime(2000),
        methods.kernel_shap(30),
        methods.sobol(280),
        methods.hsic(2000),
    ],
    ids=lambda made: made.name,
)
def test_modular_functions_are_sorted(made):
    weights = np.array([3, 1, 6, 2, 5, 4], np.float32)
    assert drive(made, modular(weights), 6)[0].order == [2, 4, 5, 0, 3, 1]


@pytest.mark.parametrize(
    "made",
    [methods.occlusion(), methods.rise(60000), methods.lime(2000), methods.kernel_shap(30)],
    ids=lambda m: m.name,
)
def test_what_lowers_the_score_comes_last(made):
    weights = np.array([1, -6, 3, -2], np.float32)
    assert drive(made, modular(weights), 4)[0].order == [2, 0, 3, 1]


@pytest.mark.parametrize("made", [methods.sobol(500), methods.hsic(2000)], ids=lambda made: made.name)
def test_sensitivity_has_no_sign(made):
    weights = np.array([1, -6, 3, -2], np.float32)
    assert drive(made, modular(weights), 4)[0].order == [1, 2, 3, 0]


@pytest.mark.parametrize("make", SAMPLING)
def test_a_seed_decides(make):
    f = interacting(12)
    first = drive(make(evaluations=100), f, 12, seed=1)[0].attribution
    np.testing.assert_array_equal(first, drive(make(evaluations=100), f, 12, seed=1)[0].attribution)
    np.testing.assert_array_equal(first, drive(make(evaluations=100, seed=1), f, 12, seed=7)[0].attribution)
    assert not np.array_equal(first, drive(make(evaluations=100), f, 12, seed=2)[0].attribution)


@pytest.mark.parametrize(
    ("made", "n", "rows"),
    [
        (methods.occlusion(), 49, 50),
        (methods.rise(), 49, 4000),
        (methods.drise(), 49, 5000),
        (methods.lime(), 49, 1000),
        (methods.kernel_shap(), 49, 2146),
        (methods.sobol(), 49, 1600),
        (methods.hsic(), 49, 1500),
        (methods.rise(77), 9, 77),
        (methods.drise(77), 9, 77),
        (methods.lime(77), 9, 77),
        (methods.kernel_shap(77), 9, 76),
        (methods.kernel_shap(5000), 9, 512),
        (methods.sobol(77), 9, 70),
        (methods.hsic(77), 9, 77),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_rows_are_those_of_the_docstring(made, n, rows):
    assert drive(made, interacting(n), n)[1] == rows == made.asks(n, n)


@pytest.mark.parametrize("make", SAMPLING)
def test_explains_budget_is_used_and_kept(make):
    """What explain's evaluations leave after both curves, at most the method's own number."""

    def sampled(made, **task):
        return len(next(made.start(Task(9, **task))).subsets)

    room = 200 - 2 * (9 + 1)
    assert sampled(make(), k=9, evaluations=200) == make(evaluations=room).asks(9, 9)
    assert sampled(make(), k=4, evaluations=200) == make(evaluations=200 - 2 * 5).asks(9, 4)
    assert sampled(make(evaluations=50), k=9, evaluations=200) == make(evaluations=50).asks(9, 9)
    assert sampled(make(evaluations=999), k=9, evaluations=200) == make(evaluations=room).asks(9, 9)


@pytest.mark.parametrize("make", ALL)
def test_the_order_gets_the_terms_that_any_search_would_give_it(make):
    """Effectiveness too, which needs features of rows that the method may have asked for by itself."""
    scorer = pysmdl.scorers.classifier(linear_model(), features=lambda batch: batch.flatten(1)[:, ::7])
    found = explain(scorer, regions="grid:9", objective=pysmdl.smdl(), search=make())
    again = explain(scorer, regions="grid:9", objective=pysmdl.smdl(), search=search.fixed(found.order))
    assert found.terms.keys() == again.terms.keys()
    for name, values in found.terms.items():
        np.testing.assert_array_equal(values, again.terms[name], err_msg=name)


@pytest.mark.parametrize("make", SAMPLING)
def test_too_few_evaluations_are_refused(make):
    least = 20 if make is methods.kernel_shap else 10
    with pytest.raises(ValueError, match=f"evaluations must be at least {least} for .* on 9 regions; got {least - 1}"):
        make(evaluations=least - 1).start(Task(9, 9))
    curves = least + 2 * 10
    with pytest.raises(ValueError, match=f"at least {curves} for .* and the curves of 9 of them; got {curves - 1}"):
        make().start(Task(9, 9, curves - 1))
    assert len(next(make(evaluations=least).start(Task(9, 9, curves))).subsets) == least
    for wrong in (0, -5):
        with pytest.raises(ValueError, match=f"evaluations must be a whole number of at least 1; got {wrong}"):
            make(evaluations=wrong)
    for wrong in (2.5, True, "many"):
        with pytest.raises(ValueError, match=f"evaluations must be a whole number of at least 1; got {wrong!r}"):
            make(evaluations=wrong)


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (methods.rise, {"keep": 0}),
        (methods.rise, {"keep": 1}),
        (methods.drise, {"keep": 1.5}),
        (methods.lime, {"kernel_width": 0}),
        (methods.lime, {"alpha": -1}),
        (methods.lime, {"kernel_width": float("nan")}),
        (methods.lime, {"kernel_width": None}),
        (methods.lime, {"alpha": float("nan")}),
        (methods.lime, {"alpha": float("inf")}),
        (methods.rise, {"keep": float("nan")}),
        (methods.rise, {"keep": None}),
        (search.stochastic, {"epsilon": float("nan")}),
        (search.stochastic, {"epsilon": 1}),
    ],
)
def test_a_parameter_out_of_range_is_named(make, wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"{name} must be .*; got {value}"):
        make(**wrong)


def test_lime_without_a_kernel_weighs_all_subsets_alike():
    found = explain(linear_model(), search=methods.lime(evaluations=60, kernel_width=float("inf")))
    wide = explain(linear_model(), search=methods.lime(evaluations=60, kernel_width=1e6))
    np.testing.assert_allclose(found.attribution, wide.attribution, atol=1e-6)
    assert found.notes["search.kernel_width"] == "infinite"
    json.loads(found.to_json(), parse_constant=pytest.fail)  # JSON has no infinity


def test_methods_load_no_framework():
    code = "import sys, pysmdl.methods; print([name for name in ('torch', 'scipy', 'sklearn') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# Through the engine.


@pytest.mark.parametrize("make", ALL)
def test_rows_seen_are_evaluations_and_orders_are_measured(make):
    model = Recorder(linear_model())
    made = make() if make is methods.occlusion else make(evaluations=60)
    found = explain(model, search=made)
    assert found.evaluations == len(model.rows) == len(set(model.rows))
    assert found.evaluations <= made.asks(16, 16) + 2 * 16
    assert found.asked >= found.evaluations
    assert sorted(found.order) == list(range(16))
    np.testing.assert_array_equal(found.order, np.argsort(-found.attribution, kind="stable"))
    assert np.isfinite(found.insertion).all()
    assert np.isfinite(found.deletion).all()
    assert found.notes["search"] == made.name
    assert found.notes["sampled"] == made.asks(16, 16)


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize(("k", "target"), [(None, 1), (None, None), (3, 1), (3, None)])
def test_the_engines_budget_is_kept(make, k, target):
    model = Recorder(linear_model())
    found = explain(model, search=make(), k=k, target=target, evaluations=90)
    assert "stopped" not in found.notes
    assert found.attribution.shape == (16,)
    assert len(found.order) == (k or 16)
    assert len(model.rows) == found.evaluations <= 90
    if make in (methods.rise, methods.drise, methods.lime):  # these ask for no row twice, save by chance
        assert found.evaluations >= 90 - 3


@pytest.mark.parametrize("make", ALL)
def test_batches_do_not_change_the_answer(make):
    made = make() if make is methods.occlusion else make(evaluations=60)
    alone, crowd = (explain(linear_model(), search=made, batch_size=size) for size in (1, 64))
    assert same(alone, crowd)
    np.testing.assert_array_equal(alone.attribution, crowd.attribution)


def test_the_seed_of_explain_is_used():
    first, second = (explain(linear_model(), search=methods.rise(60), seed=0), methods.rise(60, seed=0))
    np.testing.assert_array_equal(first.attribution, explain(linear_model(), search=second).attribution)


def test_one_region():
    found = explain(linear_model(), search=methods.kernel_shap(), regions="grid:1")
    assert found.order.tolist() == [0]
    assert found.attribution[0] == pytest.approx(found.insertion[1] - found.insertion[0], abs=1e-6)


def test_a_small_budget_names_what_the_method_needs():
    with pytest.raises(ValueError, match=r"evaluations must be at least 51 for occlusion on 16 regions .*; got 50"):
        explain(linear_model(), search=methods.occlusion(), evaluations=50)


def test_shapley_values_of_a_real_score_explain_its_gain():
    """At 9 regions kernel_shap takes all 512 subsets; its values add up to what the regions bring."""
    found = explain(linear_model(), search=methods.kernel_shap(), regions="grid:9")
    assert found.attribution.sum() == pytest.approx(found.insertion[-1] - found.insertion[0], abs=1e-6)
