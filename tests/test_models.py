"""How a model is called: which network a function runs, in which mode, where it lies, and what it takes."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from vision_towers import SIDE, hugging_face, patch_labels

import pysmdl
from pysmdl.models.base import Model
from pysmdl.models.towers import tower_of
from pysmdl.scorers import classifier, encoder
from pysmdl.scorers.cost import flops_per_row

from toys import explain, image, linear_model, same


class Net(nn.Module):
    def __init__(self, name="net"):
        super().__init__()
        self.name = name
        self.layer, self.drop = nn.Linear(432, 4), nn.Dropout()

    def forward(self, x):
        return self.layer(self.drop(x.flatten(1)))

    def scores(self, x):
        return self(x)


NET, SPARE, net = Net("net"), Net("spare"), Net("global")
LIBRARY = ModuleType("library")
LIBRARY.__dict__.update(used=NET, other=SPARE)


# Which network a function runs


class Holder:
    def __init__(self, **parts):
        self.__dict__.update(parts)

    def __call__(self, x):
        return self.net(x)

    def run(self, x):
        return self.help(x)

    def help(self, x):
        return self.net(x) + 1


class Lazy:
    def __init__(self):
        self._net, self.spare = NET, SPARE

    @property
    def net(self):
        return self._net

    def __call__(self, x):
        return [self.net(row) for row in x]


@dataclass(slots=True)
class Slotted:
    net: nn.Module
    spare: nn.Module

    def __call__(self, x):
        return self.net(x)


class Shared:
    net, spare = NET, SPARE

    @classmethod
    def run(cls, x):
        return cls.net(x)


class Dynamic:
    def __init__(self):
        self.net = NET

    def __call__(self, x):
        return getattr(self, "net")(x)  # noqa: B009


def calls(x):
    return NET(x)


def decorated(function):
    @functools.wraps(function)
    def inner(*args):
        return function(*args)

    return inner


def with_default(x, model=NET):
    return model(x)


def with_keyword(x, *, model=NET):
    return model(x)


def in_a_loop(x, models=(NET, SPARE)):
    for model in models:
        x = model(x)
    return x


def whole_net():
    whole = Net("whole")
    whole.backbone = NET
    return whole


holder, plain, models, named = (
    Holder(net=NET, spare=SPARE),
    Holder(net=3, spare=SPARE),
    [SPARE, NET],
    {"a": SPARE, "b": NET},
)
nested, one_of_two = Holder(part=Holder(net=NET)), nn.Sequential(NET, SPARE)
parts, whole = nn.ModuleDict({"a": SPARE, "b": NET}), whole_net()
head, body = SPARE, NET

RUN = {
    "module": (NET, "net"),
    "its method": (NET.scores, "net"),
    "partial of its method": (functools.partial(NET.scores), "net"),
    "partial with it": (functools.partial(lambda model, x: model(x), NET), "net"),
    "partial with it by name": (functools.partial(with_default, model=SPARE), "net spare"),
    "global": (lambda x: NET(x), "net"),
    "default": (with_default, "net"),
    "keyword default": (with_keyword, "net"),
    "function of a function": (lambda x: calls(x), "net"),
    "decorated": (decorated(calls), "net"),
    "without gradients": (torch.no_grad()(calls), "net"),
    "attribute, not the global of its name": (holder, "net"),
    "method of an object": (holder.run, "net"),
    "attribute of a global": (lambda x: holder.net(x), "net"),
    "call of an object": (lambda x: holder(x), "net"),
    "attribute of an attribute": (lambda x: nested.part.net(x), "net"),
    "handed on": (lambda x: Holder.run(holder, x), "net"),
    "property": (Lazy(), "net"),
    "slots": (Slotted(NET, SPARE), "net"),
    "class attribute": (Shared.run, "net"),
    "by getattr": (Dynamic(), "net"),
    "attribute of a library": (lambda x: LIBRARY.used(x), "net"),
    "item of a list": (lambda x: models[1](x), "net"),
    "last of a list": (lambda x: models[-1](x), "net"),
    "item of a dict": (lambda x: named["b"](x), "net"),
    "item of a container": (lambda x: parts["b"](x), "net"),
    "part of a module": (lambda x: whole.backbone(x), "net"),
    "item of a sequence": (lambda x: one_of_two[0](x), "net"),
    "method of a module with parts": (lambda x: whole.scores(x), "whole"),
    "all of a list": (lambda x: sum(model(x) for model in models), "spare net"),
    "loop": (in_a_loop, "net spare"),
    "what meets the batch first": (lambda x: head(body(x)), "net spare"),
    "no model": (lambda x: x.net * plain.net, ""),
    "attribute of the batch": (lambda x: x.net(x).models[0], ""),
    "NumPy": (lambda x: np.asarray(x).mean((2, 3)), ""),
}  # fmt: skip


@pytest.mark.parametrize("name", RUN)
def test_a_function_runs_the_models_that_it_loads_and_no_other(name):
    function, found = RUN[name]
    for module in (NET, SPARE, net, whole):
        module.eval()
    assert [each.name for each in Model(function).modules] == found.split()


def test_a_model_of_a_closure_is_seen_where_the_inner_function_names_another():
    def make(model, spare):
        return lambda x: [(lambda spare: model(spare))(row) for row in x]

    assert [each.name for each in Model(make(NET.eval(), SPARE)).modules] == ["net"]


# Training mode


@pytest.mark.parametrize("name", ["module", "its method", "partial of its method", "closure", "an object", "compiled"])
def test_training_mode_is_refused(name):
    model = Net()
    holds = Holder(net=model)
    wrapped = {
        "module": model,
        "its method": model.scores,
        "partial of its method": functools.partial(model.scores),
        "closure": lambda x: model(x),
        "an object": holds,
        "compiled": torch.compile(model),
    }[name]
    with pytest.raises(
        ValueError, match=r"the model is in training mode \((Net|OptimizedModule)\); call model.eval\(\)"
    ):
        explain(wrapped)
    model.eval()
    explain(wrapped) if name != "compiled" else classifier(wrapped)
    model.drop.train()
    with pytest.raises(ValueError, match=r"training mode \((Net.drop|OptimizedModule._orig_mod.drop)\)"):
        explain(wrapped)


@pytest.mark.parametrize("name", ["features", "evidence"])
def test_what_else_the_model_gives_must_not_be_in_training_mode(name):
    with pytest.raises(ValueError, match=r"the model is in training mode \(Net\)"):
        classifier(linear_model(), **{name: Net()})


def normed():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


RUNS = {
    "explain": lambda scorer: explain(scorer, regions="grid:4"),
    "explain_many": lambda scorer: list(pysmdl.explain_many([(image(), 1)], scorer, regions="grid:4", progress=False)),
    "explain_steps": lambda scorer: list(pysmdl.explain_steps(image(), scorer, 1, regions="grid:4")),
    "Game": lambda scorer: pysmdl.Game(image(), scorer, 1, regions="grid:4"),
}


@pytest.mark.parametrize("run", RUNS)
def test_training_mode_switched_on_after_the_scorer_was_made_is_refused(run):
    model = normed().eval()
    scorer = classifier(model)
    RUNS[run](scorer)
    model.train()
    before = model[1].running_mean.clone()
    with pytest.raises(ValueError, match=r"the model is in training mode \(Sequential\)"):
        RUNS[run](scorer)
    assert torch.equal(model[1].running_mean, before)
    model.eval()
    RUNS[run](scorer)


def test_an_explainer_and_a_game_look_at_the_model_at_each_call():
    model = normed().eval()
    explainer = pysmdl.Explainer(model, regions="grid:4")
    game = pysmdl.Game(image(), model, 1, regions="grid:4")
    model.train()
    with pytest.raises(ValueError, match="training mode"):
        list(explainer.run([(image(), 1)]))
    with pytest.raises(ValueError, match="training mode"):
        game(np.eye(4, dtype=bool))


class DropPath(nn.Module):
    def __init__(self, drop_prob):
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x):
        return x * (torch.rand(len(x), 1) > self.drop_prob) if self.training and self.drop_prob else x


class Noisy(nn.Module):
    def forward(self, x):
        return self.noise(x)

    def noise(self, x):
        return x + torch.rand_like(x) if self.training else x


class Halves(nn.Module):
    """As a transform: nothing to learn, the same in both modes."""

    def forward(self, x):
        return x / 2


def scripted(train):
    return torch.jit.script(normed().train(train))


def exported(model):
    return torch.export.export(model.eval(), (torch.rand(2, 3, 12, 12),)).module()


SAME_IN_BOTH = {
    "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(432, 3)),
    "dropout of nothing": lambda: nn.Sequential(nn.Flatten(), nn.Dropout(0.0), nn.Linear(432, 3)),
    "norm without statistics": lambda: nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False), nn.Flatten()),
    "instance norm": lambda: nn.Sequential(nn.InstanceNorm2d(3), nn.Flatten()),
    "a transform before the model": lambda: nn.Sequential(Halves(), normed().eval()),
    "data parallel": lambda: nn.DataParallel(normed().eval()),
    "sliced": lambda: nn.Sequential(*list(normed().eval())[:4]),
    "drop path of nothing": lambda: nn.Sequential(nn.Flatten(), DropPath(0.0)),
    "dropped between one layer": lambda: nn.Sequential(nn.Flatten(), nn.LSTM(432, 3, dropout=0.0)),
    "attention without dropout": lambda: nn.MultiheadAttention(4, 2),
    "script": lambda: scripted(False),
    "frozen script": lambda: torch.jit.freeze(scripted(False)),
    "trace": lambda: torch.jit.trace(normed().eval(), torch.rand(2, 3, 12, 12)),
    "exported": lambda: exported(normed()),
    "compiled": lambda: torch.compile(normed().eval()),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", SAME_IN_BOTH)
def test_what_does_the_same_in_both_modes_is_taken_in_either(name):
    classifier(SAME_IN_BOTH[name]())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_frozen_and_exported_models_explain():
    right = explain(normed().eval(), regions="grid:4")
    for frozen in (torch.jit.freeze(scripted(False)), exported_for_any(normed())):
        np.testing.assert_allclose(explain(frozen, regions="grid:4").insertion, right.insertion, atol=1e-5)


def exported_for_any(model):
    sizes = ({0: torch.export.Dim("rows", min=1, max=64)},)
    return torch.export.export(model.eval(), (torch.rand(2, 3, 12, 12),), dynamic_shapes=sizes).module()


DIFFERENT = {
    "dropout": lambda: nn.Dropout(0.1),
    "norm with statistics": lambda: nn.BatchNorm2d(3),
    "instance norm with statistics": lambda: nn.InstanceNorm2d(3, track_running_stats=True),
    "random slope": lambda: nn.RReLU(),
    "attention": lambda: nn.MultiheadAttention(4, 2, dropout=0.1),
    "recurrent": lambda: nn.LSTM(3, 3, num_layers=2, dropout=0.1),
    "spectral norm": lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3)),
    "drop path": lambda: DropPath(0.1),
    "its own noise": lambda: Noisy(),
    "inside what is in evaluation": lambda: nn.ModuleList([nn.Sequential(nn.Dropout(0.1))]),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_behaves_otherwise_in_training_is_refused(name):
    part = DIFFERENT[name]()
    with pytest.raises(ValueError, match="training mode"):
        classifier(nn.Sequential(nn.Flatten(), part))
    classifier(nn.Sequential(nn.Flatten(), part).eval())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_script_in_training_mode_is_refused():
    with pytest.raises(ValueError, match="training mode"):
        classifier(scripted(True))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantised_modules_know_one_mode():
    quantised = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Flatten(), nn.Linear(432, 3)), {nn.Linear})
    assert same(explain(quantised.train(), regions="grid:4"), explain(quantised.eval(), regions="grid:4"))
    classifier(nn.Sequential(torch.ao.nn.quantized.Dropout(0.5)))


# Where it lies and what it takes


@pytest.mark.skipif(torch.cuda.is_available(), reason="the device exists")
def test_device_of_the_model_is_checked():
    with pytest.raises(ValueError, match="device is meta, but the model's parameters are on cpu"):
        classifier(Net().eval(), device="meta")


def test_weights_that_were_never_loaded_are_named():
    with pytest.raises(ValueError, match="the model's weights are on the meta device, so it has none: load them first"):
        classifier(nn.Linear(432, 4, device="meta"))


@pytest.mark.parametrize(
    "said",
    [
        {"_hf_hook": SimpleNamespace(execution_device="cpu")},
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
