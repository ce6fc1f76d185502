"""Rounds to come that go along with the one asked for: fewer batches, the same answers to the bit, counted honestly."""

from __future__ import annotations

import time
from itertools import permutations

import numpy as np
import pytest
import torch
from test_golden import FEW, assert_agrees, explain_case, scorer_of

import pysmdl
from pysmdl import EngineConfig, scorers
from pysmdl.engine.device.forward import Forward
from pysmdl.engine.device.runner import Runner
from pysmdl.engine.device.spare import Spare
from pysmdl.engine.device.times import Times
from pysmdl.engine.device.tuner import Tuner
from pysmdl.engine.item import Kind
from pysmdl.engine.requests.ahead import Ahead
from pysmdl.engine.requests.memo import Memo
from pysmdl.errors import ScorerError
from pysmdl.search.vocabulary import Ask

from golden_models import cases
from toys import Recorder, explain, image, linear_model, same

ROOMY = {"regions": "grid:25", "batch_size": 256, "objective": pysmdl.smdl(effectiveness=0)}


@pytest.mark.parametrize("search", ["exact", "backward"])
@pytest.mark.parametrize("objective", [pysmdl.smdl(effectiveness=0), pysmdl.smdl(0, 0, 1, 0)], ids=["two", "one"])
@pytest.mark.parametrize("k", [None, 6])
def test_greedy_rounds_are_answered_before_they_are_asked(search, objective, k):
    settings = {**ROOMY, "search": search, "objective": objective, "k": k}
    one, many = Recorder(linear_model()), Recorder(linear_model())
    waits = explain(one, **settings, config=EngineConfig(ahead=False))
    goes = explain(many, **settings, config=EngineConfig(ahead=True))
    assert same(waits, goes)
    assert goes.asked == waits.asked
    assert len(many.sizes) <= 0.7 * len(one.sizes)
    assert len(many.rows) == len(set(many.rows)) == goes.evaluations
    assert goes.notes["ahead"] == goes.evaluations - waits.evaluations > 0
    assert goes.notes["gains_compared"] == waits.notes["gains_compared"]
    assert max(many.sizes) <= 256


@pytest.mark.parametrize("search", ["exact", "backward", "phase_window"])
def test_a_row_that_is_no_number_is_the_loss_of_whoever_asks_for_it(search):
    settings = {**ROOMY, "search": pysmdl.search.phase_window(greedy=9) if search == "phase_window" else search}
    along, waits, goes = EngineConfig(ahead=True), Recorder(linear_model()), Recorder(linear_model())
    plain = explain(waits, **settings, config=EngineConfig(ahead=False))
    explain(goes, **settings, config=along)
    for_nobody = set(goes.rows) - set(waits.rows)
    asked_later = [row for row in goes.rows[50:150] if row in set(waits.rows)][-1]

    def broken(rows):
        forward = linear_model()

        def answer(batch: torch.Tensor) -> torch.Tensor:
            bad = torch.tensor([row.contiguous().numpy().tobytes() in rows for row in batch])
            return torch.where(bad[:, None], torch.nan, forward(batch))

        return answer

    assert same(explain(broken(for_nobody), **settings, config=along), plain)
    for config in (along, EngineConfig(ahead=False)):
        with pytest.raises(ScorerError, match=r"the model returned NaN or infinity for 1 of \d+ rows") as raised:
            explain(broken({asked_later}), **settings, config=config)
        assert raised.value.partial


def test_a_number_bounds_what_goes_along_with_a_round():
    rows = {}
    for bound in (0, 10, 60):
        model = Recorder(linear_model())
        explain(model, **ROOMY, search="exact", config=EngineConfig(ahead=bound))
        rows[bound] = model.sizes
    assert [size for size in rows[10] if size > 50 + 10] == []
    assert len(rows[0]) > len(rows[10]) > len(rows[60])
    assert max(rows[60]) > 60


def test_the_last_round_has_nothing_to_go_along():
    model = Recorder(linear_model())
    found = explain(model, **ROOMY, search="exact", k=2, config=EngineConfig(ahead=True))
    assert "ahead" not in found.notes
    assert found.evaluations == 2 * (25 + 24) + 2


@pytest.mark.slow
@pytest.mark.parametrize("search", ["exact", "backward"])
def test_a_budget_and_a_deterministic_run_send_nothing_ahead(search):
    waits = explain(linear_model(), **ROOMY, search=search, evaluations=400, config=EngineConfig(ahead=False))
    goes = explain(linear_model(), **ROOMY, search=search, evaluations=400, config=EngineConfig(ahead=True))
    assert same(waits, goes)
    assert goes.evaluations == waits.evaluations
    with pytest.raises(ValueError, match="ahead must be None or False where deterministic; got True"):
        EngineConfig(deterministic=True, ahead=True)
    with pytest.raises(
        ValueError, match="ahead, if not None, True or False, must be a whole number of at least 0; got -1"
    ):
        EngineConfig(ahead=-1)


@pytest.mark.slow
@pytest.mark.parametrize("number", FEW)
def test_golden_orders_with_rounds_ahead(number):
    """A batch has room for more than a round, and so many rows go along with each."""
    case = cases()[number]
    assert_agrees(explain_case(case, scorer_of(case), config=EngineConfig(batch_size=512, ahead=24)), case)


class Sleeping:
    """A model whose batch takes a while, however many rows it has."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.sizes = seconds, []
        self._forward = linear_model()

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(batch))
        time.sleep(self.seconds)
        return self._forward(batch)


def test_on_a_cpu_nothing_goes_ahead_unless_it_is_said():
    model = Sleeping(0.002)
    waits, goes = (explain(model, **ROOMY, search="exact", config=EngineConfig(ahead=ahead)) for ahead in (None, True))
    assert "ahead" not in waits.notes
    assert goes.notes["ahead"] > 0
    assert same(goes, waits)


def seen(cost, sizes=(8, 16, 32, 64, 100), said=None, captured=False) -> Spare:
    """What may go along where batches of these sizes took cost(rows) seconds, and one may have 256 rows."""
    tuner = Tuner(256, 256)
    for size in sizes:
        for _ in range(3):
            tuner.times.record(size, cost(size))
    return Spare(tuner, wave=None, said=said, captured=captured)


@pytest.mark.parametrize(
    ("cost", "worth"),
    [
        (lambda rows: 0.05, True),
        (lambda rows: 0.05 if rows <= 256 else 1.0, True),
        (lambda rows: 0.001 * rows, False),
        (lambda rows: 0.02 + 0.0005 * rows, False),
    ],
)
def test_rows_go_along_only_where_they_cost_next_to_nothing(cost, worth):
    spare = seen(cost)
    assert spare.left(100) == 156
    assert spare.worth(100, 98, 98, 0.4) is worth
    assert not spare.worth(100, 120, 98, 0.4)  # more than twice of what was ever seen


def test_nothing_goes_along_before_anything_was_seen():
    assert not seen(lambda rows: 0.05, sizes=()).worth(100, 98, 98, 0.4)


def test_where_each_number_of_rows_takes_a_graph_only_what_is_sure_goes_along_unsaid():
    spare = seen(lambda rows: 0.05, captured=True)
    assert spare.left(100) == 0
    assert spare.worth(100, 98, 98, 1.0)
    assert seen(lambda rows: 0.05, captured=True, said=True).left(100) == 156


@pytest.mark.parametrize("graphs", [True, False])
def test_a_run_on_graphs_is_one_of_equal_batches(graphs, monkeypatch):
    """What says whether there are any needs a GPU, and is in its place here."""
    monkeypatch.setattr(Forward, "graphs", property(lambda _: graphs, lambda *_: None), raising=False)
    scorer = scorers.classifier(linear_model())
    runner = Runner(scorer, pysmdl.removal.resolve("baseline"), EngineConfig(), None)
    kind = Kind("form", (3, 4, 4), torch.float32, ())
    assert (runner.sizes.spare(kind).left(3) == 0) is graphs


def test_an_endpoint_has_room_for_what_fills_its_last_wave():
    spare = Spare(Tuner(256, 256), wave=16, said=True)
    assert [spare.left(rows) for rows in (1, 15, 16, 30, 256)] == [15, 1, 0, 2, 0]
    assert Spare(Tuner(256, 256), wave=16, said=4).left(1) == 4


def test_times_are_the_least_of_the_last_and_grow_with_the_rows():
    times = Times()
    for seconds in (9.0, 2.0, 1.0, 3.0):
        times.record(64, seconds)
    assert times.of(64) == 1.0  # the first warmed up
    assert times.of(32) == 0.5
    assert times.of(96) == 1.0
    for _ in range(2):
        times.record(128, 0.9)  # faster than 64 is chance
    assert times.of(100) == times.of(128) == times.of(200) == 1.0
    assert times.of(257) == np.inf


def test_the_likeliest_rounds_go_first_and_none_twice():
    class Room:
        def left(self, rows: int) -> int:
            return 1000

        def worth(self, rows: int, more: int, saved: int, chance: float) -> bool:
            chances.append(chance)
            return True

    chances: list[float] = []
    memo, ask = Memo(1), Ask((), range(4), likely=(2, 0, 3, 1))
    ahead = Ahead(memo, 3, Room())
    new = len(memo.want(ask.rows(4)))
    ahead.go(ask, new, lambda each: {"kept": each.rows(4)})
    assert memo.wanted == 4 + 6 + 4  # all pairs and triples; a fourth is never asked for
    assert ahead.for_nobody == ahead.sent == 10
    assert chances[0] > chances[1]
    _, first = memo.take(memo.wanted)
    assert first[4:7, 0].tolist() == [0b0101, 0b0110, 0b1100]  # 2 with 0, 1 and 3
    assert ahead.asked(memo.want(Ask((2,), (0, 1, 3)).rows(4))) == 3
    assert ahead.for_nobody == 7
    for base in permutations(range(4), 2):
        assert ahead.asked(memo.want(Ask(base[:1], base[1:]).rows(4))) in (0, 1)
    assert ahead.for_nobody == 4


def test_many_in_flight_wait_for_nobody():
    items = [{"image": image(seed), "target": 1, "regions": "grid:9"} for seed in range(4)]
    found = pysmdl.explain_many(items, scorers.classifier(linear_model()), search="exact", progress=False)
    assert all("ahead" not in each.notes for each in found)
