"""What a call gets that says nothing, and what the papers' names stand for."""

from __future__ import annotations

import pytest
import torch

import pysmdl
from pysmdl.targets import Box

from toys import explain, image, linear_model

FOUR = ("confidence", "effectiveness", "consistency", "collaboration")
PAIR = {"kept": 1.0, "removed": 1.0}


def features():
    return pysmdl.scorers.classifier(linear_model(), features=linear_model(6, 3))


def encoder():
    return pysmdl.scorers.encoder(linear_model(6, 3), torch.eye(6)[:4])


def test_the_default_is_guided_with_equal_weights_for_any_score():
    for scorer, target in (
        (linear_model(), None),
        (features(), None),
        (encoder(), 2),
        (pysmdl.scorers.encoder(linear_model(6, 3)), None),
        (pysmdl.scorers.tokens(lambda x: linear_model(8)(x).reshape(-1, 2, 4)), pysmdl.Tokens([0])),
        (pysmdl.scorers.detector(one_box), Box((0, 0, 12, 12), 0)),
    ):
        found = explain(scorer, target=target)
        assert (found.notes["search"], found.notes["objective"]) == ("guided", "pair")
        assert found.notes["weights"] == PAIR
        assert found.notes["left_out"] == []


def one_box(batch):
    boxes = torch.tensor([[[0.0, 0.0, 12.0, 12.0]]]).repeat(len(batch), 1, 1)
    return boxes, batch.mean((1, 2, 3)).reshape(-1, 1, 1)


@pytest.mark.parametrize(
    ("preset", "scorer", "search", "weights", "left_out"),
    [
        ("smdl", features, "exact", dict.fromkeys(FOUR, 1.0), []),
        ("smdl", linear_model, "exact", dict.fromkeys(("confidence", *FOUR[2:]), 1.0), ["effectiveness"]),
        ("smdl", encoder, "exact", {"effectiveness": 0.05, "consistency": 1.0, "collaboration": 1.0}, []),
        ("lima", features, "bidirectional", {"confidence": 0.01, "consistency": 20.0, "collaboration": 5.0}, []),
        ("lima", encoder, "bidirectional", {"effectiveness": 0.05, "consistency": 20.0, "collaboration": 1.0}, []),
    ],
)
def test_a_preset_is_its_papers_search_and_weights(preset, scorer, search, weights, left_out, caplog):
    found = explain(scorer(), target=1, preset=preset)
    assert found.notes["search"] == search
    assert found.notes["weights"] == weights
    assert found.notes["left_out"] == left_out
    assert ("gives no features" in caplog.text) == bool(left_out)
    by_hand = {"smdl": pysmdl.smdl, "lima": pysmdl.lima}[preset](**{**dict.fromkeys(FOUR, 0.0), **weights})
    again = explain(scorer(), target=1, objective=by_hand, search=search)
    assert found.order.tolist() == again.order.tolist()


@pytest.mark.parametrize(("preset", "search"), [("vps", "exact"), ("vps-grounding", "forward_backward")])
def test_presets_of_boxes(preset, search):
    found = explain(pysmdl.scorers.detector(one_box), target=Box((0, 0, 12, 12), 0), preset=preset)
    assert (found.notes["search"], found.notes["objective"]) == (search, "vps")


@pytest.mark.parametrize(("preset", "search"), [("eagle", "exact"), ("eagle-scoped", "scoped")])
def test_presets_of_answers(preset, search):
    scorer = pysmdl.scorers.tokens(lambda x: linear_model(8)(x).reshape(-1, 2, 4))
    found = explain(scorer, target=pysmdl.Tokens([1]), preset=preset)
    assert (found.notes["search"], found.notes["objective"]) == (search, "eagle")


@pytest.mark.parametrize(("preset", "greedy"), [("phasewin", 0), ("phasewin-florence", 18)])
def test_presets_of_phasewin_serve_any_score(preset, greedy):
    for scorer, target in ((linear_model(), 1), (pysmdl.scorers.detector(one_box), Box((0, 0, 12, 12), 0))):
        found = explain(scorer, target=target, preset=preset, regions="grid:25")
        assert (found.notes["search"], found.notes["weights"]) == ("phase_window", PAIR)
        again = explain(scorer, target=target, search=pysmdl.search.phase_window(greedy=greedy), regions="grid:25")
        assert found.order.tolist() == again.order.tolist()


def test_clips_weights_are_given_to_what_is_like_clip_alone():
    assert explain(encoder(), target=1, objective="lima").notes["weights"]["consistency"] == 20
    with pytest.raises(ValueError, match="has an effectiveness term, which needs features"):
        explain(linear_model(), target=1, objective="smdl")
    assert "effectiveness" not in explain(linear_model(), target=1, objective="lima").notes["weights"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preset": "best"}, "preset must be one of 'eagle', 'eagle-scoped', 'lima', 'phasewin', .*; got 'best'"),
        ({"preset": "smdl", "search": "exact"}, "preset='smdl' says what search is; leave one of them out"),
        ({"preset": "smdl", "objective": "lima"}, "preset='smdl' says what objective is"),
        ({"preset": "vps"}, "objective 'vps' reads box scores; this scorer gives class scores"),
    ],
)  # fmt: skip
def test_what_contradicts_a_preset_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        explain(linear_model(), **settings)


def test_the_one_line_use():
    found = pysmdl.explain(image(), linear_model(), regions="grid:9", progress=False)
    assert sorted(found.order.tolist()) == list(range(9))
