"""Estimators of scikit-learn as they are: which of their answers is explained, and how it is read."""

from __future__ import annotations

import numpy as np
import pytest
from command_line import call

import pysmdl
from pysmdl import heads, scorers
from pysmdl.errors import ScorerError

pytest.importorskip("sklearn")
from sklearn import cluster, ensemble, linear_model, multioutput, neighbors, pipeline, preprocessing, svm

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(80, 3))
TWO = (ROWS[:, 0] + 0.5 * ROWS[:, 1] > 0).astype(int)
THREE = np.digitize(ROWS[:, 0] - ROWS[:, 2], (-0.7, 0.7))


def explained(model, target=None, **settings):
    settings = {"search": "occlusion", **settings}
    return pysmdl.explain(ROWS[0], model, target, progress=False, **settings)


def away(weights):
    return weights * (ROWS[0] - ROWS.mean(0))


class Deployed:
    """What answers rows and was never fitted here, as a library's own trees do."""

    def __init__(self, name):
        known = linear_model.LogisticRegression().fit(ROWS, THREE)
        setattr(self, name, known.predict_proba if name == "predict_proba" else lambda rows: known.predict_proba(rows))


def test_what_only_answers_rows_goes_in_as_it_is():
    wanted = explained(linear_model.LogisticRegression().fit(ROWS, THREE), 1)
    for model, gives in ((Deployed("predict_proba"), {}), (Deployed("predict"), {"gives": "probabilities"})):
        found = explained(model, 1, **gives)
        assert found.attribution.tolist() == pytest.approx(wanted.attribution.tolist())
    with pytest.raises(ScorerError, match='classes need gives="probabilities" or "logits"'):
        explained(Deployed("predict"), 1)


@pytest.mark.parametrize(
    "model",
    [svm.LinearSVC(), linear_model.RidgeClassifier(), pipeline.make_pipeline(svm.SVC(kernel="linear"))],
    ids=lambda model: type(model).__name__,
)
def test_a_classifier_without_probabilities_is_read_by_what_it_decides_by(model):
    model.fit(ROWS, TWO)
    scorer = scorers.table(model, data=ROWS, head=heads.log_odds())
    weights = np.ravel(getattr(model, "coef_", None) if hasattr(model, "coef_") else model[-1].coef_)
    found = explained(scorer, 1)
    assert found.attribution == pytest.approx(away(weights), abs=1e-4)
    assert found.deletion[0] == pytest.approx(float(model.decision_function(ROWS[:1])[0]), abs=1e-4)
    assert explained(scorer).target == int(model.predict(ROWS[:1])[0])
    assert "softmax of its decision_function, which is no probability" in repr(scorer)


def test_three_classes_have_a_decision_each():
    model = svm.SVC().fit(ROWS, THREE)
    found = explained(scorers.table(model, data=ROWS, head=heads.value()), 2)
    assert found.deletion[0] == pytest.approx(float(model.decision_function(ROWS[:1])[0, 2]), abs=1e-5)
    with pytest.raises(ValueError, match="SVC decides between pairs of classes: give decision_function_shape='ovr'"):
        scorers.table(svm.SVC(decision_function_shape="ovo").fit(ROWS, THREE))


@pytest.mark.parametrize("model", [svm.OneClassSVM(), ensemble.IsolationForest(n_estimators=5, random_state=0)])
def test_an_outlier_detector_is_a_number(model):
    model.fit(ROWS)
    found = explained(scorers.table(model, data=ROWS))
    assert found.target == "the score"
    assert found.deletion[0] == pytest.approx(float(model.decision_function(ROWS[:1])[0]), abs=1e-4)


def test_a_classifier_that_only_predicts_gives_one_or_nothing():
    model = ensemble.VotingClassifier([("a", svm.LinearSVC())], voting="hard").fit(ROWS, np.array(["no", "yes"])[TWO])
    found = explained(scorers.table(model, data=ROWS))
    assert found.names[found.target] == model.predict(ROWS[:1])[0]
    assert set(np.unique(found.insertion)) <= {0.0, 1.0}


def test_classes_have_the_names_that_they_were_fitted_on():
    model = linear_model.LogisticRegression().fit(ROWS, np.array([3, 7])[TWO])
    assert explained(scorers.table(model), "7").target == 1
    assert scorers.table(linear_model.LogisticRegression().fit(ROWS, TWO)).names is None


def test_what_answers_several_things_at_once_is_told():
    both = np.stack((TWO, 1 - TWO), 1)
    for model, message in (
        (linear_model.Ridge().fit(ROWS, ROWS[:, :2]), r"Ridge answers 2 outputs .* lambda rows: model.predict\(rows\)"),
        (
            ensemble.RandomForestClassifier(3).fit(ROWS, both),
            r"answers 2 outputs at once: .*predict_proba\(rows\)\[0\]",
        ),
        (multioutput.MultiOutputClassifier(svm.LinearSVC()).fit(ROWS, both), "answers 2 outputs at once"),
    ):
        with pytest.raises(ScorerError, match=message):
            explained(scorers.table(model))
    with pytest.raises(ValueError, match="KMeans numbers clusters, of which none is more than another"):
        scorers.table(cluster.KMeans(2, n_init=1).fit(ROWS))
    with pytest.raises(TypeError, match="predict must be callable"):
        scorers.table(neighbors.LocalOutlierFactor().fit(ROWS))
    with pytest.raises(ValueError, match=r"gives must be what Ridge has, value \(predict\); got 'logits'"):
        scorers.table(linear_model.Ridge().fit(ROWS, TWO), gives="logits")


def test_an_estimator_is_explained_as_it_is():
    model = pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression()).fit(ROWS, TWO)
    same = explained(scorers.table(model), 1)
    for given in (model, model.predict_proba):
        found = explained(given, 1)
        assert found.modality == "table"
        assert found.players == ("x0", "x1", "x2")
        assert found.attribution.tolist() == same.attribution.tolist()
    ridge = linear_model.Ridge().fit(ROWS, ROWS @ np.array([1.0, -2, 0]))
    assert explained(ridge, baseline=ROWS.mean(0)).attribution == pytest.approx(away(ridge.coef_), abs=1e-4)
    odds = explained(model, 1, head=heads.log_odds(), baseline=ROWS)
    assert odds.attribution.sum() == pytest.approx(float(odds.deletion[0] - odds.insertion[0]), abs=1e-4)
    with pytest.raises(ValueError, match="Pipeline reads a table's rows; drop prompt"):
        explained(model, prompt="why?")


FITTED = """
import numpy as np
from sklearn.linear_model import LogisticRegression

rows = np.random.default_rng(0).normal(size=(40, 2))
model = LogisticRegression().fit(rows, np.array(["no", "yes"])[(rows[:, 0] > 0).astype(int)])
"""


def test_an_estimator_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fitted.py").write_text(FITTED)
    (tmp_path / "rows.csv").write_text("a,b\n2,0.1\n-2,0.3\n")
    code, said = call("explain", "rows.csv:1", "--model", "fitted:model", "--target", "no", "--plot", "none")
    assert code == 0, said
    made = pysmdl.load(tmp_path / "explanations" / "rows-1.npz")
    assert (made.players, made.order[0]) == (("a", "b"), 0)
