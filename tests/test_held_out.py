"""Inputs that no trace has seen, alone and in a crowd, checked step by step by a slow oracle."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from PIL import Image

import pysmdl
import pysmdl.builtin
from pysmdl.regions import grid, slico

from golden_models import Counting, encode, encoder
from oracle import Oracle, prove_bidirectional, prove_exact

pytestmark = pytest.mark.slow  # a minute for each set of weights
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
        count = 3 if search == "exact" else 8 if weights in WEIGHTS[:2] else 4
        items = held_out()[:count]
        orders = [set() for _ in items]
        for crowd, settings in (
            *(([item], {}) for item in items),
            (items * 2, {"batch_size": 64}),
            (items[:3], {"batch_size": 7}),
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
    found = pysmdl.explain(scene, encoder(), 3, regions=regions, preset="lima", progress=False)
    assert found.n == regions.n >= 110
    prove_bidirectional(Oracle(scene, regions.labels, 3, (0.0, 0.05, 20.0, 1.0)), found.order.tolist(), 8, every=6)


def test_crowd_of_16_fills_its_batches():
    items = held_out() * 2
    model = Counting(encode)
    found = list(pysmdl.explain_many(items, encoder(model), batch_size=64, search="exact", k=12, progress=False))
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
