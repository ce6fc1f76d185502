"""Names of classes: given or the model's own, in results, files and errors; targets by name."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from torch import nn

import pysmdl
from pysmdl.models.class_names import class_named, names_in, names_of

from toys import explain, linear_model, linear_net

NAMES = ["tabby, tabby cat", "tiger cat", "crane", "crane"]


@pytest.mark.slow
def test_a_result_names_the_classes_that_it_speaks_of(tmp_path):
    found = explain(linear_model(), target=1, names=NAMES, trace=["predicted"])
    spoken = {1, *found.traced, *np.unique(found.predicted).tolist()}
    assert found.names == {index: NAMES[index] for index in spoken}
    assert json.loads(found.to_json())["names"]["1"] == "tiger cat"
    found.save(tmp_path / "x.npz")
    assert pysmdl.load(tmp_path / "x.npz").names == found.names
    assert found.plot().axes[0].get_title().startswith("why tiger cat?")
    assert found.plot(names=["", "lynx"]).axes[0].get_title().startswith("why lynx?")
    assert "tiger cat" in repr(found)


def test_a_target_may_be_a_name():
    by_number = explain(linear_model(), target=0, names=NAMES)
    for name in ("tabby", "Tabby Cat", " tabby, tabby cat "):
        found = explain(linear_model(), target=name, names=NAMES)
        assert found.target == 0
        assert found.order.tolist() == by_number.order.tolist()
    assert set(explain(linear_model(), target="tabby", names=NAMES, trace=["tiger cat"]).traced) == {1}


def test_a_trace_of_no_class_is_not_taken_for_the_target():
    with pytest.raises(ValueError, match=r"trace=\['predictd'\]: target 'predictd' is the name of no class"):
        explain(linear_model(), target=1, names=NAMES, trace=["predictd"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("crane", r"target 'crane' is the name of several classes: 2 \(crane\), 3 \(crane\); give the number"),
        ("taby", "target 'taby' is the name of no class; there are 'tabby, tabby cat'"),
        ("cat", "target 'cat' is the name of no class; there are .*'tiger cat'"),
        ("zebra", "target 'zebra' is the name of no class; there are 4 classes"),
    ],
)
def test_names_that_name_no_class_are_told_the_nearest(name, message):
    with pytest.raises(ValueError, match=message):
        explain(linear_model(), target=name, names=NAMES)


def test_a_name_without_names_is_told_how_to_give_them():
    with pytest.raises(ValueError, match="target 'cat' is a name, and the model's classes have none: give names="):
        explain(linear_model(), target="cat")


def test_names_are_taken_in_any_form():
    assert names_of(["a", "", "c"]) == {0: "a", 2: "c"}
    assert names_of({"3": "d", 1: "b"}) == {3: "d", 1: "b"}
    assert names_of(np.array(["a", "b"])) == {0: "a", 1: "b"}
    assert names_of(SimpleNamespace(meta={"categories": ["a", "b"]})) == {0: "a", 1: "b"}
    assert names_of(None) is None
    for odd in ("abc", 3, b"ab"):
        with pytest.raises(ValueError, match="names must be a sequence"):
            names_of(odd)


def test_a_model_may_carry_its_names():
    net = linear_net()
    assert names_in([net]) is None
    net.config = SimpleNamespace(id2label={0: "LABEL_0", 1: "LABEL_1"})
    assert names_in([net]) is None
    net.config = SimpleNamespace(id2label=dict(enumerate(NAMES)))
    found = explain(net, target="tabby")
    assert found.names[0] == NAMES[0]
    timm = nn.Identity()
    timm.pretrained_cfg = {"label_names": ["n01", "n02"], "label_descriptions": {"n01": "a cat"}}
    assert names_in([timm]) == {0: "a cat", 1: "n02"}


def test_a_scorer_may_bring_them_and_the_callers_come_first():
    scorer = pysmdl.scorers.classifier(linear_model())
    scorer.names = NAMES
    assert explain(scorer, target="tabby").target == 0
    assert explain(scorer, target=0, names={0: "mine"}).names[0] == "mine"


def test_whole_names_come_before_parts_of_names():
    assert class_named("cat", {0: "cat, pet", 1: "cat"}) == 1
