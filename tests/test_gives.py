"""What a model's answers are taken for: logits, probabilities, sigmoids."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl.errors import ScorerError
from pysmdl.scorers import classifier

from toys import explain, image, linear_model

# Probabilities


def softmax_model(batch):
    return linear_model()(batch).softmax(1)


@pytest.fixture
def logged(caplog):
    caplog.set_level("WARNING", logger="pysmdl")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("target", [1, None])
def test_probabilities_are_explained_as_they_are(target, logged):
    objective = pysmdl.smdl(1, 0, 1, 1)
    given = classifier(softmax_model, gives="probabilities")
    found = explain(given, target=target, objective=objective, trace=[2, "predicted"])
    right = explain(linear_model(), target=target, objective=objective, trace=[2, "predicted"])
    assert found.order.tolist() == right.order.tolist()
    assert found.target == right.target
    np.testing.assert_array_equal(found.predicted, right.predicted)
    np.testing.assert_allclose(found.score, right.score, atol=1e-6)
    full = softmax_model(torch.from_numpy(image().transpose(2, 0, 1)[None]).float() / 255)
    assert found.deletion[0] == full[0, found.target]
    assert not logged()


def test_probabilities_need_no_sum_of_1():
    def several(batch):
        return linear_model()(batch).sigmoid().double().numpy()

    found = explain(classifier(several, gives="probabilities"), target=2)
    full = several(torch.from_numpy(image().transpose(2, 0, 1)[None]).float() / 255)
    assert found.deletion[0] == np.float32(full[0, 2])


def test_probabilities_taken_for_logits_are_warned_of_once_for_a_scorer(logged):
    scorer = classifier(softmax_model)
    explain(scorer)
    explain(scorer)
    assert len(logged()) == 1
    assert 'Give gives="probabilities" to pysmdl.scorers.classifier' in logged()[0]
    explain(linear_model())
    explain(lambda batch: linear_model()(batch).sigmoid())
    explain(lambda batch: linear_model()(batch).softmax(1)[:, :3])
    assert len(logged()) == 1


@pytest.mark.parametrize(
    ("model", "settings", "error", "message"),
    [
        (linear_model(), {}, ScorerError, r'gives="probabilities" needs answers in 0..1; the model returned -'),
        (softmax_model, {"target": 4}, ValueError, "target must be 0 to 3, a class of the model; got 4"),
        (lambda batch: softmax_model(batch)[:, :1], {"target": 0}, ValueError, r"give torch.cat\(\(1 - p, p\), 1\)"),
        (lambda batch: softmax_model(batch) * torch.nan, {}, ScorerError, "NaN or infinity"),
    ],
)  # fmt: skip
def test_what_is_no_probability_is_named(model, settings, error, message):
    with pytest.raises(error, match=message):
        explain(classifier(model, gives="probabilities"), **settings)


def test_gives_is_one_of_three():
    with pytest.raises(ValueError, match="gives must be one of 'logits', 'probabilities', 'sigmoid'; got 'scores'"):
        classifier(linear_model(), gives="scores")


# Answers that change, and other questions than were asked


@pytest.mark.parametrize("kind", ["classes", "tokens", "positions"])
def test_a_number_of_classes_that_changes_between_batches_is_refused(kind):
    def some(batch):
        return 2 + (len(batch) < 5)

    models = {
        "classes": (lambda f: classifier(f), lambda batch: linear_model()(batch)[:, : some(batch)], 1),
        "tokens": (
            lambda f: pysmdl.scorers.tokens(f),
            lambda batch: linear_model()(batch)[:, None, : some(batch)],
            pysmdl.Tokens([0]),
        ),
        "positions": (
            lambda f: pysmdl.scorers.tokens(f),
            lambda batch: linear_model()(batch)[:, None].expand(-1, some(batch), -1),
            pysmdl.Tokens([0]),
        ),
    }
    make, model, target = models[kind]
    with pytest.raises(ScorerError, match=r"the model returned .* a row, after .* in batches before"):
        explain(make(model), target=target, batch_size=5, regions="grid:9")
