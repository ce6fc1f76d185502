"""A model in training mode is refused at each call, and nothing else is taken for one."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import nn

import pysmdl
from pysmdl.scorers import classifier

from toys import explain, image, linear_model, same


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.drop = nn.Linear(432, 4), nn.Dropout()

    def forward(self, x):
        return self.layer(self.drop(x.flatten(1)))

    def scores(self, x):
        return self(x)


class Holder:
    def __init__(self, net):
        self.net = net

    def __call__(self, x):
        return self.net(x)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["module", "its method", "partial of its method", "closure", "an object", "compiled"])
def test_training_mode_is_refused(name):
    model = Net()
    holds = Holder(model)
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


def test_norms_that_take_their_statistics_of_the_batch_are_warned_of(caplog):
    classifier(nn.Sequential(nn.InstanceNorm2d(3), nn.BatchNorm2d(3), nn.Flatten()).eval())
    assert not caplog.records
    classifier(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False), nn.Flatten()))
    assert "Sequential.1 takes its statistics of each batch: what the model answers to a subset" in caplog.text


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
def test_quantised_modules_know_one_mode(caplog):
    quantised = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Flatten(), nn.Linear(432, 3)), {nn.Linear})
    assert same(explain(quantised.train(), regions="grid:4"), explain(quantised.eval(), regions="grid:4"))
    classifier(nn.Sequential(torch.ao.nn.quantized.Dropout(0.5)))
    assert "takes its statistics of each batch" in caplog.text  # scales of what is quantised as it runs
