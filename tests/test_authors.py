"""Exports for the published evaluators of VPS and EAGLE; those of SMDL and LiMA are in test_result."""

from __future__ import annotations

import json

import numpy as np
import torch

import pysmdl

from toys import explain, made


def plainly(found):
    """As written and read again; NaN and infinity are no JSON."""

    def refuse(name):
        raise AssertionError(f"no JSON: {name}")

    return json.loads(json.dumps(found, allow_nan=False), parse_constant=refuse)


def test_authors_json_of_a_box_is_what_the_evaluator_of_vps_reads():
    def forward(batch):
        lit = (batch > 0).float().mean((1, 2, 3))
        zero, full = torch.zeros_like(lit), torch.full_like(lit, 12)
        return torch.stack((zero, zero, full, 12 * lit), 1)[:, None], (lit / 2)[:, None, None]

    found = explain(pysmdl.scorers.detector(forward), target=pysmdl.Box([0, 0, 12, 12], 0), regions="grid:4")
    theirs = plainly(found.to_authors_json())
    lit = np.array([0.25, 0.5, 0.75, 1])
    for view, share in (("insertion", lit), ("deletion", 1 - lit)):
        np.testing.assert_allclose(theirs[f"{view}_iou"], share, atol=1e-6)
        np.testing.assert_allclose(theirs[f"{view}_cls"], share / 2, atol=1e-6)
        np.testing.assert_allclose(theirs[f"{view}_score"], share**2 / 2, atol=1e-6)
        np.testing.assert_allclose(theirs[f"{view}_box"], [[0, 0, 12, 12 * each] for each in share], atol=1e-5)
    assert (theirs["target_box"], theirs["target_label"], theirs["mode"]) == ([0, 0, 12, 12], [0], "object")


def test_authors_json_of_tokens_is_what_the_evaluator_of_eagle_reads():
    def forward(batch):
        lit = (batch > 0).float().mean((1, 2, 3))
        zero = torch.zeros_like(lit)
        return torch.stack((torch.stack((lit, zero), 1), torch.stack((zero, 3 * lit), 1)), 1)

    target = pysmdl.Tokens([1, 0], [1, 0])
    found = explain(pysmdl.scorers.tokens(forward), target=target, regions="grid:4", objective=pysmdl.eagle())
    theirs = plainly(found.to_authors_json())
    lit = np.array([0.25, 0.5, 0.75, 1])
    words = {"insertion": lit, "deletion": 1 - lit}
    for view, share in words.items():
        by_hand = 1 / (1 + np.exp(-np.stack((3 * share, share), 1)))
        np.testing.assert_allclose(theirs[f"{view}_word_score"], by_hand, atol=1e-6)
        np.testing.assert_allclose(theirs[f"{view}_score"], by_hand.mean(1), atol=1e-6)
    assert theirs["baseline_score"] == theirs["deletion_word_score"][-1] == [0.5, 0.5]
    assert theirs["org_score"] == theirs["insertion_word_score"][-1]
    assert theirs["selected_interpretation_token_id"] == [1, 0]
    assert theirs["selected_interpretation_token_word_id"] == [1, 0]


def test_authors_json_has_null_where_nothing_was_measured():
    reading = {
        "iou": np.full((2, 2), np.nan),
        "box_confidence": np.full((2, 2), np.inf),
        "box": np.full((2, 2, 4), np.nan),
    }
    target = {"xyxy": [0, 0, 1, 1], "labels": [3], "mode": "cls"}
    found = plainly(made([np.nan] * 2, [np.nan] * 2, reading=reading, target=target).to_authors_json())
    assert found["insertion_iou"] == found["deletion_cls"] == [None]
    assert found["insertion_box"] == [[None] * 4]
    assert found["baseline_score"] is None
