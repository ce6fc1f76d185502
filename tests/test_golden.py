"""SMDL and LiMA against the traced cases, and against a slow oracle on inputs that no trace has seen."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from PIL import Image

import pysmdl
import pysmdl.builtin
from pysmdl.regions import grid, slico

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
from oracle import Oracle, prove_bidirectional, prove_exact

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


def scorer_of(case: dict, forward=None) -> pysmdl.scorers.Scorer:
    forward = forward or FORWARD[case["objective"]]
    if case["objective"] == "detection":
        return detector(forward, case.get("confidence_floor", 0.0))
    return encoder(forward) if case["objective"] == "class" else speaker(forward)


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


def test_there_are_72_cases_of_four_systems():
    assert len(cases()) == 72
    assert {case["system"] for case in cases()} == {"SMDL", "LiMA", "VPS", "EAGLE"}


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("case", cases(), ids=name_of)
def test_traced_case(case, backend):
    model = Counting(FORWARD[case["objective"]])
    found = explain_case(case, scorer_of(case, model), backend)
    assert_agrees(found, case)
    assert model.rows == found.evaluations <= found.asked


@pytest.mark.parametrize("case", [cases()[i] for i in (1, 3, 8, 10, 13)], ids=name_of)  # each system and search
def test_traced_case_on_triton(case):
    assert_agrees(explain_case(case, backend="triton"), case)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batch_size_changes_no_order(batch_size):
    for case in CLASS_CASES[:4]:
        assert_agrees(explain_case(case, batch_size=batch_size), case)


# Inputs of our own: other images, region counts, weights and pending, checked step by step by the oracle.

WEIGHTS = (
    (0.0, 0.05, 20.0, 1.0),
    (1.0, 1.0, 1.0, 1.0),
    (0.01, 0.0, 20.0, 5.0),
    (0.0, 0.0, 1.0, 0.0),
    (0.3, 0.0, 0.0, 2.0),
)


def held_out() -> list[dict]:
    scenes = [np.asarray(Image.open(scene["path"])) for scene in pysmdl.builtin.images()]
    items = []
    for number, (scene, count) in enumerate(
        zip(itertools.cycle(scenes), (12, 13, 20, 30, 31, 33, 40, 47), strict=False)
    ):
        made = grid(scene, count) if number % 2 else slico(scene, count)
        items.append({"image": scene, "regions": made, "target": number % 10, "id": str(number)})
    return items


@pytest.mark.parametrize(("weights", "pending"), list(zip(WEIGHTS, (8, 2, 3, 5, 12), strict=True)))
def test_held_out_inputs(weights, pending):
    names = ("confidence", "effectiveness", "consistency", "collaboration")
    objective = pysmdl.smdl(**dict(zip(names, weights, strict=True)))
    for search, prove in (("exact", prove_exact), (pysmdl.search.bidirectional(pending), prove_bidirectional)):
        items = held_out()[:3] if search == "exact" else held_out()
        orders = [set() for _ in items]
        for crowd, settings in (
            *(([item], {}) for item in items),
            (items * 2, {"batch_size": 7}),
            (items * 2, {"batch_size": 64}),
            (items[:2], {"batch_size": 1}),  # dear: a forward pass for each row
        ):
            for found in pysmdl.explain_many(
                crowd, encoder(), objective=objective, search=search, progress=False, **settings
            ):
                orders[int(found.id)].add(tuple(found.order))
        for number, item in enumerate(items):
            oracle = Oracle(item["image"], item["regions"].labels, item["target"], weights)
            for order in orders[number]:  # one, or several that differ by ties which the oracle confirms
                prove(oracle, list(order), pending)


def test_120_regions():
    scene = np.asarray(Image.open(pysmdl.builtin.images()[0]["path"]))
    regions = grid(scene, 120)
    found = pysmdl.explain(scene, encoder(), 3, regions=regions, objective=pysmdl.lima(), progress=False)
    assert found.n == regions.n >= 110
    prove_bidirectional(Oracle(scene, regions.labels, 3, (0.0, 0.05, 20.0, 1.0)), found.order.tolist(), 8, every=6)


def test_crowd_of_16_fills_its_batches():
    items = held_out() * 2
    model = Counting(encode)
    found = list(pysmdl.explain_many(items, encoder(model), batch_size=64, progress=False))
    rows = sum(each.evaluations for each in found)
    assert model.rows == rows
    assert len(model.sizes) <= 1.25 * rows / 64
    assert np.mean(model.sizes) >= 0.8 * 64


def test_deterministic_is_the_same_to_the_bit_in_any_company():
    item = held_out()[4]
    config = pysmdl.EngineConfig(deterministic=True, batch_size=16)
    alone = pysmdl.explain(item["image"], encoder(), 4, regions=item["regions"], config=config, progress=False)
    crowd = [{**each, "target": 4} for each in (item, *held_out()[:5])]
    among = next(
        each for each in pysmdl.explain_many(crowd, encoder(), config=config, progress=False) if each.id == item["id"]
    )
    assert torch.equal(torch.from_numpy(alone.score), torch.from_numpy(among.score))
    assert alone.order.tolist() == among.order.tolist()
