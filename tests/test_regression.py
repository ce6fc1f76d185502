"""regression: coefficients of known functions, by least squares and by lasso; how well values add up to scores."""

from __future__ import annotations

import numpy as np
import pytest

from pysmdl import methods, metrics
from pysmdl.testing import drive


def both(member):
    return member[:, 0].astype(float) * member[:, 1]


def test_least_squares_of_a_product_are_its_best_linear_model():
    """f = g1 g2, each kept with 0.9: coefficients 0.9, 0.9, and r 0.9733 (E5)."""
    ranking, asked = drive(methods.regression(evaluations=60_000, keep=0.9), both, 2)
    assert asked == 60_000
    assert ranking.attribution == pytest.approx([0.9, 0.9], abs=0.01)
    fit = metrics.lds(both, ranking.attribution, keep=0.9, samples=60_000, seed=1, ranks=False)
    assert fit == pytest.approx(0.97332853, abs=2e-3)


def test_rows_are_ten_a_region_where_nobody_says():
    _, asked = drive(methods.regression(), lambda m: m.sum(1).astype(float), 7)
    assert asked == 70


@pytest.mark.parametrize("keep", [0.5, 0.95])
def test_least_squares_give_what_a_linear_model_weighs(keep, rng):
    weights = rng.normal(size=20)
    ranking, _ = drive(methods.regression(keep=keep, evaluations=400), lambda m: 0.3 + m @ weights, 20)
    assert ranking.attribution == pytest.approx(weights, abs=1e-5)
    assert ranking.order == np.argsort(-weights).tolist()


def test_a_lasso_finds_the_few_that_count_from_fewer_rows_than_regions(rng):
    weights = np.zeros(60)
    weights[[4, 17, 40]] = 2.0, -1.5, 1.0
    ranking, asked = drive(methods.regression(evaluations=48, fit="lasso"), lambda m: m @ weights, 60)
    assert asked == 48
    found = ranking.attribution
    assert set(np.argsort(-np.abs(found))[:3]) == {4, 17, 40}
    assert found[[4, 17, 40]] == pytest.approx(weights[[4, 17, 40]], abs=0.1)
    assert (np.abs(np.delete(found, [4, 17, 40])) < 0.1).all()
    with pytest.raises(ValueError, match="evaluations must be at least 61"):
        drive(methods.regression(evaluations=48), lambda m: m @ weights, 60)


def test_a_lasso_meets_its_optimality_conditions(rng):
    """No coefficient that is 0 pulls harder than the penalty; each that is not pulls just as hard."""
    from pysmdl.methods.regression import PENALTIES, lasso_path

    x, y = rng.normal(size=(200, 12)), rng.normal(size=200)
    centred, left = x - x.mean(0), y - y.mean()
    most = np.abs(centred.T @ left).max() / 200
    for penalty, b in zip(PENALTIES * most, lasso_path(x, y), strict=True):
        pull = centred.T @ (left - centred @ b) / 200
        assert (np.abs(pull) <= penalty + 1e-6).all()
        assert pull[b != 0] == pytest.approx(penalty * np.sign(b[b != 0]), abs=1e-6)


@pytest.mark.parametrize("fit", ["ols", "lasso"])
def test_a_constant_score_gives_zeros(fit):
    ranking, _ = drive(methods.regression(fit=fit), lambda m: np.full(len(m), 0.3), 5)
    assert not ranking.attribution.any()


def test_what_is_wrong_is_said():
    with pytest.raises(ValueError, match="fit must be one of"):
        methods.regression(fit="ridge")
    with pytest.raises(ValueError, match="keep must be"):
        methods.regression(keep=1)
    with pytest.raises(ValueError, match="evaluations must be at least 6"):
        drive(methods.regression(evaluations=5), both, 5)


def test_values_that_add_up_have_lds_1_and_random_ones_chance(rng):
    weights = rng.normal(size=30)
    assert metrics.lds(lambda m: np.exp(m @ weights), weights) == pytest.approx(1), "ranks see no scale"
    assert metrics.lds(lambda m: m @ weights, -weights) == pytest.approx(-1)
    chance = [metrics.lds(lambda m: m @ rng.normal(size=30), rng.normal(size=30), seed=i) for i in range(60)]
    assert abs(np.mean(chance)) < 3 * np.std(chance) / np.sqrt(60)
    assert np.isnan(metrics.lds(lambda m: np.ones(len(m)), weights))
    assert metrics.lds(lambda m: m @ weights, np.zeros(30)) == 0
    with pytest.raises(ValueError, match=r"attribution must be \[n\] finite values"):
        metrics.lds(both, [np.nan, 1.0])


def test_edit_scores_are_differences_over_their_errors():
    """T = [[1, 0], [3, 0]], R = [[0, 1], [0, 3]] (E5)."""
    found = metrics.edit_scores([[1, 0], [3, 0]], [[0, 1], [0, 3]])
    assert found == pytest.approx([2.82842712, -2.82842712])
    assert metrics.edit_scores([[1.0, 2.0]], [[1.0, 1.0]]).tolist() == [0, np.inf]
    with pytest.raises(ValueError, match=r"of the same n players; got \[1, 2\] and \[1, 3\]"):
        metrics.edit_scores([[1, 2]], [[1, 2, 3]])
