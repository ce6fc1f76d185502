"""Which networks a function runs, however it comes by them, and none that merely bear a name."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from pysmdl.models.references import modules_of


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
    assert [each.name for each in modules_of(function)] == found.split()


def test_a_model_of_a_closure_is_seen_where_the_inner_function_names_another():
    def make(model, spare):
        return lambda x: [(lambda spare: model(spare))(row) for row in x]

    assert [each.name for each in modules_of(make(NET, SPARE))] == ["net"]
