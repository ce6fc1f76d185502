"""Rows of tables: columns by name, baselines of the background, fills that are drawn; on linear models exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl import heads, methods, removal, scorers
from pysmdl.errors import ImageError, ScorerError

from toys import explained

datasets = pytest.importorskip("sklearn.datasets")


@pytest.fixture(scope="module")
def cancer():
    """Breast cancer data, a logistic regression on it, and what each column adds to the log-odds, up to the mean."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = datasets.load_breast_cancer()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(data.data, data.target)
    weights = model[-1].coef_[0] / model[0].scale_
    return data, model, weights * (data.data - data.data.mean(0))


def of_cancer(cancer, **settings):
    data, model, _ = cancer
    return scorers.table(model, data.feature_names, data=data.data, head=heads.log_odds(), **settings)


def test_log_odds_of_a_logistic_regression_are_shared_out_exactly(cancer):
    data, _, truth = cancer
    scorer, rows = of_cancer(cancer, names=data.target_names), range(0, 500, 5)
    found = pysmdl.explain_many(
        [(data.data[i], 1) for i in rows], scorer, search="occlusion", ordered=True, progress=False
    )
    for i, each in zip(rows, found, strict=True):
        assert np.abs(each.values() - truth[i]).max() < 1e-5
    assert each.players == tuple(data.feature_names)
    assert each.names[1] == "benign"
    assert each.modality == "table"


@pytest.mark.parametrize("search", ["exact", "bidirectional", "guided", "backward", "lazy", "kernel_shap"])
def test_every_way_of_crediting_agrees_on_a_linear_model(search, cancer):
    data, _, truth = cancer
    for i in (3, 100):
        found = explained(data.data[i], of_cancer(cancer), 1, search=search)
        assert np.abs(found.values() - truth[i]).max() < 1e-5


EXACT = {"occlusion": methods.occlusion(), "lime": methods.lime(alpha=0), "kernel_shap": methods.kernel_shap(),
         "regression": methods.regression()}  # fmt: skip


@pytest.mark.parametrize("name", methods.METHODS)
def test_every_estimator_gives_its_own_reading_of_a_linear_model(name, cancer):
    """What a column adds; its share of the squares, where signs are not seen; the mean where it is kept."""
    data, _, truth = cancer
    for i in (3, 100, 7):
        found = explained(data.data[i], of_cancer(cancer), 1, search=EXACT.get(name, name))
        values, adds = found.values(), truth[i]
        variance = (adds**2).sum() / 4
        middle = float(found.insertion[0]) + adds.sum() / 2
        if name in EXACT:
            assert np.abs(values - adds).max() < 1e-5
        elif name == "sobol":
            assert np.abs(values / values.sum() - adds**2 / (4 * variance)).max() < 1e-5
            assert values.sum() == pytest.approx(1, abs=0.2), "the variance is that of 32 designs"
        elif name == "hsic":
            assert np.corrcoef(values, adds**2)[0, 1] > 0.95
        else:
            error = np.sqrt((middle**2 + variance) * 2 / found.notes["sampled"])
            assert np.abs(values - (middle + adds / 2)).max() < 4 * error


def test_limes_own_ridge_shrinks_what_a_linear_model_adds(cancer):
    data, _, truth = cancer
    for i in (3, 100):
        values = explained(data.data[i], of_cancer(cancer), 1, search="lime").values()
        share = values @ truth[i] / (truth[i] @ truth[i])
        assert 0.97 < share < 0.999
        assert np.abs(values - truth[i]).max() < 0.03 * np.abs(truth[i]).max()


def test_one_hot_columns_move_together():
    weights = np.array([1.0, 2, 4, 8])
    names = ["age", "red", "blue", "height"]
    seen = []
    scorer = scorers.table(lambda rows: seen.append(rows) or rows @ weights, names, {"colour": ["red", "blue"]})
    found = explained([1.0, 0, 1, 1], scorer, search="exact", baseline=[0, 1, 0, 0])
    assert found.players == ("age", "colour", "height")
    assert found.values().tolist() == pytest.approx([1, 2, 8])
    colours = np.concatenate(seen)[:, 1:3]
    assert (colours.sum(1) == 1).all(), "no row shows two colours, or none"
    for wrong in ({"colour": ["green"]}, {"a": ["red"], "b": ["red"]}):
        with pytest.raises(ValueError, match="must name each column once at most"):
            scorers.table(lambda rows: rows[:, 0], names, wrong)


def test_baselines_of_the_background():
    data = np.array([[0.0, 0], [0, 10], [3, 20]])
    scorer = scorers.table(lambda rows: rows.sum(1), ["a", "b"], data=data)
    x = np.array([5.0, 7.0])
    for baseline, wanted in (
        (None, [4, -3]), ("mean", [4, -3]), ("median", [5, -3]), ("zero", [5, 7]), ([1, 1], [4, 6]), (data, [4, -3])
    ):  # fmt: skip
        found = explained(x, scorer, baseline=baseline, search="exact")
        assert found.values().tolist() == pytest.approx(wanted, abs=1e-5)
        rows = 3 if baseline is data else 1
        assert found.evaluations == 4 * rows, "each draw is an evaluation"
    plain = scorers.table(lambda rows: rows.sum(1))
    assert explained(x, plain).players == ("x0", "x1")
    with pytest.raises(ValueError, match="give scorers"):
        explained(x, plain, baseline="median")


def test_a_conditional_fill_shares_credit_with_what_goes_along():
    """f = x1, x = (1, 1), means 0, correlation 0.5: Shapley values (0.75, 0.25); painted over (1, 0)."""
    scorer = scorers.table(lambda rows: rows[:, 0], ["a", "b"])
    for draws in ("mean", 2, 7, 8):
        fill = removal.conditional_gaussian([0, 0], [[1, 0.5], [0.5, 1]], draws)
        game = pysmdl.Game(np.ones(2), scorer, baseline=fill)
        empty, first, second, both = game([[0, 0], [1, 0], [0, 1], [1, 1]])
        if draws != 7:  # an odd one has no mirror
            assert (first - empty + both - second) / 2 == pytest.approx(0.75, abs=1e-5)
            assert (second - empty + both - first) / 2 == pytest.approx(0.25, abs=1e-5)
        assert both == 1
        assert np.array_equal(game([[1, 0]]), [first])
    found = explained(np.ones(2), scorer, baseline=removal.conditional_gaussian([0, 0], [[1, 0.5], [0.5, 1]], "mean"),
                      search="kernel_shap")  # fmt: skip
    assert found.values().tolist() == pytest.approx([0.75, 0.25], abs=1e-5)
    assert explained(np.ones(2), scorer, search="kernel_shap").values().tolist() == pytest.approx([1, 0])


def test_conditional_draws_have_the_conditional_mean_and_covariance():
    root = np.random.default_rng(1).normal(size=(3, 3))
    covariance, mean, x = root @ root.T + np.eye(3), np.array([1.0, -1, 2]), np.array([0.0, 1, 3])
    fill = removal.conditional_gaussian(mean, covariance, 4000)
    seen = []
    scorer = scorers.table(lambda rows: seen.append(rows) or rows[:, 0])
    game = pysmdl.Game(x, scorer, baseline=fill)
    seen.clear()
    game([[0, 1, 0]])
    drawn = np.concatenate(seen)[:, [0, 2]]
    gone, kept = [0, 2], [1]
    pull = covariance[np.ix_(gone, kept)] @ np.linalg.inv(covariance[np.ix_(kept, kept)])
    wanted = covariance[np.ix_(gone, gone)] - pull @ covariance[np.ix_(kept, gone)]
    assert np.allclose(drawn.mean(0), mean[gone] + pull @ (x[kept] - mean[kept]), atol=1e-5)
    assert np.allclose(np.cov(drawn.T), wanted, atol=0.15)


def test_a_border_is_what_regions_are_replaced_by():
    """On a linear model the mean over draws is that of the border, exactly: half of the draws mirror the others."""
    rng = np.random.default_rng(0)
    x, weights = torch.from_numpy(rng.normal(size=(3, 12, 12)).astype(np.float32)), torch.rand(3, 12, 12)
    scorer = scorers.scalar(lambda batch: (batch * weights).sum((1, 2, 3)))
    ring = np.ones((12, 12), bool)
    ring[1:-1, 1:-1] = False
    apart = (weights * (x - x[:, ring].mean(1)[:, None, None])).sum(0).numpy()
    wanted = [apart[:6, :6].sum(), apart[:6, 6:].sum(), apart[6:, :6].sum(), apart[6:, 6:].sum()]
    for draws in ("mean", 8):
        found = explained(x, scorer, regions="grid:4", search="exact", baseline=removal.boundary_gaussian(draws))
        assert found.values().tolist() == pytest.approx(wanted, abs=2e-4)
    again = [explained(x, scorer, regions="grid:4", baseline=removal.noise(0.5, 4)).insertion for _ in range(2)]
    assert np.array_equal(*again), "the draws are the fill's own, and the same each time"


def test_a_region_is_replaced_by_what_is_around_it():
    x = torch.zeros(2, 9, 9)
    x[0], x[1], x[:, 3:6, 3:6] = 2.0, 5.0, 9.0
    labels = np.full((9, 9), -1)
    labels[3:6, 3:6] = 0
    seen = []
    scorer = scorers.scalar(lambda batch: seen.append(batch.clone()) or batch.sum((1, 2, 3)))
    found = explained(x, scorer, regions=labels, baseline=removal.local_mean())
    assert found.values().tolist() == pytest.approx([9 * (9 - 2) + 9 * (9 - 5)])
    hidden = next(row for batch in seen for row in batch if row[0, 4, 4] != 9)
    assert torch.equal(hidden, torch.tensor([2.0, 5.0])[:, None, None].expand(2, 9, 9))
    assert found.evaluations == 2


def test_draws_are_counted_and_no_budget_is_exceeded():
    scorer = scorers.table(lambda rows: rows @ np.arange(1.0, 7.0))
    data = np.random.default_rng(0).normal(size=(50, 6))
    found = explained(np.ones(6), scorer, baseline=removal.marginal(data, 5), search="exact", evaluations=100)
    assert found.evaluations % 5 == 0
    assert found.evaluations <= 100
    assert found.notes["baseline"] == "marginal, 5 draws"
    with pytest.raises(ValueError, match="what is drawn is painted over"):
        explained(torch.rand(3, 8, 8), lambda b: b, removal="token-drop", baseline=removal.noise(1.0))
    with pytest.raises(ValueError, match="an item has no baseline of its own"):
        list(pysmdl.explain_many([{"input": np.ones(6), "baseline": 0}], scorer, baseline=data, progress=False))


@pytest.mark.parametrize("gives", ["probabilities", "logits", "value"])
def test_what_a_model_gives_may_be_said(gives):
    function = {
        "probabilities": lambda rows: np.stack((1 - rows[:, 0] / 4, rows[:, 0] / 4), 1),
        "logits": lambda rows: np.stack((0 * rows[:, 0], rows[:, 0]), 1),
        "value": lambda rows: rows[:, 0],
    }[gives]
    found = explained([2.0, 1], scorers.table(function, gives=gives), None if gives == "value" else 1)
    wanted = {"probabilities": 0.5, "logits": 1 / (1 + np.exp(-2)), "value": 2}[gives]
    assert found.deletion[0] == pytest.approx(wanted)


def test_torch_modules_and_estimators_are_told_apart(cancer):
    module = torch.nn.Linear(3, 2).eval().requires_grad_(False)
    found = explained(torch.ones(3), scorers.table(module), 1)
    assert found.deletion[0] == pytest.approx(float(module(torch.ones(3)).softmax(0)[1]), abs=1e-6)
    data, model, _ = cancer
    by_name = [scorers.table(each) for each in (model, model.predict_proba)]
    assert (
        explained(data.data[0], by_name[0], 1).score.tolist() == explained(data.data[0], by_name[1], 1).score.tolist()
    )
    with pytest.raises(TypeError, match="predict must be callable"):
        scorers.table(3)


def test_classes_have_the_names_that_an_estimator_was_fitted_on(cancer):
    from sklearn.linear_model import LogisticRegression

    rows, labels = cancer[0].data[:, :3], np.where(cancer[0].target == 1, "benign", "malign")
    net = LogisticRegression(max_iter=1000).fit(rows, labels)
    found = explained(rows[0], scorers.table(net), target="malign")
    assert found.target == 1
    assert "malign" in repr(found)
    assert explained(rows[0], scorers.table(net, names=["a", "b"]), target="b").target == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"columns": "age"}, "columns must be names, one a column; got the text 'age'"),
        ({"categorical": ["a", "b"]}, "categorical must be a dict of a category's name to its columns"),
        ({"categorical": {"k": "z"}}, "must name each column once at most; got 'z' in 'k'"),
        ({"data": [[1.0, np.nan, 2]]}, "data must be finite; it holds NaN"),
        ({"data": [["x", 1, 2]]}, "data must hold numbers, categories one-hot"),
        ({"columns": ["a", "b", "a"]}, "columns must have a name each; 'a' is there twice"),
    ],
)
def test_tables_that_are_none_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        scorers.table(lambda rows: rows[:, 0], **{"columns": ["a", "b", "c"], **settings})


def test_rows_of_pandas_that_are_none_are_refused():
    pandas = pytest.importorskip("pandas")
    scorer = scorers.table(lambda rows: rows[:, 0], ["a", "b"])
    for row, message in (
        (pandas.DataFrame([[1, 2], [3, 4]], columns=["a", "b"]), "a row must be one; got a frame of 2"),
        (pandas.Series({"a": 1, "b": pandas.NA}), "a row must hold numbers"),
        ({"a": 1, "b": "old"}, "a row must hold numbers.*'old'"),
        (pandas.DataFrame([[1, 2, 3]], columns=["a", "b", "a"]), r"a row must have each column once; \['a'\] are"),
    ):
        with pytest.raises(ImageError, match=message):
            explained(row, scorer)
    with pytest.raises(ValueError, match=r"data of marginal must be inputs like the one explained, .*; got \[3\]"):
        explained([1, 2], scorer, baseline=pysmdl.removal.marginal(np.ones((4, 3))))
    with pytest.raises(ValueError, match="data must be finite"):
        explained([1, 2], scorer, baseline=pysmdl.removal.marginal([[1.0, np.nan]]))
    with pytest.raises(ValueError, match="data must be finite"):
        pysmdl.removal.marginal([[1.0, np.inf]])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([1e39, 2, 3], r"numbers beyond those of float32; got 1e\+39"),
        ([1.0, 2], r"must be \[3\]"),
        (["a", "b", "c"], "must hold numbers"),
        ([1, None, 3], "fill what is missing"),
        ([1, 2, np.nan], "fill what is missing"),
    ],
)
def test_rows_that_are_none_are_refused(row, message):
    with pytest.raises(ImageError, match=message):
        explained(row, scorers.table(lambda rows: rows[:, 0], ["a", "b", "c"]))


def test_columns_have_nothing_to_be_blurred_with():
    with pytest.raises(ValueError, match='baseline="blur" is of what has neighbours'):
        explained([1.0, 2], scorers.table(lambda rows: rows[:, 0]), baseline="blur")


def test_columns_may_be_players_together_by_name_or_by_a_label_map():
    scorer = scorers.table(lambda rows: rows @ np.array([1.0, 2, 3, 4]), ["a", "b", "c", "d"])
    row, settings = np.array([1.0, 2, 3, 4]), {"search": "exact", "progress": False}
    found = pysmdl.explain(row, scorer, players={"ends": ["a", "d"]}, **settings)
    assert dict(zip(found.players, found.values(), strict=True)) == pytest.approx({"ends": 17, "b": 4, "c": 9})
    found = pysmdl.explain(row, scorer, players=np.array([0, 0, 1, -1]), **settings)
    assert dict(zip(found.players, found.values(), strict=True)) == pytest.approx({"a, b": 5, "c": 9})
    assert found.deletion[-1] == pytest.approx(16), "-1 is always shown"
    found = pysmdl.explain(row, scorers.table(lambda rows: rows.sum(1)), players=[0, 0, 1, 1], **settings)
    assert found.players == ("x0, x1", "x2, x3")
    with pytest.raises(ValueError, match="players, must name each column once at most; got 'z' in 'ends'"):
        pysmdl.explain(row, scorer, players={"ends": ["a", "z"]}, **settings)


def test_what_is_missing_is_named_and_text_in_a_background_told():
    pandas = pytest.importorskip("pandas")
    scorer = scorers.table(lambda rows: rows.sum(1), ["age", "pay"])
    with pytest.raises(ImageError, match="the row holds NaN or infinity in pay: fill what is missing first"):
        pysmdl.explain(pandas.Series([3, None], ["age", "pay"]), scorer, progress=False)
    with pytest.raises(ImageError, match="a row must hold numbers, categories one-hot: pay is 'high'"):
        pysmdl.explain(pandas.Series([3, "high"], ["age", "pay"]), scorer, progress=False)
    with pytest.raises(ImageError, match=r"a row must be an array, a Series, .* got 'rows.parquet': read it first"):
        pysmdl.explain("rows.parquet", scorer, progress=False)
    frame = pandas.DataFrame({"age": [1, 2], "pay": ["low", "high"]})
    for given in (lambda: removal.marginal(frame), lambda: pysmdl.explain([1, 2], scorer, baseline=frame)):
        with pytest.raises(ValueError, match="data must hold numbers, categories one-hot: could not convert"):
            given()


def test_numbers_that_float32_has_not_are_warned_of_once(caplog):
    start = 1_700_000_000
    scorer = scorers.table(lambda rows: (rows[:, 1] - start) / 60, ["age", "seen"])
    for _ in range(2):
        scorer.reader.row([40.5, start + 1])
    assert len(caplog.records) == 1
    assert "rows are float32 here, in which seen is 1700000000 and not 1700000001" in caplog.text
    scorers.table(lambda rows: rows[:, 0], ["age", "seen"]).reader.row([0.1, 2.0**24])
    assert len(caplog.records) == 1


@pytest.mark.parametrize("kind", ["histograms", "imputed"])
def test_an_estimator_that_takes_nan_for_what_is_missing_is_given_it(kind, tmp_path):
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    rows = np.random.default_rng(0).normal(size=(200, 4))
    labels = rows[:, 0] + rows[:, 1] > 0
    rows[::3, 0] = np.nan
    forest = make_pipeline(SimpleImputer(), RandomForestClassifier(10, random_state=0))
    net = (HistGradientBoostingClassifier(max_iter=20) if kind == "histograms" else forest).fit(rows, labels)
    for name, baseline in (("mean", "mean"), ("drawn", removal.marginal(rows, 6))):
        scorer = scorers.table(net, data=rows)
        game = pysmdl.Game(rows[0], scorer, 1, baseline=baseline)
        absent = np.nanmean(rows, 0)[None] if name == "mean" else baseline.data.double().numpy()
        for kept in np.random.default_rng(1).random((20, 4)) < 0.5:
            wanted = net.predict_proba(np.where(kept, rows[0].astype(np.float32), absent.astype(np.float32)))[:, 1]
            assert game(kept)[0] == pytest.approx(wanted.mean(), abs=1e-6)
    found = pysmdl.explain(rows[0], net, 1, baseline=rows, progress=False)
    found.save(tmp_path / "e.npz")
    found.plot()
    assert "NaN" not in found.to_json()
    assert pysmdl.load(tmp_path / "e.npz").players == found.players


def test_an_estimator_that_does_not_take_nan_says_so():
    from sklearn.linear_model import LogisticRegression

    rows = np.random.default_rng(0).normal(size=(20, 3))
    net = LogisticRegression().fit(rows, rows[:, 0] > 0)
    with pytest.raises(ScorerError, match=r"LogisticRegression does not accept missing values encoded as NaN"):
        pysmdl.explain([np.nan, 1, 2], net, baseline=rows, progress=False)
    gaussian = removal.conditional_gaussian(np.zeros(3), np.eye(3))
    with pytest.raises(ValueError, match="a row with NaN gives no distribution of other columns"):
        pysmdl.explain([np.nan, 1, 2], net, baseline=gaussian, progress=False)
