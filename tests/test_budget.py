"""Budgets to the row: never exceeded, never short of what the search would take, and the curves always paid."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl.search import SEARCHES as ALL
from pysmdl.search import best_of, placing
from pysmdl.search.vocabulary import Ask, Claim, Ranking

from toys import Recorder, explain, linear_model, same

SEARCHES = {
    **{name: ALL[name]() for name in ("exact", "bidirectional", "scoped", "backward", "forward_backward", "lazy")},
    "lazy, one at a time": pysmdl.search.lazy(width=1),
    "stochastic": pysmdl.search.stochastic(),
    "phase_window": pysmdl.search.phase_window(),
    "phase_window, after greedy rounds": pysmdl.search.phase_window(policy="top2", greedy=3),
    "scoped, narrow": pysmdl.search.scoped(scope=2, update_step=3, pending=2),
}
ONE_VIEW = pysmdl.smdl(confidence=0, effectiveness=0, consistency=1, collaboration=0)
BOTH = pysmdl.smdl(confidence=0, effectiveness=0, consistency=1, collaboration=1)


@pytest.mark.slow
@pytest.mark.parametrize("objective", [ONE_VIEW, BOTH], ids=["one view", "both"])
@pytest.mark.parametrize("regions", ["grid:2", "grid:9"])
@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_what_a_search_takes_is_enough_for_it(search, regions, objective):
    settings = {"search": search, "regions": regions, "objective": objective}
    free = explain(linear_model(), **settings)
    least = 2 * free.n
    for budget in range(least, free.evaluations + 2):
        model = Recorder(linear_model())
        found = explain(model, evaluations=budget, **settings)
        assert len(model.rows) == found.evaluations <= budget
        assert np.isfinite(found.insertion).all()
        assert np.isfinite(found.deletion).all()
    if search.name in ("stochastic", "phase_window") or search.parameters.get("width") == 1:
        return  # what they will not measure is reserved until the last round
    exactly = explain(linear_model(), evaluations=free.evaluations, **settings)
    assert same(exactly, free)
    assert "stopped" not in exactly.notes


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 3, 8, 9])
@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_of_a_few_regions_too(search, k):
    settings = {"search": search, "regions": "grid:9", "objective": BOTH, "k": k}
    free = explain(linear_model(), **settings)
    for budget in range(2 * 9 if k == 9 else 2 * (k + 1), free.evaluations + 1):
        found = explain(linear_model(), evaluations=budget, **settings)
        assert found.evaluations <= budget
        assert np.isfinite(found.insertion).all()
    assert same(found, free)


def with_features():
    return pysmdl.scorers.classifier(linear_model(), features=lambda batch: batch.flatten(1))


@pytest.mark.slow
@pytest.mark.parametrize("objective", [pysmdl.smdl(), pysmdl.smdl(0, 1, 0, 0)], ids=["four terms", "effectiveness"])
@pytest.mark.parametrize("n", [1, 2, 4, 9])
def test_with_features_of_single_regions(n, objective):
    settings = {"regions": f"grid:{n}", "objective": objective, "search": "exact"}
    free = explain(with_features(), **settings)
    least = 2 * n + max(0, n - 2)
    for budget in range(least, free.evaluations + 1):
        found = explain(with_features(), evaluations=budget, **settings)
        assert found.evaluations <= budget
    with pytest.raises(ValueError, match=f"evaluations must be at least {least} "):
        explain(with_features(), evaluations=least - 1, **settings)


def test_mixed_precision_keeps_a_budget():
    config = pysmdl.EngineConfig(precision="mixed")
    for budget in range(32, 400, 23):
        found = explain(linear_model(), search="exact", evaluations=budget, config=config)
        assert found.evaluations <= budget
        assert np.isfinite(found.insertion).all()


def own(start):
    return pysmdl.search.Search("own", start, lambda n, k: n * (n + 1))


def one_after_the_other(task):
    """Says nothing of what may follow."""
    front, left = [], list(range(task.n))
    while left and len(front) < task.k:
        best, _ = yield from best_of(Ask(front, left, claim=placing(front, ())))
        front.append(left.pop(best))
    return Ranking(front)


def from_the_end_in_pieces(task):
    """Settles its end by a few candidates at a time."""
    back, left = [], list(range(task.n))
    while left:
        some = left[:2]
        best, _ = yield from best_of(Ask(back, some, claim=placing((), [*left[2:], *some], back), complement=True))
        back.append(some[best])
        left.remove(back[-1])
    return Ranking(back[::-1][: task.k])


@pytest.mark.slow
@pytest.mark.parametrize("k", [2, 3, 8, 9])
@pytest.mark.parametrize("start", [one_after_the_other, from_the_end_in_pieces])
def test_a_search_of_ones_own(start, k):
    settings = {"search": own(start), "regions": "grid:9", "objective": BOTH, "k": k}
    free = explain(linear_model(), **settings)
    for budget in range(2 * 9 if k == 9 else 2 * (k + 1), free.evaluations + 4):
        model = Recorder(linear_model())
        found = explain(model, evaluations=budget, **settings)
        assert len(model.rows) == found.evaluations <= budget
        assert np.isfinite(found.insertion).all()


def keeps_its_end_to_itself(task):
    """Promises an order with an end, and then no more than its end."""
    others = list(range(task.n - 1))
    yield Ask((), others, claim=Claim((), others, (task.n - 1,)))
    yield Ask((0,), others[1:], claim=Claim((), (), (task.n - 1,)))
    return Ranking(list(range(task.n)))


def test_an_end_without_what_comes_before_it_is_no_order():
    for budget in range(4, 20):
        model = Recorder(linear_model())
        found = explain(model, search=own(keeps_its_end_to_itself), regions="grid:9", k=1, evaluations=budget)
        assert len(model.rows) == found.evaluations <= budget
        assert found.order.tolist() in ([], [0])


def asks_for_what_is_free_first(task):
    """Prices regions by their features before the model has said anything."""
    found = yield Ask((0,), range(1, task.n), free=True)
    return Ranking([0, *(1 + np.argsort(-found.total, kind="stable")).tolist()])


def test_what_is_free_may_be_asked_first():
    scorer = pysmdl.scorers.classifier(linear_model(), features=linear_model(8, 1), size=12)
    settings = {"search": own(asks_for_what_is_free_first), "regions": "grid:9", "objective": pysmdl.smdl(0, 1, 1, 0)}
    found = explain(scorer, **settings)
    assert len(found.order) == 9
    assert same(explain(scorer, evaluations=found.evaluations, **settings), found)


def sees_the_brightest(batch):
    """A detector that finds its box only where most of the image is shown."""
    boxes = torch.tensor([[[2.0, 2.0, 8.0, 8.0]]]).expand(len(batch), 1, 4)
    shown = (batch > 0).float().mean((1, 2, 3))
    return boxes, torch.where(shown > 0.6, shown, 0)[:, None, None]


def test_forward_then_backward_in_both_directions():
    settings = {"search": "forward_backward", "regions": "grid:9", "target": pysmdl.Box((2, 2, 8, 8), 0)}
    scorer = pysmdl.scorers.detector(sees_the_brightest)
    free = explain(scorer, **settings)
    assert free.evaluations > 2 * 9
    for budget in range(2 * 9, free.evaluations + 1):
        assert explain(scorer, evaluations=budget, **settings).evaluations <= budget
    assert same(explain(scorer, evaluations=free.evaluations + 2, **settings), free)


def test_many_regions_of_which_only_the_features_count():
    config = pysmdl.EngineConfig(precision="mixed")
    settings = {"regions": "grid:36", "objective": pysmdl.smdl(0, 1, 0, 0), "search": "exact", "config": config}
    assert explain(with_features(), evaluations=200, **settings).evaluations <= 200
