"""The study of real photographs: it resumes where it was stopped, and its table is the mean of its rows."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pysmdl
from pysmdl import builtin

from toys import image, linear_model


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    found = import_module("photo_study")
    monkeypatch.setattr(found, "RESULTS", tmp_path / "rows.csv")
    scenes = builtin.images()[:2]
    monkeypatch.setattr(builtin, "images", lambda: scenes)
    few = {"default": {"regions": "grid:4"}, "exact": {"regions": "grid:9", "search": "exact"}}
    monkeypatch.setattr(found, "ON_SCENES", few)
    return found


@pytest.mark.slow
def test_it_resumes_where_it_was_stopped(study, monkeypatch):
    study.study_scenes()
    whole = study.RESULTS.read_text().splitlines(keepends=True)
    assert len(whole) == 1 + 4
    study.RESULTS.write_text("".join(whole[:-1]))
    explained, explain = [], pysmdl.explain
    monkeypatch.setattr(
        pysmdl, "explain", lambda path, *given, **how: explained.append(path) or explain(path, *given, **how)
    )
    study.study_scenes()
    assert explained == [builtin.images()[1]["path"]]
    assert study.RESULTS.read_text().splitlines(keepends=True) == whole


def test_the_table_is_the_mean_of_the_rows(study):
    study.study_scenes()
    rows = [row for row in study.rows(study.RESULTS) if row["method"] == "exact"]
    table = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]]
        for line in study.report()
        if "|" in line
    }
    assert set(table) == {"method", "---", "default", "exact"}
    mean = np.mean([float(row["insertion_auc"]) - float(row["deletion_auc"]) for row in rows])
    evaluations, share, *_, difference, worst, inside = table["exact"]
    assert (evaluations, share) == (f"{np.mean([int(row['evaluations']) for row in rows]):.0f}", "100%")
    assert float(difference) == pytest.approx(mean, abs=6e-4)
    assert float(worst) == pytest.approx(min(float(row["difference"]) for row in rows), abs=6e-4)
    assert inside == f"{sum(int(row['first_region_in_box']) for row in rows)} of 2"
    assert 0 < int(table["default"][1].rstrip("%")) < 100


def test_a_folder_of_photographs(study, tmp_path, monkeypatch):
    for name in ("b.png", "a.jpg"):
        Image.fromarray(image()).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no photograph")
    assert [path.name for path in study.photographs(tmp_path)] == ["a.jpg", "b.png"]
    scorer = pysmdl.scorers.classifier(linear_model())
    scorer.names = ("bus", "cat", "dog", "owl")
    monkeypatch.setattr(builtin, "load", lambda name: scorer)
    study.study_photos(["guided", "LiMA"], tmp_path)
    assert [(row["image"], row["method"]) for row in study.rows(study.RESULTS)] == [
        ("a", "guided"), ("b", "guided"), ("a", "LiMA"), ("b", "LiMA"),
    ]  # fmt: skip
