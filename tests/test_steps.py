"""explain_steps: each region once its place is settled, and the explanation with the last."""

from __future__ import annotations

import pytest

import pysmdl
from pysmdl.progress import Progress

from toys import explain, image, linear_model, same

DELETION = pysmdl.smdl(0, 0, 0, 1)  # nothing kept is ever looked at


@pytest.mark.parametrize("objective", [None, DELETION], ids=["both views", "removed alone"])
@pytest.mark.parametrize("search", ["exact", "bidirectional", "scoped", "lazy", "stochastic", "guided", "backward"])
@pytest.mark.parametrize("seed", range(4))
def test_steps_that_end_with_the_decision(search, objective, seed):
    settings = {"regions": "grid:16", "search": search, "objective": objective, "until": "decided"}
    steps = list(pysmdl.explain_steps(image(seed), linear_model(), **settings))
    found = explain(linear_model(), seed=seed, target=None, **settings)
    assert [step.region for step in steps] == found.order.tolist()
    assert [step.rank for step in steps] == list(range(len(steps)))
    assert [step.explanation is None for step in steps] == [True] * (len(steps) - 1) + [False]
    assert same(steps[-1].explanation, found)


def test_steps_tell_their_progress():
    seen: list[Progress] = []
    steps = list(pysmdl.explain_steps(image(), linear_model(), 1, regions="grid:9", progress=seen.append))
    assert seen[-1].finished == 1
    assert seen[-1].evaluations == steps[-1].explanation.evaluations
