"""How the engine's own time grows: with regions, image size and inputs in flight; and that of the searches alone."""

from __future__ import annotations

import time

import numpy as np
import pytest

import pysmdl
from pysmdl import bitrows, testing
from pysmdl.search import SEARCHES, Evaluation, Task

from bench_engine import NullModel, written
from measuring import DEVICE, clock, interleaved, over, picture

BOTH = pysmdl.smdl(confidence=0, effectiveness=0, consistency=1, collaboration=1)
BATCH = 64
ROWS = 2400  # evaluations to spend on a time, about


def explained(seed: int, n: int, side: int, in_flight: int) -> float:
    """Seconds for each evaluation of so many inputs at once, each a fresh image."""
    k = min(n, max(1, ROWS // (2 * n * in_flight)))
    images = [(picture(1000 * seed + i, side), 1) for i in range(in_flight)]
    config = pysmdl.EngineConfig(batch_size=BATCH, max_searches=in_flight)
    began = clock()
    found = list(
        pysmdl.explain_many(
            images, NullModel().scorer, regions=f"grid:{n}", search="exact", k=k, objective=BOTH, config=config,
            progress=False,
        )
    )  # fmt: skip
    spent = clock() - began
    asked = [each.order.tolist() for each in found]
    assert asked == [list(range(k))] * in_flight, "of equals the first, in company as alone"
    return spent / sum(each.evaluations for each in found)


CASES = [
    *[("N", n, n, 224, 1) for n in (16, 49, 100, 196)],
    *[("side", side, 49, side, 1) for side in (64, 128, 224, 336)],
    *[("in flight", many, 49, 224, many) for many in (1, 4, 16, 64)],
]


@pytest.mark.parametrize(("axis", "value", "n", "side", "in_flight"), CASES)
def test_engine(benchmark, report, axis, value, n, side, in_flight):
    bare, ours = interleaved(
        benchmark, lambda i: written([BATCH] * 8, side), lambda i: explained(i, n, side, in_flight)
    )
    report(
        f"growth: {axis} {value}", [1e6 * t for t in ours], over(ours, bare), unit="us / evaluation",
        parameters=f"N = {n}, {side} x {side} x 3 float32, {in_flight} in flight, batch {BATCH}, null model",
    )  # fmt: skip


def searched(name: str, n: int, seed: int) -> tuple[float, int, tuple[int, ...]]:
    """Seconds of a search's own for each subset it asks for, how many these are, and its order."""
    inner, inside = testing.coverage(n, seed=seed), 0.0

    def timed(member: np.ndarray) -> np.ndarray:
        nonlocal inside
        began = time.perf_counter()
        answer = inner(member)
        inside += time.perf_counter() - began
        return answer

    began = time.perf_counter()
    ranking, asked = testing.drive(SEARCHES[name](), timed, n)
    return (time.perf_counter() - began - inside) / asked, asked, tuple(ranking.order)


@pytest.mark.skipif(DEVICE != "cpu", reason="the host's alone")
@pytest.mark.parametrize("n", [16, 49, 100, 196])
@pytest.mark.parametrize("name", SEARCHES)
def test_search(benchmark, report, name, n):
    _, asked, order = searched(name, n, 0)
    assert sorted(order) == list(range(n)), "a permutation"
    bare, ours = interleaved(benchmark, lambda i: written([BATCH] * 8), lambda i: searched(name, n, i)[0])
    report(
        f"search: {name}, N = {n}", [1e6 * t for t in ours], over(ours, bare), backend="host", unit="us / subset",
        parameters=f"toy coverage function, {asked} subsets asked for",
    )  # fmt: skip


MODEL_MS = 2.0  # a row of the model that guided's own time is compared with


def guided(n: int, rows: int, seed: int) -> float:
    """Seconds that guided takes by itself for so many rows of two views, of regions on a grid."""
    side = round(n**0.5)
    regions = pysmdl.regions.from_labels(np.arange(side * side).reshape(side, side).repeat(4, 0).repeat(4, 1))
    f, inside = testing.interacting(n, seed), 0.0
    rounds = pysmdl.search.guided(rows).start(Task(n, n, rows, seed, regions))
    began = time.perf_counter()
    try:
        ask = next(rounds)
        while True:
            entered = time.perf_counter()
            member = bitrows.unpack(ask.rows(n), n)
            kept, removed = ((0.5 + f(each) / 2).astype(np.float32) for each in (member, ~member))
            terms = {"kept": kept} if ask.score_only else {"kept": kept, "removed": 1 - removed}
            found = Evaluation(terms, dict.fromkeys(terms, 1.0), insertion=kept, deletion=removed)
            inside += time.perf_counter() - entered
            ask = rounds.send(found)
    except StopIteration:
        return time.perf_counter() - began - inside


@pytest.mark.skipif(DEVICE != "cpu", reason="the host's alone")
@pytest.mark.parametrize(("n", "rows", "share"), [(36, 500, 0.03), (121, 1350, 0.05), (196, 2100, 0.08)])
def test_guided(benchmark, report, n, rows, share):
    model = rows * MODEL_MS / 1e3
    bare, ours = interleaved(benchmark, lambda i: model, lambda i: guided(n, rows, i))
    report(
        f"search: guided's own time, N = {n}", [1e3 * t for t in ours], over(ours, bare), backend="host", unit="ms",
        parameters=f"own time of {rows} rows, over a model of {MODEL_MS:g} ms a row", target=f"<= {share:g}",
    )  # fmt: skip
