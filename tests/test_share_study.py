"""The study by shares: a remembered answer is the model's own, and its tables are means of its rows."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

import pysmdl

from toys import image, linear_model


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")


def test_a_scorer_that_remembers_gives_the_same_explanation_and_asks_the_model_once(benchmarks):
    settings = {"regions": "grid:9", "search": "exact", "progress": False}
    plain = pysmdl.explain(image(), pysmdl.scorers.classifier(linear_model()), 0, **settings)
    scorer = pysmdl.scorers.classifier(linear_model())
    memory = import_module("remembered").Remembered(scorer)
    found = [pysmdl.explain(image(), scorer, 0, **settings) for _ in range(2)]
    for each in found:
        assert list(each.order) == list(plain.order)
        assert each.insertion_auc == pytest.approx(plain.insertion_auc, abs=1e-6)
        assert each.evaluations == plain.evaluations
    assert memory.rows <= plain.evaluations


def test_seconds_are_the_searchs_own_and_its_rows(benchmarks):
    tables = import_module("share_tables")
    rows = {
        "a": {"n": "9", "evaluations": "90", "own_seconds": "0.5", "difference": "0.25"},
        "b": {"n": "9", "evaluations": "45", "own_seconds": "", "difference": "0.75"},
    }
    group = tables.Group(rows)
    assert group.share() == pytest.approx(0.75)
    assert group.seconds(0.01) == pytest.approx(0.25 + 0.675)
    assert group.values("difference", ["b"]) == [0.75]
