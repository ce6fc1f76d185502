"""Profiles beside other work: each records what its own run does, whoever runs meanwhile, and changes nothing."""

from __future__ import annotations

import asyncio
import contextvars
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

import pysmdl
from pysmdl.profiling import Profile
from pysmdl.scorers.cost import peak_flops

from toys import explain, image, linear_model, linear_net

SEARCHES = ("exact", "bidirectional", "stochastic", "guided", "rise", "lime", "kernel_shap", "sobol", "hsic")


def in_step(parties: int, model: Callable) -> Callable:
    """The model, which answers its first batches only when that many threads ask, so that their runs overlap."""
    barrier, met = threading.Barrier(parties), threading.local()

    def forward(batch):
        met.batches = getattr(met, "batches", 0) + 1
        if met.batches <= 3:
            barrier.wait(60)
        return model(batch)

    return forward


def test_profiles_of_two_threads_and_a_run_without_one_keep_apart():
    model = in_step(3, linear_model())
    settings = [{"regions": "grid:9"}, {"regions": "grid:16"}, {"regions": "grid:4"}]
    profiles = [Profile(), Profile(), False]

    def run(at):
        return explain(lambda batch: model(batch), profile=profiles[at], batch_size=4, **settings[at])

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(run, range(3)))
    for at in range(2):
        report = found[at].notes["profile"]
        assert report["evaluations"] == found[at].evaluations
        assert report["asked"] == found[at].asked
        assert min(each["seconds"] for each in report["stages"].values()) >= 0
        assert sum(each["seconds"] for each in report["stages"].values()) == pytest.approx(report["seconds"])
    assert "profile" not in found[2].notes


def test_a_thread_started_under_a_profile_is_not_its_own():
    def elsewhere():
        explain(linear_net(), regions="grid:4")
        return explain(linear_net(), regions="grid:4", profile=True).notes["profile"]["evaluations"]

    with Profile() as profile, ThreadPoolExecutor(1) as pool:
        inherited = contextvars.copy_context()  # as asyncio.to_thread does, and threads of Python without a GIL
        others = [pool.submit(elsewhere).result(), pool.submit(inherited.run, elsewhere).result()]
        own = explain(linear_net()).evaluations
    assert min(others) > 0
    assert profile.report()["evaluations"] == own
    found = inherited.run(explain, linear_net(), profile=True)  # what was inherited has been left by now
    assert found.notes["profile"]["evaluations"] == own


def test_tasks_that_take_turns_in_a_thread_keep_apart():
    async def recorded(regions, turns):
        with Profile() as profile:
            rows = 0
            for _ in range(turns):
                rows += explain(linear_net(), regions=regions).evaluations
                await asyncio.sleep(0)
        return profile.report()["evaluations"], rows

    async def both():
        return await asyncio.gather(recorded("grid:4", 3), recorded("grid:9", 2))

    for counted, rows in asyncio.run(both()):
        assert counted == rows > 0


def test_a_stream_that_changes_threads_records_itself():
    profile = Profile()
    stream = pysmdl.explain_many(
        [(image(seed), 1) for seed in range(3)], linear_net(), regions="grid:9", progress=False, profile=profile
    )
    rows = next(stream).evaluations
    with ThreadPoolExecutor(1) as pool:
        rows += pool.submit(next, stream).result().evaluations
    rows += contextvars.Context().run(next, stream).evaluations
    assert list(stream) == []
    assert profile.report()["evaluations"] == rows


def test_a_profile_records_one_run_at_a_time():
    profile = Profile()
    with profile, ThreadPoolExecutor(1) as pool:
        with pytest.raises(RuntimeError, match="this profile records another run"):
            pool.submit(explain, linear_net(), profile=profile).result()
        with pytest.raises(RuntimeError, match="leave it first"):
            pool.submit(profile.report).result()
    assert explain(linear_net(), profile=profile).notes["profile"]["evaluations"] > 0


def states() -> tuple:
    """Of the generators that everybody shares."""
    return torch.get_rng_state().numpy().tobytes(), repr(np.random.get_state()), random.getstate()  # noqa: NPY002


@pytest.mark.parametrize("profile", [False, True])
@pytest.mark.parametrize("search", SEARCHES)
def test_no_run_draws_from_the_callers_generators(search, profile):
    peak_flops.cache_clear()
    before = states()
    explain(linear_model(), search=search, regions="slico:9", profile=profile, seed=3)
    assert states() == before


@pytest.mark.slow
def test_nothing_else_draws_from_them_either(tmp_path):
    before = states()
    scorer = pysmdl.builtin.load("digits")
    found = pysmdl.explain(pysmdl.builtin.images()[0]["path"], scorer, regions="grid:9", progress=False)
    found.save(tmp_path / "x.npz")
    pysmdl.load(tmp_path / "x.npz")
    found.plot().savefig(tmp_path / "x.png")
    pysmdl.metrics.summary(found)
    game = pysmdl.Game(image(), linear_model(), regions="grid:9")
    pysmdl.metrics.mu_fidelity(game, np.arange(9.0), samples=20)
    assert states() == before


def test_the_count_of_flops_hooks_no_module_of_other_threads():
    seen = []

    class Net(nn.Module):
        def forward(self, x):
            seen.append(len(nn.modules.module._global_forward_pre_hooks) + len(nn.modules.module._global_forward_hooks))
            return x.flatten(1) @ torch.ones(432, 2)

    report = explain(Net().eval(), profile=True).notes["profile"]
    assert report["flops_per_row"] == 2 * 432 * 2
    assert set(seen) == {0}
