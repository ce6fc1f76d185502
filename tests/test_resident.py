"""What stays on the device between two calls with one scorer: memory for batches, pools; never an answer."""

from __future__ import annotations

import functools
import gc
import weakref
from dataclasses import dataclass

import numpy as np
import torch

import pysmdl
from pysmdl import EngineConfig
from pysmdl.engine.device.runner import KINDS
from pysmdl.session import SESSIONS

from toys import explain, image, linear_model, same


def scorer():
    return pysmdl.scorers.classifier(linear_model(), size=12)


def test_the_next_call_composes_into_the_same_memory():
    places = []

    def forward(batch):
        places.append(batch.data_ptr())
        return linear_model()(batch)

    made = pysmdl.scorers.classifier(forward, size=12)
    first = explain(made, batch_size=8)
    second = explain(made, batch_size=8)
    assert len(set(places)) == 1
    assert same(first, second)
    assert same(explain(scorer(), seed=3, batch_size=8), explain(made, seed=3, batch_size=8))


def test_a_bare_models_calls_share_it_too():
    class Net(torch.nn.Module):
        def forward(self, batch):
            places.append(batch.data_ptr())
            return linear_model()(batch)

    def function(batch):
        places.append(batch.data_ptr())
        return linear_model()(batch)

    for model in (Net().eval(), function):
        places: list[int] = []
        first, second = explain(model, batch_size=8), explain(model, seed=3, batch_size=8)
        assert len(set(places)) == 1
        assert same(first, explain(linear_model(), batch_size=8))
        assert same(second, explain(linear_model(), seed=3, batch_size=8))
        assert (EngineConfig(batch_size=8), torch.device("cpu")) in SESSIONS.of(model).sizes
    resident = weakref.ref(SESSIONS.of(model).resident.workspaces[0])
    del model, function
    gc.collect()
    assert resident() is None


def test_a_model_that_nobody_can_watch_is_explained_all_the_same():
    class Slotted:
        __slots__ = ()

        def __call__(self, batch):
            return linear_model()(batch)

    model = Slotted()
    assert same(explain(model), explain(model))
    assert model not in SESSIONS


def test_calls_at_the_same_time_do_not_share_it():
    made = scorer()
    items = [(image(seed), seed % 4) for seed in range(4)]
    runs = [
        pysmdl.explain_many(items, made, regions="grid:9", progress=False, ordered=True, batch_size=5) for _ in range(2)
    ]
    together = list(zip(*runs, strict=True))
    for seed, pair in enumerate(together):
        alone = explain(scorer(), seed=seed, target=seed % 4, regions="grid:9")
        assert same(pair[0], alone)
        assert same(pair[1], alone)


def test_what_was_left_early_is_not_used_again():
    made = scorer()
    run = pysmdl.explain_many([image(seed) for seed in range(40)], made, regions="grid:9", progress=False)
    next(run)
    run.close()
    assert SESSIONS.of(made).resident is None
    assert same(explain(made), explain(scorer()))


def test_another_configuration_starts_anew():
    made = scorer()
    explain(made)
    before = SESSIONS.of(made).resident
    explain(made, config=EngineConfig(deterministic=True))
    assert SESSIONS.of(made).resident is not before


def net() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(432, 4)).eval()


def test_what_one_mode_leaves_serves_the_other():
    for inside_first in (True, False):
        made = pysmdl.scorers.classifier(net())
        for inside in (inside_first, not inside_first):
            with torch.inference_mode(inside):
                assert same(explain(made, batch_size=16), explain(net(), batch_size=16))


def test_the_callers_autocast_is_the_calls_own():
    made = pysmdl.scorers.classifier(net())
    plain = explain(made, batch_size=16)
    with torch.autocast("cpu", torch.bfloat16):
        cast = explain(made, batch_size=16)
        assert same(cast, explain(net(), batch_size=16))
    assert not np.array_equal(plain.insertion, cast.insertion)
    assert same(explain(made, batch_size=16), plain)


def test_a_default_device_is_the_callers_business():
    wanted = explain(scorer())
    torch.set_default_device("meta")  # holds no numbers: whatever was put there by mistake shows
    try:
        found = explain(scorer())
    finally:
        torch.set_default_device(None)
    assert same(found, wanted)


def test_what_a_captured_graph_depends_on():
    model = net()
    seen = [
        pysmdl.scorers.classifier(given).graph_fingerprint()
        for given in (model, lambda x: model(x), functools.partial(model))
    ]
    assert seen[0] == seen[1] == seen[2] != pysmdl.scorers.classifier(net()).graph_fingerprint()
    made = pysmdl.scorers.encoder(torch.nn.Flatten().eval(), torch.ones(4, 432))
    before = made.graph_fingerprint()
    assert made.graph_fingerprint() == before
    made.prototypes = made.prototypes.clone()
    assert made.graph_fingerprint() != before
    hidden = pysmdl.scorers.classifier(linear_model())
    assert hidden.graph_fingerprint() != hidden.graph_fingerprint()  # nobody can tell what it reads


def test_it_goes_with_the_scorer():
    made = scorer()
    explain(made)
    resident = weakref.ref(SESSIONS.of(made).resident.workspaces[0])
    del made
    gc.collect()
    assert resident() is None


def test_scorers_that_are_equal_or_cannot_be_hashed():
    @dataclass(eq=True)
    class Tagged(type(scorer())):
        tag: int = 0

        def __post_init__(self):
            super().__init__(linear_model(), pysmdl.inputs.image.input_spec(size=12))

    one, other = Tagged(), Tagged()
    assert one == other
    assert same(explain(one), explain(scorer()))
    assert SESSIONS.of(one).resident is not None
    assert other not in SESSIONS
    for _ in range(3):
        explain(one)
    kept = weakref.ref(SESSIONS.of(one).resident)
    del one
    gc.collect()
    assert kept() is None


def test_images_of_many_sizes_do_not_pile_up():
    model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(48, 4)).eval()
    made = pysmdl.scorers.classifier(model)
    items = [image(seed, 10 + seed, 20) for seed in range(3 * KINDS)]
    found = list(
        pysmdl.explain_many(
            items, made, regions="grid:9", progress=False, ordered=True, config=EngineConfig(max_searches=2)
        )
    )
    assert len(SESSIONS.of(made).resident.pools) <= KINDS
    for seed in (0, KINDS + 3):
        alone = pysmdl.explain(items[seed], pysmdl.scorers.classifier(model), regions="grid:9", progress=False)
        np.testing.assert_array_equal(found[seed].order, alone.order)
