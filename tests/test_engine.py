"""The engine: many searches over shared batches, each with the answer it would have alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl import EngineConfig
from pysmdl.removal import paint
from pysmdl.scorers import classes

from toys import Recorder, crowd, explain, image, linear_model, same


@pytest.fixture(scope="module")
def alone():
    return [explain(linear_model(), seed=seed, target=seed % 4, regions=f"grid:{9 + seed}") for seed in range(16)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 1},
        {"batch_size": 7},
        {"batch_size": 64},
        {"config": EngineConfig(max_searches=3, batch_size=20)},
        {"config": EngineConfig(slots=2, batch_size=20)},
        {"config": EngineConfig(slots=3, max_searches=2, batch_size=5)},
        {"config": EngineConfig(deterministic=True, batch_size=9)},
        {"config": EngineConfig(memory_bytes=5000)},
    ],
    ids=str,
)
def test_company_and_batches_change_no_bit(alone, settings):
    together = crowd(linear_model(), **settings)
    assert [each.id for each in together] == [str(seed) for seed in range(16)]
    assert all(same(one, other) for one, other in zip(alone, together, strict=True))


@pytest.mark.parametrize("backend", ["reference", pytest.param("triton", marks=pytest.mark.slow)])
def test_every_op_runs_on_the_backend_that_was_named(alone, backend, monkeypatch):
    if backend == "triton" and torch.cuda.is_available():
        pytest.skip("on GPU tensors")
    asked = []

    def noted(op):
        return lambda *given, **named: asked.append((op.__name__, named["backend"])) or op(*given, **named)

    monkeypatch.setattr(paint, "compose", noted(paint.compose))
    monkeypatch.setattr(classes, "class_scores", noted(classes.class_scores))
    together = crowd(linear_model(), count=3, config=EngineConfig(backend=backend))
    assert set(asked) == {("compose", backend), ("class_scores", backend)}
    for one, other in zip(alone[:3], together, strict=True):
        assert one.order.tolist() == other.order.tolist()
        np.testing.assert_allclose(one.insertion, other.insertion, atol=2e-6)


def test_no_subset_goes_to_the_model_twice():
    model = Recorder(linear_model())
    found = explain(model)
    assert len(model.rows) == len(set(model.rows)) == found.evaluations
    assert found.asked > found.evaluations  # views of n - 1 regions were deletion views of round 1


def test_exact_asks_n_times_n_plus_1():
    assert explain(Recorder(linear_model()), search="exact", objective=pysmdl.smdl(effectiveness=0)).asked == 16 * 17


def test_batches_are_filled_in_the_order_of_admission():
    model = Recorder(linear_model())
    found = crowd(model, batch_size=32)
    rows = sum(each.evaluations for each in found)
    assert len(model.sizes) <= 1.2 * rows / 32
    assert max(model.sizes) == 32


def test_an_input_admitted_first_finishes_first():
    items = [{"image": image(seed), "id": str(seed)} for seed in range(6)]
    found = list(
        pysmdl.explain_many(items, linear_model(), regions="grid:16", search="exact", batch_size=8, progress=False)
    )
    assert [each.id for each in found] == [str(seed) for seed in range(6)]
    assert [each.index for each in found] == list(range(6))


def test_a_generator_is_read_as_places_become_free():
    taken = []

    def items():
        for seed in range(8):
            taken.append(seed)
            yield image(seed)

    stream = pysmdl.explain_many(
        items(), linear_model(), regions="grid:9", config=EngineConfig(max_searches=2), progress=False
    )
    assert taken == []
    next(stream)
    assert len(taken) <= 4
    assert len(list(stream)) == 7


def test_inputs_of_several_shapes_share_an_engine():
    pools = [image(seed, 12 + 4 * (seed % 2), 12) for seed in range(6)]

    def model(batch):
        return torch.stack((batch.mean((1, 2, 3)), batch[:, :, :4].mean((1, 2, 3))), 1) * 20

    together = list(pysmdl.explain_many(pools, model, regions="grid:9", ordered=True, progress=False))
    alone = [pysmdl.explain(each, model, regions="grid:9", progress=False) for each in pools]
    assert all(one.order.tolist() == other.order.tolist() for one, other in zip(together, alone, strict=True))


def test_no_gradients_are_built():
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(432, 4)).eval()
    model = Recorder(net)
    explain(model)
    assert not any(model.grads)


# Budget, k, early ends


@pytest.mark.parametrize("search", ["exact", "bidirectional"])
@pytest.mark.parametrize("budget", [40, 60, 150, 1000])
def test_a_budget_is_kept_and_covers_the_curves(search, budget):
    model = Recorder(linear_model())
    found = explain(model, search=search, evaluations=budget)
    full = explain(linear_model(), search=search)
    assert len(model.rows) == found.evaluations <= budget
    assert sorted(found.order) == list(range(16))
    assert np.isfinite(found.insertion).all()
    assert np.isfinite(found.deletion).all()
    if budget == 1000:
        assert same(found, full)
        assert "stopped" not in found.notes
    else:
        assert found.notes["stopped"] == "budget"


def test_a_budget_too_small_for_the_curves_is_refused():
    with pytest.raises(ValueError, match=r"evaluations must be at least 32 .* 16 of 16 regions; got 31"):
        explain(linear_model(), evaluations=31)


def test_k_cuts_the_order():
    full, cut = explain(linear_model(), search="exact"), explain(linear_model(), search="exact", k=5)
    assert cut.order.tolist() == full.order[:5].tolist()
    assert len(cut.insertion) == len(cut.area) == 6
    assert cut.area[-1] == pytest.approx(5 / 16, abs=0.05)
    assert cut.evaluations < full.evaluations


def test_a_term_with_weight_0_costs_nothing():
    model = Recorder(linear_model())
    found = explain(model, objective=pysmdl.smdl(0, 0, 1, 0), search="exact", k=1)
    assert found.evaluations == 16 + 3  # kept views of round 1; then empty, full, and one removed
    assert found.asked == found.evaluations


def test_effectiveness_takes_each_regions_own_features_whatever_came_first():
    """A given order wants its curves first, and single regions among them in no order."""
    scorer = pysmdl.scorers.classifier(linear_model(), features=linear_model(8, 1), size=12)
    found = explain(scorer, search="exact", objective="smdl")
    again = explain(scorer, search=pysmdl.search.fixed(found.order.tolist()), objective="smdl")
    np.testing.assert_array_equal(again.terms["effectiveness"], found.terms["effectiveness"])
    assert same(found, again)


def test_one_region():
    found = explain(linear_model(), regions=np.zeros((12, 12), int))
    assert found.order.tolist() == [0]
    assert found.evaluations == 2
    features = pysmdl.scorers.classifier(linear_model(), features=linear_model(8, 1))
    for target in (None, 2):
        found = explain(features, target=target, regions=np.zeros((12, 12), int), objective="smdl")
        assert found.order.tolist() == [0]
        assert found.terms["effectiveness"].tolist() == [0]


# Targets


def test_target_none_is_the_models_own_class():
    found = explain(linear_model(), target=None)
    top = int(linear_model()(torch.from_numpy(image().transpose(2, 0, 1)[None]).float() / 255).argmax())
    assert found.target == top
    assert same(found, explain(linear_model(), target=top))


def test_a_second_class_is_traced_along():
    found = explain(linear_model(), target=2, trace=["predicted", 0])
    top = int(found.predicted[1, 0])
    other = explain(linear_model(), target=0)
    assert set(found.traced) == {top, 0}
    np.testing.assert_allclose(found.traced[0][1, 0], other.deletion[0], atol=1e-6)
    assert found.traced[0].shape == (2, 17)


# How batches lie in memory


def test_a_model_with_channels_last_gets_its_batches_so():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()).eval()
    plain, last, seen = explain(net), torch.channels_last, []
    net.to(memory_format=last)
    net.register_forward_pre_hook(lambda _, given: seen.append(given[0].is_contiguous(memory_format=last)))
    found = explain(net)
    assert seen
    assert all(seen)
    np.testing.assert_allclose(found.insertion, plain.insertion, atol=1e-6)


# Step by step


@pytest.mark.parametrize("search", ["exact", "bidirectional", "scoped", "backward", "lazy"])
def test_steps_come_as_they_are_settled(search):
    seen = []

    def model(batch):
        seen.append(len(batch))
        return linear_model()(batch)

    steps = []
    for step in pysmdl.explain_steps(image(), model, 1, regions="grid:16", search=search):
        steps.append(step)
        assert step.evaluations == sum(seen)
    full = explain(linear_model(), search=search)
    assert [step.rank for step in steps] == list(range(16))
    assert [step.region for step in steps] == full.order.tolist()
    np.testing.assert_array_equal([step.insertion for step in steps], full.insertion[1:])
    assert same(steps[-1].explanation, full)
    assert all(step.explanation is None for step in steps[:-1])
    if search != "backward":
        assert steps[0].evaluations < full.evaluations / 2
        assert steps[0].seconds < steps[-1].seconds


# Until the decision stands


@pytest.mark.parametrize("search", ["exact", "bidirectional", "scoped", "backward", "lazy", "stochastic"])
def test_until_decided_stops_at_the_minimal_sufficient_subset(search):
    target = explain(linear_model(), target=None).target
    full = explain(linear_model(), target=target, search=search)
    found = explain(linear_model(), target=target, search=search, until="decided")
    k = len(found.order)
    assert found.order.tolist() == full.order[:k].tolist()
    assert found.predicted[0, k] == target
    assert (found.predicted[0, 1:k] != target).all()
    assert k < 16
    if search != "backward":
        assert found.notes["stopped"] == "decided"
        assert found.evaluations < full.evaluations


def test_until_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="until must be 'decided' or None; got 'flipped'"):
        explain(linear_model(), until="flipped")


@pytest.mark.parametrize(
    "search", [pysmdl.search.bidirectional(3), pysmdl.search.scoped(6, 3, 4)], ids=lambda s: s.name
)
@pytest.mark.parametrize("objective", [None, pysmdl.smdl(0, 0, 1, 0)], ids=["four terms", "one view"])
@pytest.mark.parametrize("k", [None, 5])
def test_what_comes_next_may_go_along(search, objective, k):
    settings = {"regions": "grid:25", "search": search, "objective": objective, "k": k, "batch_size": 1000}
    one, both = Recorder(linear_model()), Recorder(linear_model())
    waits = explain(one, **settings)
    goes = explain(both, **settings, config=EngineConfig(ahead=True))
    assert same(waits, goes)
    assert goes.asked == waits.asked
    assert len(both.sizes) <= 0.7 * len(one.sizes)
    assert len(both.rows) == len(set(both.rows)) == goes.evaluations
    assert 0 < goes.evaluations - waits.evaluations <= 2 * len(goes.order)
    assert goes.notes["ahead"] == goes.evaluations - waits.evaluations
    assert "ahead" not in waits.notes


def test_nothing_goes_along_under_a_budget():
    settings = {"regions": "grid:25", "objective": pysmdl.smdl(effectiveness=0), "evaluations": 300}
    waits = explain(linear_model(), **settings)
    goes = explain(linear_model(), **settings, config=EngineConfig(ahead=True))
    assert same(waits, goes)
    assert goes.evaluations == waits.evaluations
    assert "ahead" not in goes.notes


@pytest.mark.slow
def test_what_went_along_is_no_hit_of_the_memo():
    waits, goes = (
        explain(
            linear_model(), regions="grid:25", search="bidirectional", profile=True, config=EngineConfig(ahead=ahead)
        )
        for ahead in (False, True)
    )
    assert waits.evaluations < goes.evaluations
    hits = waits.notes["profile"]["memo_hits"]
    assert hits == goes.notes["profile"]["memo_hits"] == waits.asked - waits.evaluations
