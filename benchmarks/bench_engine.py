"""The engine's own time an evaluation, with a model that costs nothing, against one plain write of the row."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor

import pysmdl

from measuring import DEVICE, check_curves, clock, interleaved, over, picture, seconds

N = 49
TERMS = {
    "both views": pysmdl.smdl(confidence=0, effectiveness=0, consistency=1, collaboration=1),
    "all four terms": pysmdl.smdl(),
}
TARGETS = {"both views": "<= 2.0", "all four terms": "<= 2.5"} if DEVICE == "cpu" else {}


class NullModel:
    """A model that answers without reading a pixel: all time left is ours. Keeps the sizes of its batches."""

    def __init__(self, features: bool = False) -> None:
        self.sizes: list[int] = []
        self._logits, self._features = torch.zeros(4096, 10, device=DEVICE), torch.randn(4096, 64, device=DEVICE)
        self.scorer = pysmdl.scorers.classifier(self.logits, self.features if features else None, device=DEVICE)

    def logits(self, batch: Tensor) -> Tensor:
        self.sizes.append(len(batch))
        return self._logits[: len(batch)]

    def features(self, batch: Tensor) -> Tensor:
        return self._features[: len(batch)]


def written(sizes: Sequence[int], side: int = 224) -> float:
    """Seconds for each row that one plain write of the same batches takes, in the same order into one buffer."""
    buffer = written_to(max(sizes), side)
    return seconds(lambda: [buffer[:rows].fill_(1.0) for rows in sizes]) / sum(sizes)


@cache
def written_to(rows: int, side: int) -> Tensor:
    return torch.zeros((rows, 3, side, side), device=DEVICE)


def explained(
    model: NullModel, seed: int, terms: str, batch_size: int | None, profile: pysmdl.Profile | None = None
) -> tuple[float, pysmdl.Explanation]:
    """One exact explanation of a fresh image: seconds for each evaluation, and what was found."""
    image = picture(seed)
    model.sizes.clear()
    began = clock()
    found = pysmdl.explain(
        image, model.scorer, 1, regions=f"grid:{N}", search="exact", objective=TERMS[terms], progress=False,
        batch_size=batch_size, profile=profile or False,
    )  # fmt: skip
    return (clock() - began) / found.evaluations, found


def reads_pixels(batch: Tensor) -> Tensor:
    """A model whose answers depend on every pixel, for the gate."""
    means = torch.nn.functional.adaptive_avg_pool2d(batch, 4).flatten(1)
    return means @ torch.linspace(-1, 1, 480, device=batch.device).sin().reshape(48, 10) * 8


@pytest.mark.parametrize("batch_size", [None, 64], ids=["batch found", "batch 64"])
@pytest.mark.parametrize("terms", TERMS)
def test_host_time(benchmark, report, terms, batch_size):
    real = pysmdl.scorers.classifier(reads_pixels, reads_pixels, device=DEVICE)
    gate = pysmdl.explain(picture(0), real, 1, regions=f"grid:{N}", search="exact", objective=TERMS[terms],
                          batch_size=batch_size, progress=False)  # fmt: skip
    check_curves(gate, real, 1e-5)
    model, profile = NullModel(terms == "all four terms"), pysmdl.Profile()
    _, found = explained(model, 1, terms, batch_size, profile)
    assert found.asked == N * (N + 1)
    rows = []

    def ours(pair: int) -> float:
        spent, found = explained(model, 100 + pair, terms, batch_size)
        rows.append(round(found.evaluations / len(model.sizes)))
        return spent

    writes, engine = interleaved(benchmark, lambda pair: written(model.sizes), ours)
    writes = [*writes, written(model.sizes)][1:]  # what was written after each, of its own batches
    chosen = "found by the engine" if batch_size is None else str(batch_size)
    report(
        f"engine: {terms}, batch {chosen}", [1e6 * t for t in engine], over(engine, writes),
        unit="us / evaluation", target=TARGETS.get(terms, ""),
        parameters=f"exact, N = {N}, 224 x 224 x 3 float32, {found.evaluations} evaluations, "
        f"{sorted(rows[-len(engine):])} rows a batch",
    )  # fmt: skip
    per_stage = {name: 1e6 * own / found.evaluations for name, own in profile.host().items()}
    benchmark.extra_info["us by stage"] = per_stage


class Sleeping:
    """A model whose batch takes as long for one row as for `full`, and longer by the row beyond; counts its batches."""

    def __init__(self, seconds: float = 0.02, full: int = 256) -> None:
        self._seconds, self._full, self.batches = seconds, full, 0
        self.scorer = pysmdl.scorers.classifier(self.logits, device=DEVICE)

    def logits(self, batch: Tensor) -> Tensor:
        self.batches += 1
        time.sleep(self._seconds * max(1.0, len(batch) / self._full))
        return reads_pixels(batch)


@pytest.mark.parametrize("search", ["exact", "backward"])
@pytest.mark.parametrize("always", [False, True], ids=["as measured", "always"])
def test_rounds_ahead(benchmark, report, search, always):
    """A fixed batch and rows ahead whenever it has room; or both as the engine finds them."""
    model, batches, rows = Sleeping(), {}, {}
    ahead = True if always else None

    def run(seed: int, ahead: bool | None) -> float:
        config = pysmdl.EngineConfig(batch_size=256 if always else None, ahead=ahead)
        model.batches, began = 0, clock()
        found = pysmdl.explain(
            picture(seed, 64), model.scorer, 1, regions=f"grid:{N}", search=search, objective=TERMS["both views"],
            config=config, progress=False,
        )  # fmt: skip
        spent = clock() - began
        batches[ahead], rows[ahead] = model.batches, found.evaluations
        orders.setdefault(seed, found.order.tolist())
        assert orders[seed] == found.order.tolist(), "ahead or not, the order is the same"
        return spent

    orders: dict[int, list[int]] = {}
    alone, along = interleaved(benchmark, lambda i: run(i, False), lambda i: run(i, ahead), warm=2)
    report(
        f"engine: rounds alone over rounds ahead, {search}, {'always' if always else 'as measured'}",
        along, over(alone, along), unit="s / image",
        parameters=f"a model of 20 ms a batch up to 256 rows, N = {N}, 64 x 64 x 3; "
        f"{batches[False]} batches of {rows[False]} rows in all, then {batches[ahead]} of {rows[ahead]}",
    )  # fmt: skip


@pytest.mark.skipif(find_spec("captum") is None, reason="captum is not installed")
def test_captums_kernel_shap(benchmark, report):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from captum.attr import KernelShap
    logits, samples, rows = torch.zeros(4096, 10, device=DEVICE), 500, 16
    mask = torch.from_numpy(pysmdl.regions.grid(picture(0), N).labels).long().to(DEVICE)[None, None]

    def attributed(seed: int) -> float:
        x = torch.from_numpy(picture(seed).transpose(2, 0, 1).copy()).float().to(DEVICE)[None] / 255
        began = clock()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = KernelShap(lambda batch: logits[: len(batch)]).attribute(
                x, target=1, feature_mask=mask, n_samples=samples, perturbations_per_eval=rows
            )
        spent = clock() - began
        assert found.abs().max() == 0, "a constant model has no attribution"
        return spent / samples

    bare, theirs = interleaved(benchmark, lambda i: written([rows] * (samples // rows)), attributed)
    report(
        "engine: captum's KernelShap beside it", [1e6 * t for t in theirs], over(theirs, bare), unit="us / evaluation",
        backend="captum", parameters=f"{samples} samples, perturbations_per_eval {rows}, the same grid of {N}",
    )  # fmt: skip
