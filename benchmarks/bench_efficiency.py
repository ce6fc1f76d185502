"""How much of the wall time is the model's: evaluations x the bare model's time a row at its best batch / wall time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from statistics import mean
from typing import Any

import pytest
import torch
from torch import nn

import pysmdl
from pysmdl import builtin

from measuring import DEVICE, check_curves, clock, interleaved, over, picture, seconds

BOTH = pysmdl.smdl(confidence=0, effectiveness=0, consistency=1, collaboration=1)


@cache
def vit(hidden: int, layers: int, heads: int, patch: int, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A vision transformer of Hugging Face with random weights, 224 x 224, 10 classes that differ."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=4 * hidden,
        patch_size=patch, image_size=224, num_labels=10,
    )  # fmt: skip
    with torch.device(DEVICE):
        model = transformers.ViTForImageClassification(config)
    nn.init.normal_(model.classifier.weight, std=0.1)
    return model.to(dtype).eval().requires_grad_(False)


def vit_s() -> Any:
    dtype = torch.float32 if DEVICE == "cpu" else torch.bfloat16
    return pysmdl.scorers.classifier(vit(384, 12, 6, 16, dtype), mean=0.5, std=0.5, size=224)


def vit_l() -> Any:
    return pysmdl.scorers.classifier(vit(1024, 24, 16, 14, torch.bfloat16), mean=0.5, std=0.5, size=224)


def vit_7b() -> Any:
    """As large as the language model of a multimodal one: 6.5 billion weights, a row of 257 tokens."""
    return pysmdl.scorers.classifier(vit(4096, 32, 32, 14, torch.bfloat16), mean=0.5, std=0.5, size=224)


def digits() -> Any:
    return builtin.load("digits", DEVICE)


def resnet_50() -> Any:
    """torchvision's or timm's, in bfloat16 with channels last, as one runs it."""
    found = next((name for name in ("torchvision", "timm") if find_spec(name)), None)
    if found is None:
        pytest.skip("neither torchvision nor timm is installed")
    torch.manual_seed(0)
    if found == "torchvision":
        model = import_module("torchvision.models").resnet50()
    else:
        model = import_module("timm").create_model("resnet50")
    model = model.to(DEVICE, torch.bfloat16, memory_format=torch.channels_last).eval().requires_grad_(False)
    return pysmdl.scorers.classifier(model, mean=builtin.MEAN, std=builtin.STD, size=224)


@dataclass(frozen=True)
class Case:
    """A model and how it is used: regions of N, the first k of them, so many inputs in flight."""

    model: str
    make: Callable[[], Any]
    n: int
    k: int | None
    in_flight: int
    target: str = ""
    graphs: bool = False  # the forward pass may be captured in a CUDA graph
    tolerance: float = 1e-4
    image_target: str = ""  # for the seconds an image

    @property
    def name(self) -> str:
        graphs = ", graphs" if self.graphs else ""
        return f"efficiency: {self.model}, N = {self.n}, {self.in_flight} in flight{graphs}"


CPU = [
    Case("built-in CNN", digits, 49, 3, 1),
    Case("built-in CNN", digits, 49, 3, 8, ">= 0.85"),
    Case("ViT-S", vit_s, 49, 3, 1, ">= 0.95"),
    Case("ViT-S", vit_s, 49, 1, 8, ">= 0.97"),
]
LOADS = (
    (49, 1),
    (100, 1),
    (49, 32),
)  # regions, inputs in flight; 32 of 100 regions would take ViT-L ten minutes
GPU = [
    Case("ViT-L/14 bf16", vit_l, 49, None, 1, ">= 0.90", tolerance=0.02, image_target="<= 1.2"),
    Case("ViT-L/14 bf16", vit_l, 100, None, 1, ">= 0.90", tolerance=0.02),
    Case("ViT-L/14 bf16", vit_l, 49, None, 1, ">= 0.90", graphs=True, tolerance=0.02),
    Case("ViT-L/14 bf16", vit_l, 49, 12, 32, ">= 0.97", tolerance=0.02),  # full orders would take three minutes
    Case("7B transformer bf16", vit_7b, 49, 2, 1, tolerance=0.02),
    *[Case("ResNet-50 bf16", resnet_50, n, None, many, ">= 0.85" if many == 32 else "", tolerance=0.02)
      for n, many in LOADS],
    *[Case("ViT-S bf16", vit_s, n, None, many, tolerance=0.02) for n, many in LOADS],
    Case("ViT-S bf16", vit_s, 49, None, 1, graphs=True, tolerance=0.02),
    *[Case("built-in CNN", digits, n, None, many, graphs=graphs, tolerance=1e-3)  # its convolutions round to TF32
      for n, many in LOADS for graphs in (False, True)],
]  # fmt: skip


def explained(
    scorer: Any, case: Case, seed: int, between: Callable[[], Any] | None = None
) -> tuple[float, list[pysmdl.Explanation]]:
    """Seconds to explain the case's number of fresh images, and the explanations.

    `between` is called after each batch; its time does not count.
    """
    images = [(picture(1000 * seed + i, scorer.input.size[0]), 1) for i in range(case.in_flight)]
    config = pysmdl.EngineConfig(max_searches=case.in_flight)
    apart = 0.0

    def progress(_: pysmdl.Progress) -> None:
        nonlocal apart
        apart += seconds(between)

    began = clock()
    found = list(
        pysmdl.explain_many(
            images, scorer, regions=f"grid:{case.n}", search="exact", k=case.k, objective=BOTH, config=config,
            progress=progress if between else False,
        )
    )  # fmt: skip
    return clock() - began - apart, found


class Bare:
    """The model alone.

    Attributes:
        sizes: The batch sizes at which a row is cheap.
    """

    def __init__(self, scorer: Any) -> None:
        self._scorer = scorer
        costs: dict[int, float] = {}
        for rows in (8, 16, 32) if DEVICE == "cpu" else (16, 32, 64, 128, 256, 512, 1024):
            self.row(rows)  # warms it up
            costs[rows] = min(self.row(rows) for _ in range(3))
            if costs[rows] > 1.2 * min(costs.values()):
                break  # slow models need not be driven beyond
        near = (1.2 if DEVICE == "cpu" else 1.05) * min(costs.values())
        self.sizes = [rows for rows in costs if costs[rows] <= near]
        self._costs = costs

    def row(self, rows: int, times: int = 1) -> float:
        """Seconds for each row, in batches of so many."""
        memory = torch.channels_last if self._scorer.channels_last else torch.contiguous_format
        shape = (rows, 3, *self._scorer.input.size)
        batch = torch.randn(shape, device=DEVICE, dtype=self._scorer.dtype).contiguous(memory_format=memory)

        def forward() -> None:
            with torch.no_grad():
                self._scorer.forward(batch)

        return seconds(forward, times) / rows

    def long(self) -> float:
        """The same over about a second, at the best of the sizes."""
        wanted = 1.0 / len(self.sizes)
        return min(self.row(rows, max(1, round(wanted / (rows * self._costs[rows])))) for rows in self.sizes)


class Alongside:
    """Runs the bare model after every fourth of the engine's batches, its sizes in turn."""

    def __init__(self, bare: Bare) -> None:
        self._bare, self._calls = bare, 0
        self._spent: dict[int, list[float]] = {rows: [] for rows in bare.sizes}

    def __call__(self) -> None:
        turn, wait = divmod(self._calls, 4)
        self._calls += 1
        if not wait:
            rows = self._bare.sizes[turn % len(self._bare.sizes)]
            self._spent[rows].append(self._bare.row(rows))

    @property
    def row(self) -> float:
        """Mean seconds for each row, at the size where that is least."""
        return min(mean(times) for times in self._spent.values() if times)


def efficiency(benchmark: Any, report: Callable[..., None], case: Case) -> None:
    """The measurement, behind the gate that the engine's curves are the model's own answers.

    On the CPU the bare model runs in between the engine's batches, so that both meet the same moments of the machine.
    On a GPU, where batches overlap, it runs before and after.
    """
    scorer = case.make()
    scorer.graph_safe = case.graphs
    warm = replace(case, k=1 if DEVICE == "cpu" else case.k, in_flight=min(2, case.in_flight))
    _, found = explained(scorer, warm, 0)
    check_curves(found[-1], scorer, case.tolerance)
    bare = Bare(scorer)
    evaluations: list[int] = []
    alone: list[float] = []

    def ours(pair: int) -> float:
        alongside = Alongside(bare) if DEVICE == "cpu" else None
        wall, explanations = explained(scorer, case, 1 + pair, alongside)
        if alongside:
            alone.append(alongside.row)
        evaluations.append(sum(each.evaluations for each in explanations))
        return wall / evaluations[-1]

    settled = 2 if DEVICE == "cuda" and case.in_flight == 1 else 0  # batch size found, graphs captured
    before, wall = interleaved(benchmark, lambda i: 0.0 if DEVICE == "cpu" else bare.long(), ours, warm=settled)
    if DEVICE == "cuda":
        alone = [sum(pair) / 2 for pair in pairwise((*before, bare.long()))]  # before each and after
        evaluations = evaluations[settled:]
    sizes = "batches of " + ", ".join(map(str, bare.sizes))
    views = "full orders" if case.k is None else f"k = {case.k}"
    if case.image_target:
        each = [spent * evaluations[-1] / case.in_flight for spent in wall]
        report(
            f"gpu: {case.model}, exact, both views", each, unit="s / image", target=case.image_target,
            parameters=f"N = {case.n}, full orders, {case.in_flight} in flight",
        )  # fmt: skip
    report(
        case.name, [1e6 * t for t in wall], over(alone, wall), unit="us / evaluation", target=case.target,
        parameters=f"exact, both views, {views}, {evaluations[-1]} evaluations; bare model at {sizes}",
    )  # fmt: skip


@pytest.mark.parametrize("case", CPU if DEVICE == "cpu" else GPU, ids=lambda case: case.name)
def test_efficiency(benchmark, report, case):
    efficiency(benchmark, report, case)
