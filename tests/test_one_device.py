"""All of a batch's work lies on the model's device, and the host neither reads from it nor copies to it: what a CUDA
graph may hold. The meta device stands for the GPU: it has no numbers, so whoever reads one fails.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import pysmdl
from pysmdl import Box, EngineConfig, heads, removal, scorers
from pysmdl.engine.device.forward import Forward
from pysmdl.engine.device.pool import Pool
from pysmdl.explainer import Explainer
from pysmdl.kernels import checks
from pysmdl.removal.base import DeviceRows

META, ROWS = torch.device("meta"), 4
SIZE = {"mean": 0.5, "std": 0.5, "size": 32}
SOFT = {"search": pysmdl.methods.sobol(masks="soft", designs=4)}
BOX = {"target": Box((2, 2, 30, 30), [1])}


class OneDevice(TorchDispatchMode):
    """Refuses ops on the host, but for numbers: those travel with a kernel's arguments."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        there = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor) and each.device != META]
        found = func(*args, **(kwargs or {}))
        there += [each for each in tree_leaves(found) if isinstance(each, Tensor) and each.device != META]
        assert all(each.dim() == 0 for each in there), f"{func} of a tensor {list(there[0].shape)} on {there[0].device}"
        return found


def net(*more: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 5, stride=4), nn.Tanh(), nn.Flatten(), nn.Linear(196, 5), *more).eval()


class Boxes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3072, 6 * 7)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found = self.inner(x.flatten(1)).view(-1, 6, 7).sigmoid()
        return torch.cat((found[..., :2], found[..., :2] + 20), 2), found[..., 4:]


def row() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 3)).eval()


def gaussian(draws):
    return removal.conditional_gaussian(np.zeros(6), np.eye(6) + 0.5, draws=draws)


def classes(**settings):
    return lambda: scorers.classifier(net(), **SIZE, **settings)


def segments(head):
    return lambda: scorers.custom(nn.Conv2d(3, 4, 3).eval(), head(), dims=4, **SIZE)


CASES = {
    "classes": (classes(), {}),
    "traced": (classes(), {"trace": [0, 2]}),
    "features": (lambda: scorers.classifier(net(), features=net(), **SIZE), {"objective": pysmdl.smdl()}),
    "sigmoid": (classes(gives="sigmoid"), {}),
    "probabilities": (lambda: scorers.classifier(net(nn.Softmax(1)), gives="probabilities", **SIZE), {}),
    "masked in the image": (classes(mask_at="image"), {}),
    "pieces": (classes(batch=3), {}),
    **{f"head {head.__name__}": (classes(head=head()), {}) for head in (
        heads.margin, heads.entropy, heads.log_odds, heads.log_probability, heads.kl, heads.jsd, heads.hellinger,
    )},
    "head dice": (segments(heads.dice), {}),
    "head dice of a mask": (segments(lambda: heads.dice(np.eye(8))), {}),
    "head denoising": (
        lambda: scorers.custom(net(), heads.denoising([-2.0, -1.0, 0.0, 1.0, 2.0]), dims=2, **SIZE), {}
    ),
    "encoder": (lambda: scorers.encoder(net(), np.eye(5, dtype=np.float32), **SIZE), {}),
    "similarity": (lambda: scorers.encoder(net(), **SIZE), {"target": None}),
    "boxes": (lambda: scorers.detector(Boxes().eval(), **SIZE), BOX),
    "boxes by a head": (lambda: scorers.detector(Boxes().eval(), head=heads.log_odds(), **SIZE), BOX),
    "blur": (classes(), {"baseline": "blur"}),
    "noise": (classes(), {"baseline": removal.noise(0.5, draws=2)}),
    "border": (classes(), {"baseline": removal.boundary_gaussian(draws=2)}),
    "soft": (classes(), SOFT),
    "soft noise": (classes(), {"baseline": removal.noise(0.5, draws=2), **SOFT}),
    "wavelets": (classes(), {"removal": removal.wavelet(2), "regions": None}),
    "soft wavelets": (classes(), {"removal": removal.wavelet(2), "regions": "cells:3", **SOFT}),
    "masks": (classes(), {"regions": pysmdl.regions.from_masks(np.random.default_rng(0).random((5, 32, 32)) > 0.5)}),
    "row": (lambda: scorers.classifier(row()), {"regions": "columns"}),
    "row, given the present": (lambda: scorers.classifier(row()), {"regions": "columns", "baseline": gaussian(2)}),
    "row of others": (
        lambda: scorers.classifier(row()), {"regions": "columns", "baseline": removal.marginal(np.eye(6))}
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_batch_meets_no_tensor_of_another_device_and_nobody_reads_it(case, monkeypatch):
    monkeypatch.setattr(checks, "expect_apart", lambda out, given: None)  # all of it lies at address 0
    monkeypatch.setattr(Forward, "casts", lambda _: None)  # torch knows no autocast there
    make, settings = CASES[case]
    settings = {"target": 1, "regions": "grid:4", "search": "exact", **settings}
    target, scorer = settings.pop("target"), make()
    given = torch.linspace(-1, 1, 6) if settings["regions"] == "columns" else np.full((32, 32, 3), 99, np.uint8)
    pysmdl.explain(given, scorer, target, progress=False, **settings)  # what is looked at once has been seen
    explainer = Explainer(scorer, **settings)
    item = explainer.prepare((given, target))
    pool = Pool(item.kind, META)
    pool.put(item)
    for model in scorer.models:
        for module in model.modules:
            module.to(META)
        model.device = META
    for name, value in vars(scorer).items():
        if isinstance(value, Tensor):  # prototypes
            setattr(scorer, name, value.to(META))
    forward = Forward(explainer.scorer, explainer.removal, EngineConfig(), "entropy", {item.kind: pool})
    n, soft = item.regions.n, explainer.plan.search.soft
    targets = torch.from_numpy(np.repeat(explainer.scorer.stack([item.target]), ROWS, 0)).to(META)
    bits = torch.zeros((ROWS, n if soft else 1), dtype=torch.int32, device=META)
    sent = DeviceRows(bits, torch.zeros(ROWS, dtype=torch.int32, device=META), targets)
    buffer = torch.empty((ROWS, *item.kind.row), dtype=item.kind.dtype, device=META)
    forward.compute(item.kind, True, buffer, sent)  # a graph is captured at the second batch of a size
    with OneDevice():
        values, _ = forward.compute(item.kind, True, buffer, sent)
    assert values.device == META
    assert len(values) == ROWS
