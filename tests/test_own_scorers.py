"""A scorer of one's own."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

import pysmdl
from pysmdl.models.answers import Form
from pysmdl.scorers import InputSpec, Outputs, Reading, Scorer, classifier

from toys import explain, image

# A scorer of one's own


class Brightness(Scorer):
    """The model's answer in 0..1 is the score."""

    has_confidence = False
    given = None

    def encode(self, target, trace, scale=(1.0, 1.0)):
        return np.zeros(1, np.float32)

    def unresolved(self, target):
        return False

    def resolve(self, target, full, features):
        return target

    def describe(self, target):
        return "brightness"

    def score(self, batch, targets, wanted):
        return Outputs(self.model.tensor(batch, Form("the model", 2)).mean(1, keepdim=True))

    def read(self, values, target):
        return Reading(values[:, 0]) if self.given is None else self.given(values)


def test_a_scorer_of_ones_own_calls_the_model_and_reads_its_answer():
    scorer = Brightness(lambda batch: batch.flatten(1).numpy()[:, ::-1], InputSpec())
    found = explain(scorer, objective=pysmdl.smdl(0, 0, 1, 1), search="exact")
    assert found.target == "brightness"
    assert found.deletion[0] == pytest.approx(image().mean() / 255, abs=1e-6)
    assert found.insertion[0] == 0
    assert found.plot().axes[0].get_title().startswith("why brightness?")


@pytest.mark.parametrize("given", [lambda values: {"score": values[:, 0]}, lambda values: values[:, 0], lambda _: None])
def test_a_scorer_that_reads_no_reading_is_named(given):
    scorer = Brightness(lambda batch: batch.flatten(1), InputSpec())
    scorer.given = given
    with pytest.raises(TypeError, match=r"a scorer's read\(\) must return a pysmdl.scorers.Reading; got "):
        explain(scorer, objective=pysmdl.smdl(0, 0, 1, 1))


def test_a_scorer_says_its_model():
    assert repr(classifier(nn.Sequential(nn.Flatten()).eval(), device="cpu")) == "<Classifier: Sequential, cpu>"
