"""All four systems against the traced cases."""

from __future__ import annotations

import numpy as np
import pytest

import pysmdl

from golden_models import (
    EFFECTIVENESS_TOLERANCE,
    SCORE_TOLERANCE,
    Counting,
    Remembering,
    cases,
    detect,
    detector,
    encode,
    encoder,
    inputs,
    speak,
    speaker,
)
from oracle import Oracle

FEW = (1, 3, 8, 10, 13)  # each system and search once
CLASS_CASES = [case for case in cases() if case["objective"] == "class"]
FORWARD = {"class": Remembering(encode), "detection": Remembering(detect), "tokens": Remembering(speak)}


def objective_of(case: dict) -> pysmdl.Objective:
    return {"class": pysmdl.smdl, "detection": pysmdl.vps, "tokens": pysmdl.eagle}[case["objective"]](*case["lambdas"])


def search_of(case: dict):
    parameters = {name: case[name] for name in ("pending", "scope", "update_step") if name in case}
    return getattr(pysmdl.search, case["search"])(**parameters)


def target_of(case: dict):
    if case["objective"] == "detection":
        return pysmdl.Box(case["target_box"], case["target_labels"], case["mode"])
    if case["objective"] == "tokens":
        return pysmdl.Tokens(case["tokens"], case["token_ids"])
    return case["target"]


def scorer_of(case: dict, forward=None, device: str = "cpu") -> pysmdl.scorers.Scorer:
    forward = forward or FORWARD[case["objective"]]
    if case["objective"] == "detection":
        return detector(forward, case.get("confidence_floor", 0.0), device)
    return (encoder if case["objective"] == "class" else speaker)(forward, device=device)


def explain_case(case: dict, model=None, backend: str = "auto", **settings) -> pysmdl.Explanation:
    return pysmdl.explain(
        inputs()[case["data"] + "_image"],
        model or scorer_of(case),
        target_of(case),
        regions=inputs()[case["data"] + "_labels"],
        objective=objective_of(case),
        search=search_of(case),
        baseline="zero" if case["objective"] == "detection" else "black",
        config=settings.pop("config", None) or pysmdl.EngineConfig(backend=backend),
        progress=False,
        **settings,
    )


def assert_agrees(found: pysmdl.Explanation, case: dict) -> None:
    assert found.order.tolist() == case["order"]
    assert found.asked == case["trace"]["evaluations"]
    effective = case["objective"] == "class" and case["lambdas"][1]
    tolerance = EFFECTIVENESS_TOLERANCE if effective else SCORE_TOLERANCE
    for name, traced in case["trace"].items():
        if name == "evaluations":
            continue
        if name == "score":
            mine = found.score
        elif name in ("collaboration", "deletion"):
            mine = found.deletion[1:] if name == "deletion" else 1 - found.deletion[1:]
        elif name in ("consistency", "insertion"):
            mine = found.insertion[1:]
        else:
            mine = found.terms[name]
        loose = name in ("score", "effectiveness")
        worst = np.abs(mine[: len(traced)] - np.array(traced)).max()
        assert worst <= (tolerance if loose else SCORE_TOLERANCE), f"{name} is off by {worst}"


def name_of(case: dict) -> str:
    return f"{case['system']}-{case['search']}-{case['data']}-{cases().index(case)}"


def all_cases() -> list:
    return [case if i in FEW else pytest.param(case, marks=pytest.mark.slow) for i, case in enumerate(cases())]


def test_there_are_72_cases_of_four_systems():
    assert len(cases()) == 72
    assert {case["system"] for case in cases()} == {"SMDL", "LiMA", "VPS", "EAGLE"}


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("case", all_cases(), ids=name_of)
def test_traced_case(case, backend):
    model = Counting(FORWARD[case["objective"]])
    found = explain_case(case, scorer_of(case, model), backend)
    assert_agrees(found, case)
    assert model.rows == found.evaluations <= found.asked
    if len(found.order) == found.n:
        gained = float(found.insertion[-1]) - float(found.insertion[0])
        assert found.values().sum() == pytest.approx(gained, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("number", [4, 16, 17])  # 16 and 17 have the features that are closest to parallel
def test_effectiveness_of_a_traced_order_is_right_where_the_trace_is_not(number):
    case = cases()[number]
    image, labels = (inputs()[f"{case['data']}_{kind}"] for kind in ("image", "labels"))
    oracle = Oracle(image, labels.astype(np.int64), case["target"], tuple(case["lambdas"]))
    right = [oracle.effectiveness(frozenset(case["order"][: j + 1])) for j in range(len(case["order"]))]
    found = explain_case(case)
    np.testing.assert_allclose(found.terms["effectiveness"], right, rtol=0, atol=1e-6)
    if number in (16, 17):
        assert np.abs(found.terms["effectiveness"] - np.array(case["trace"]["effectiveness"])).max() > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("case", [cases()[i] for i in (3, 10, 13)], ids=name_of)  # each objective: ops see no search
def test_traced_case_on_triton(case):
    assert_agrees(explain_case(case, backend="triton"), case)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batch_size_changes_no_order(batch_size):
    for case in CLASS_CASES[:4]:
        assert_agrees(explain_case(case, batch_size=batch_size), case)
