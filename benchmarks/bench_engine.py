"""The engine's own time an evaluation, with a model that costs nothing, against one plain write of the row."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor

import pysmdl

from measuring import DEVICE, calls_in, check_curves, clock, interleaved, over, picture, seconds

N = 49
BEYOND = 256  # rows: more than caches hold
TERMS = {
    "both views": pysmdl.smdl(confidence=0, effectiveness=0, consistency=1, collaboration=1),
    "all four terms": pysmdl.smdl(),
}
TARGETS = {"both views": "<= 2.0", "all four terms": "<= 2.5"}


def null_scorer(features: bool = False, seen: list[int] | None = None) -> pysmdl.scorers.Scorer:
    """A model that answers without reading a pixel: all time left is ours. `seen` collects its batch sizes."""
    logits, given = torch.zeros(4096, 10, device=DEVICE), torch.randn(4096, 64, device=DEVICE)

    def answer(batch: Tensor) -> Tensor:
        if seen is not None:
            seen.append(len(batch))
        return logits[: len(batch)]

    def features_of(batch: Tensor) -> Tensor:
        return given[: len(batch)]

    return pysmdl.scorers.classifier(answer, features_of if features else None, device=DEVICE)


@cache
def writing(rows: int, side: int = 224) -> Callable[[], float]:
    """Seconds that writing one row of a batch takes, over plain writes of the whole batch."""
    buffer = torch.empty((rows, 3, side, side), device=DEVICE)
    times = calls_in(lambda: buffer.fill_(1.0))
    return lambda: seconds(lambda: buffer.fill_(1.0), times) / rows


def explained(seed: int, terms: str, batch_size: int | None, profile: pysmdl.Profile | None = None):
    """One exact explanation of a fresh image: seconds for each evaluation, mean rows of a batch, the explanation."""
    seen: list[int] = []
    image, scorer = picture(seed), null_scorer(terms == "all four terms", seen)
    began = clock()
    found = pysmdl.explain(
        image, scorer, 1, regions=f"grid:{N}", search="exact", objective=TERMS[terms], progress=False,
        batch_size=batch_size, profile=profile or False,
    )  # fmt: skip
    return (clock() - began) / found.evaluations, round(found.evaluations / len(seen)), found


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
    profile = pysmdl.Profile()
    _, first, found = explained(1, terms, batch_size, profile)
    assert found.asked == N * (N + 1)
    rows, beyond = [first], []

    def write(pair: int) -> float:  # at the rows of the explanation before it
        beyond.append(writing(BEYOND)())
        return writing(rows[-1])()

    def ours(pair: int) -> float:
        spent, mean_rows, _ = explained(100 + pair, terms, batch_size)
        rows.append(mean_rows)
        return spent

    bare, engine = interleaved(benchmark, write, ours)
    bare = [*bare, write(0)][1:]  # what was written after each
    chosen = "found by the engine" if batch_size is None else str(batch_size)
    parameters = f"exact, N = {N}, 224 x 224 x 3 float32, {found.evaluations} evaluations"
    for name, writes, target in (
        (f"engine: {terms}, batch {chosen}", bare, TARGETS[terms]),
        (f"engine: {terms}, batch {chosen}, over a write to memory", beyond[-len(engine) :], ""),
    ):
        at = f"{sorted(rows[-len(engine) :])} rows a batch" if target else f"write of {BEYOND} rows"
        report(
            name, [1e6 * t for t in engine], over(engine, writes), unit="us / evaluation", target=target,
            parameters=f"{parameters}; {at}",
        )  # fmt: skip
    per_stage = {name: 1e6 * own / found.evaluations for name, own in profile.host().items()}
    benchmark.extra_info["us by stage"] = per_stage


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

    write = writing(rows)
    bare, theirs = interleaved(benchmark, lambda i: write(), attributed)
    report(
        "engine: captum's KernelShap beside it", [1e6 * t for t in theirs], over(theirs, bare), unit="us / evaluation",
        backend="captum", parameters=f"{samples} samples, perturbations_per_eval {rows}, the same grid of {N}",
    )  # fmt: skip
