"""The batch size: found on the run's own rows, bounded by memory, kept with the scorer."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import pysmdl
from pysmdl import EngineConfig
from pysmdl.engine.device import slots
from pysmdl.engine.device.tuner import PATIENCE, Tuner
from pysmdl.session import SESSIONS

from toys import Recorder, explain, linear_model


def tuned(cost, most=1024, batches=60):
    """The size a tuner settles on for a device whose batch of b rows takes cost(b) seconds."""
    tuner = Tuner(most=most)
    for _ in range(batches):
        tuner.record(tuner.rows, cost(tuner.rows))
        tuner.record(3, 1e-9)  # tails of other sizes say nothing
    assert tuner.tuned
    return tuner.rows


@pytest.mark.parametrize(
    ("cost", "wanted"),
    [
        (lambda b: 1.0 * b, 8),  # no gain from size
        (lambda b: 10.0 + b, 256),  # fixed costs, until the gain is below 3 %
        (lambda b: 10.0 + b if b <= 64 else 20.0 + 3 * b, 64),  # falls out of a cache
    ],
)
def test_the_batch_size_is_found(cost, wanted):
    assert tuned(cost) == wanted
    assert tuned(cost, most=32) == min(wanted, 32)


def test_a_slow_moment_does_not_decide_the_batch_size():
    """Sizes take turns, so a machine that is slow for a while is slow for both."""
    times = iter(range(1000))
    assert tuned(lambda b: (10.0 + b) * (4 if 20 <= next(times) < 25 else 1)) == 256
    assert tuned(lambda b: 1.0 * b * (4 if next(times) % 7 < 2 else 1)) == 8


def test_few_rows_that_are_over_at_once_are_doubled_without_comparing():
    assert tuned(lambda b: 1e-4 * b) == 16
    assert tuned(lambda b: 1e-3 * b) == 8


def test_the_size_found_stays_with_the_scorer():
    model = Recorder(linear_model())
    scorer = pysmdl.scorers.classifier(model, size=12)
    explain(scorer, regions="grid:36", search="exact")
    ((tuner,),) = [found.values() for found in SESSIONS.of(scorer).sizes.values()]
    tuner.limit(20)  # as if memory had run out
    model.sizes.clear()
    explain(scorer, regions="grid:36", search="exact")
    assert max(model.sizes[:PATIENCE]) <= 20  # then it is tried again


def test_a_batch_is_charged_with_what_the_host_does_before_it(monkeypatch):
    now, charged = [0.0], []
    monkeypatch.setattr(slots, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(Tuner, "record", lambda self, rows, seconds: charged.append(seconds))
    model = linear_model()

    def takes_one(batch):
        now[0] += 1
        return model(batch)

    def takes_five(_):
        now[0] += 5

    explain(pysmdl.scorers.classifier(takes_one, size=12), progress=takes_five)
    assert charged == [1, *[6] * (len(charged) - 1)]
    assert len(charged) > 2


def test_without_a_batch_size_deterministic_has_one():
    model = Recorder(linear_model())
    explain(model, config=EngineConfig(deterministic=True))
    assert set(model.sizes) == {32}


def test_memory_limits_the_batch_size():
    tuner = Tuner(start=64)
    tuner.limit(16)
    assert (tuner.rows, tuner.tuned) == (16, True)
