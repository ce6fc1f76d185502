"""The model that ships with pysmdl, and the scenes held out for it."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
import torch
from PIL import Image

import pysmdl
from pysmdl import builtin


def read(path) -> int:
    scorer = builtin.load("digits")
    with Image.open(path) as opened:
        x = scorer.input.normalise(scorer.input.grid(np.asarray(opened.convert("RGB"))))
    with torch.no_grad():
        return int(scorer.forward(x[None]).argmax())


def test_it_ships_below_a_megabyte():
    assert (files("pysmdl.builtin") / "digits.safetensors").stat().st_size < 1_000_000


def test_its_classes_have_names():
    assert builtin.load("digits").names == tuple("0123456789")


def test_some_scenes_are_read_right_and_some_wrong():
    right = [read(scene["path"]) == scene["truth"] for scene in builtin.images()]
    assert 5 <= sum(right) < len(right) <= 12


@pytest.mark.slow
def test_accuracy_on_held_out_scenes(monkeypatch):
    """The 2000 scenes that the training script measures."""
    pytest.importorskip("sklearn")
    monkeypatch.syspath_prepend("benchmarks")
    from train_builtin import accuracy

    assert accuracy(builtin.load("digits").forward, "test", 2000) >= 0.97


@pytest.mark.slow
def test_regions_of_the_digit_come_first():
    hits = []
    for scene in builtin.images():
        if read(scene["path"]) != scene["truth"]:
            continue
        found = pysmdl.explain(
            scene["path"], builtin.load("digits"), scene["truth"], regions="slico:36", progress=False
        )
        y, x = np.argwhere(found.labels == found.order[0]).mean(0)
        x0, y0, x1, y1 = scene["box"]
        hits.append(x0 <= x <= x1 and y0 <= y <= y1)
    assert sum(hits) >= len(hits) - 1


def test_unknown_model_lists_those_there_are():
    with pytest.raises(
        ValueError, match=r"must be one of 'builtin:digits', .*, 'builtin:imagenet'; got 'builtin:cats'"
    ):
        builtin.load("cats")
