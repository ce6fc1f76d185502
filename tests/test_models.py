"""How a model is called: where it lies, what it takes, and what happens to the batch that it is given."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from vision_towers import SIDE, hugging_face, patch_labels

import pysmdl
from pysmdl.errors import ScorerError
from pysmdl.models.base import Model
from pysmdl.models.towers import tower_of
from pysmdl.scorers import classifier, encoder
from pysmdl.scorers.cost import flops_per_row

from toys import explain, image, linear_model, same


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.drop = nn.Linear(432, 4), nn.Dropout()

    def forward(self, x):
        return self.layer(self.drop(x.flatten(1)))

    def scores(self, x):
        return self(x)


# Where it lies and what it takes


@pytest.mark.skipif(torch.cuda.is_available(), reason="the device exists")
def test_device_of_the_model_is_checked():
    with pytest.raises(ValueError, match="device is meta, but the model's parameters are on cpu"):
        classifier(Net().eval(), device="meta")


@pytest.mark.parametrize("device", ["gpu", "cuda:4096", "mps", True, 1.5])
def test_a_device_that_is_not_here_is_named(device):
    with pytest.raises(ValueError, match=f"device must be cpu.* on this machine; got {device!r}"):
        classifier(lambda batch: batch, device=device)


def test_weights_that_were_never_loaded_are_named():
    with pytest.raises(ValueError, match="the model's weights are on the meta device, so it has none: load them first"):
        classifier(nn.Linear(432, 4, device="meta"))


@pytest.mark.parametrize(
    "said",
    [
        {"_hf_hook": SimpleNamespace(execution_device="cpu")},
        {"_hf_hook": SimpleNamespace(hooks=(SimpleNamespace(), SimpleNamespace(execution_device="cpu")))},
        {"_hf_hook": SimpleNamespace(execution_device=torch.device("cpu"))},
        {"hf_device_map": {"layer": "disk", "drop": "cpu"}},
    ],
)
def test_an_offloaded_model_says_where_it_runs(said):
    model = Net().eval().to("meta")
    for name, value in said.items():
        setattr(model, name, value)
    assert classifier(model).device == torch.device("cpu")
    del model
    on_gpu = Net().eval().to("meta")
    on_gpu.hf_device_map = {"layer": 1, "drop": "cpu"}
    assert Model(on_gpu).device == torch.device("cuda:1")


@pytest.mark.parametrize("place", ["disk", "cpu"])
def test_a_vision_transformer_that_accelerate_offloads_has_its_own_order(place, tmp_path):
    accelerate = pytest.importorskip("accelerate")
    x = torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    settings = {"regions": "grid:9", "search": "exact", "progress": False}
    plain = pysmdl.explain(x, hugging_face("vit"), 3, **settings)
    model = hugging_face("vit")
    if place == "disk":
        model = accelerate.disk_offload(model, tmp_path, execution_device=torch.device("cpu"))
    else:
        model = accelerate.cpu_offload(model, execution_device=torch.device("cpu"))
    assert all(each.is_meta for each in model.parameters())
    found = pysmdl.explain(x, model, 3, **settings)
    np.testing.assert_array_equal(found.order, plain.order)
    np.testing.assert_allclose(found.insertion, plain.insertion, atol=1e-6)


def test_of_several_devices_the_first_counts():
    model = nn.Sequential(nn.Linear(432, 4), nn.Linear(4, 4, device="meta"))
    assert Model(model).device == torch.device("cpu")
    assert Model(nn.Sequential(nn.Linear(4, 4, device="meta"), nn.Linear(432, 4))).device == torch.device("cpu")


def test_the_parameters_that_meet_the_batch_first_say_its_type():
    torch.manual_seed(0)
    low, high = nn.Sequential(nn.Flatten(), nn.Linear(432, 8)).bfloat16(), nn.Linear(8, 4)
    seen = []

    def model(batch):
        seen.append(batch.dtype)
        return high(low(batch).float())

    assert sorted(explain(model).order) == list(range(16))
    assert set(seen) == {torch.bfloat16}
    assert classifier(nn.Sequential(low, high)).dtype == torch.bfloat16
    assert classifier(lambda x: x.mean((2, 3))).dtype == torch.float32


def test_a_head_in_float32_on_a_body_in_bfloat16_is_explained_or_named():
    class Net(nn.Module):
        def __init__(self, converts):
            super().__init__()
            torch.manual_seed(0)
            self.body, self.head, self.converts = nn.Linear(432, 8).bfloat16(), nn.Linear(8, 4), converts

        def forward(self, batch):
            features = self.body(batch.flatten(1))
            return self.head(features.float() if self.converts else features)

    net = Net(True).eval()
    found = explain(net)
    x = (torch.from_numpy(image().transpose(2, 0, 1)[None]).float() / 255).bfloat16()
    assert found.deletion[0] == pytest.approx(float(net(x).softmax(1)[0, 1].detach()), abs=1e-6)
    with pytest.raises(pysmdl.errors.ScorerError, match=r"weights are bfloat16 and float32, .*features\.float\(\)"):
        explain(Net(False).eval())


def test_another_number_of_channels_is_named_with_what_to_give():
    grey = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 8), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    with pytest.raises(ScorerError, match=r"takes 1 channels and was given 3: give a transform= .* tensor \[1, H, W\]"):
        pysmdl.explain(image(), grey, progress=False)
    found = pysmdl.explain(torch.rand(1, 32, 32), grey, regions="grid:4", progress=False)
    assert found.n == 4


def test_a_model_in_float64_is_refused():
    with pytest.raises(ValueError, match=r"must take float32, float16 or bfloat16; its weights are torch.float64"):
        classifier(nn.Linear(4, 4).double().eval())
    model = nn.Linear(432, 4).double()
    explain(classifier(lambda x: model(x.flatten(1).double()), dtype=torch.float32), regions="grid:4")


def test_a_model_that_changes_its_type_between_runs_is_followed():
    model = Net().eval()
    scorer = classifier(model)
    explain(scorer)
    model.bfloat16()
    assert sorted(explain(scorer).order) == list(range(16))
    assert scorer.dtype == torch.bfloat16


# A batch that a model spoils, or that it must have whole


FEATURES, EVIDENCE = linear_model(6, 3), linear_model(4, 4)


def all_three(model=None, features=FEATURES, evidence=EVIDENCE, **settings):
    return classifier(model or linear_model(), features=features, evidence=evidence, **settings)


def terms(scorer, form="entropy", **settings):
    found = explain(scorer, regions="grid:9", objective=pysmdl.smdl(confidence_form=form), search="exact", **settings)
    return found, {name: values.tolist() for name, values in found.terms.items()}


def spoiling(function, how):
    def model(batch):
        answer = function(batch)
        how(batch)
        return answer

    return model


SPOILS = {
    "values": lambda batch: batch.zero_(),
    "values by NumPy": lambda batch: batch.numpy().fill(7),
    "to NaN": lambda batch: batch.fill_(np.nan),
    "a dimension": lambda batch: batch.unsqueeze_(1),
    "its size": lambda batch: batch.resize_(1),
    "its order": lambda batch: batch.transpose_(2, 3),
    "its data": lambda batch: setattr(batch, "data", torch.zeros(1)),
    "that it wants a gradient": lambda batch: batch.requires_grad_(),
}


@pytest.mark.parametrize("form", ["entropy", "evidential"])
@pytest.mark.parametrize("how", SPOILS)
def test_a_model_that_changes_its_batch_hurts_nobody(how, form):
    right = terms(all_three(), form)[1]
    functions = [spoiling(each, SPOILS[how]) for each in (linear_model(), FEATURES, EVIDENCE)]
    assert terms(all_three(*functions), form)[1] == right
    assert terms(all_three(*functions), form, batch_size=5)[1] == right


def only(rows, function):
    """A function that takes no other number of rows, and answers in the same memory each time."""
    memory = {}

    def model(batch):
        assert len(batch) == rows
        answer = function(batch)
        return memory.setdefault(0, torch.empty_like(answer)).copy_(answer)

    return model


@pytest.mark.parametrize("batch_size", [None, 5])
@pytest.mark.parametrize("rows", [1, 3, 64])
@pytest.mark.parametrize("form", ["entropy", "evidential"])
def test_a_set_number_of_rows_changes_no_answer(form, rows, batch_size):
    functions = [only(rows, each) for each in (linear_model(), FEATURES, EVIDENCE)]
    found, values = terms(all_three(*functions, batch=rows), form, batch_size=batch_size)
    right, expected = terms(all_three(), form)
    assert same(found, right)
    assert values == expected


def test_every_scorer_takes_a_set_number_of_rows():
    def answers(batch):
        return torch.stack([linear_model(seed=seed)(batch) for seed in range(3)], 1)

    def boxes(batch):
        corners = torch.tensor([[2.0, 2, 8, 8], [1, 1, 9, 9]]).expand(len(batch), 2, 4)
        return torch.cat((corners, batch.mean((2, 3))[:, None].expand(-1, 2, -1)), 2)

    def detects(function):
        return lambda batch: (lambda found: (found[..., :4], found[..., 4:]))(function(batch))

    prototypes = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    cases = [
        (lambda f, **k: encoder(f, prototypes, **k), linear_model(), 1),
        (lambda f, **k: encoder(f, **k), linear_model(), None),
        (lambda f, **k: pysmdl.scorers.tokens(f, **k), answers, pysmdl.Tokens([0, 2])),
        (lambda f, **k: pysmdl.scorers.detector(detects(f), **k), boxes, pysmdl.Box((2, 2, 8, 8), [1, 2])),
    ]
    for make, function, target in cases:
        right = explain(make(function), target=target, regions="grid:9")
        assert same(explain(make(only(7, function), batch=7), target=target, regions="grid:9"), right)


@pytest.mark.parametrize("wrong", [0, -1, 2.5, True, "8"])
def test_a_set_number_of_rows_is_a_whole_number(wrong):
    with pytest.raises(ValueError, match="batch must be a whole number of at least 1"):
        classifier(linear_model(), batch=wrong)


# What is kept is copied


@pytest.mark.parametrize("kind", ["view of the batch", "its own memory", "NumPy's memory"])
def test_features_are_kept_though_their_memory_is_used_again(kind):
    buffer = torch.empty(64, 27)

    def pooled(batch):
        return torch.nn.functional.adaptive_avg_pool2d(batch, 3).flatten(1)

    def static(batch):
        buffer[: len(batch)] = pooled(batch)
        return buffer[: len(batch)] if kind == "its own memory" else buffer[: len(batch)].numpy()

    function = (lambda batch: batch.flatten(1)) if kind == "view of the batch" else static
    right = (lambda batch: batch.flatten(1).clone()) if kind == "view of the batch" else pooled

    def short_of_memory(batch):
        if len(batch) > 5:
            raise RuntimeError("out of memory")
        return linear_model()(batch)

    found, expected = (terms(all_three(short_of_memory, features=each), batch_size=18)[1] for each in (function, right))
    assert found == expected


@pytest.mark.parametrize("prototypes", [True, False])
def test_an_encoders_features_are_kept_though_they_view_the_batch(prototypes):
    given = np.random.default_rng(1).normal(size=(5, 432)).astype(np.float32) if prototypes else None

    def short_of_memory(function):
        def model(batch):
            if len(batch) > 5:
                raise RuntimeError("out of memory")
            return function(batch)

        return encoder(model, given)

    settings = {"objective": pysmdl.smdl(0, 1, 1, 1), "search": "exact", "regions": "grid:9", "batch_size": 18}
    views, copies = (
        explain(short_of_memory(each), target=1 if prototypes else None, **settings)
        for each in (lambda batch: batch.flatten(1), lambda batch: batch.flatten(1).clone())
    )
    assert same(views, copies)
    assert views.terms["effectiveness"].tolist() == copies.terms["effectiveness"].tolist()


@pytest.mark.parametrize("of", [np.array, torch.tensor])
def test_prototypes_and_target_vectors_are_copied(of):
    vector = of([1.0, -2, 0.5, 3])
    rows = of(np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32))
    scorer, similar = encoder(linear_model(), rows), encoder(linear_model())
    right = explain(scorer), explain(similar, target=vector)
    target = pysmdl.Explainer(similar, regions="grid:16").prepare({"image": image(), "target": vector})
    rows[:], vector[:] = 0, 9
    assert same(explain(scorer), right[0])
    assert target.target.tolist() == [1.0, -2, 0.5, 3]


# A model of one's own


def test_an_adapter_is_a_model_that_every_scorer_takes():
    class Remote(Model):
        def __init__(self, asked):
            super().__init__(self.post, batch=4)
            self.asked = asked

        def post(self, batch):
            self.asked.append(len(batch))
            return {"result": linear_model()(batch).tolist()}

    asked = []
    assert same(explain(classifier(Remote(asked))), explain(linear_model()))
    assert set(asked) == {4}
    assert sorted(explain(encoder(Remote(asked)), target=None).order) == list(range(16))
    with pytest.raises(ValueError, match="a pysmdl Model says itself what device, dtype and batch it has"):
        classifier(Remote(asked), device="cpu")


def test_graphs_may_be_said_of_the_scorer():
    scorer = classifier(linear_model())
    assert not scorer.graph_safe
    scorer.graph_safe = True
    assert scorer.model.graph_safe


def test_a_set_number_of_rows_costs_a_row_what_it_costs_alone():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(400, 4)).eval()
    x = torch.rand(3, 12, 12)
    assert flops_per_row(classifier(network, batch=8), x) == flops_per_row(classifier(network), x) > 0


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [None, torch.float32])
def test_a_transformer_on_kept_tokens_gives_what_it_is_said_to_give(dtype):
    network = hugging_face("vit")
    settings = {"regions": patch_labels(0), "removal": "token-drop", "progress": False}
    x = torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    logits = pysmdl.explain(x, classifier(network, dtype=dtype), 3, **settings)
    alone = pysmdl.explain(x, pysmdl.scorers.token_drop(network, dtype=dtype), 3, **settings)
    assert same(logits, alone)
    given = pysmdl.explain(x, classifier(Softmax(network), gives="probabilities", dtype=dtype), 3, **settings)
    np.testing.assert_allclose(given.insertion, logits.insertion, atol=1e-6)


class Softmax(nn.Module):
    """A transformer that answers with probabilities, and says its parts itself."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        parts = tower_of(network)

        def finish(tokens, offsets):
            features, logits = parts.finish(tokens, offsets)
            return features, logits.softmax(1)

        self.tower = replace(parts, finish=finish)

    def forward(self, x):
        return self.network(x).logits.softmax(1)
