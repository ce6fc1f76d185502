"""What an argument may not be is refused where it is given, by its name and with what would have been right."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl import heads, jobs, methods, metrics, models, regions, removal, scorers, search, studies

from toys import STRIPES, explain, image, linear_model

NET = linear_model()
EXPLAINED = explain(NET, search="exact")
WORDS = scorers.string(len)
PART = {"regions": "grid:4", "progress": False}


def given(**settings):
    return pysmdl.explain(image(), NET, 1, **{**PART, **settings})


def several(**settings):
    return pysmdl.explain_many([image()], NET, **{**PART, **settings})


def scales(**settings):
    return pysmdl.explain_scales(image(), NET, scales=["grid:4", "grid:9"], **{"progress": False, **settings})


def job(**settings):
    return jobs.run([image()], NET, "never made", **settings)


ONE_TERM = (pysmdl.Term("a", "kept", len),)
FLAGS = ("yes", "", 1, 0, None, [], object())
REFUSED = {
    "progress": (given, ("yes", "", 1, None, [])),
    "ordered": (several, FLAGS),
    "nested": (scales, FLAGS),
    "normalize": (lambda **of: pysmdl.Game(image(), NET, regions="grid:4", **of), FLAGS),
    "deterministic": (pysmdl.EngineConfig, FLAGS),
    "resolutions": (scales, (5, 1.5, object(), "12", [])),
    "keep": (methods.occlusion, FLAGS),
    "anneal": (search.phase_window, FLAGS),
    "order": (search.fixed, (5, None, "01", 1.5)),
    "seed": (lambda **of: removal.noise(1.0, **of), ("yes", -1, None, 1.5, True)),
    "by": (removal.replace, (1.5, object(), ["a"], b"x")),
    "value": (lambda **of: pysmdl.Term("a", "kept", **of), ("yes", 5)),
    "name": (lambda **of: pysmdl.Term(view="kept", value=len, **of), (5, None)),
    "target": (lambda **of: pysmdl.Objective("a", terms=ONE_TERM, weights={"a": 1}, **of), ("classes", 5, None)),
    "terms": (lambda **of: pysmdl.Objective("a", "class", weights={"a": 1}, **of), ("a", 5, [len])),
    "weights": (lambda **of: pysmdl.Objective("a", "class", ONE_TERM, **of), ("a", 5, [1.0])),
    "layout": (lambda **of: models.Model(NET, **of), ("nhcw", 5, None)),
    "takes": (lambda **of: models.Model(NET, **of), ("jax", 5, None)),
    "resize": (lambda **of: scorers.classifier(NET, size=12, **of), ("yes", 0, (3,), 1.5)),
    "headers": (lambda **of: scorers.endpoint("http://localhost:1", **of), ("key", ["a"], 5)),
    "cache": (lambda **of: scorers.endpoint("http://localhost:1", **of), ("", 5, b"x", [])),
    "settings": (lambda **of: scorers.chat("http://localhost:1", ["a"], "b", **of), ("key", 5, ["a"])),
    "alike": (lambda **of: scorers.chat("http://localhost:1", ["a"], "b", **of), ("f1", None)),
    "batched": (lambda **of: scorers.string(len, **of), FLAGS),
    "names": (lambda **of: scorers.string(len, gives="logits", **of), ("cat", 5)),
    "categorical": (lambda **of: scorers.table(len, **of), ("color", 5, ["a"])),
    "columns": (lambda **of: scorers.table(len, **of), ("color", 5)),
    "device": (lambda **of: scorers.table(len, **of), ("cpu", 5)),
    "texts": (lambda **of: pysmdl.Tokens((0,), **of), ("a", 5, ["a", "b"], [5])),
    "answer": (lambda **of: pysmdl.Tokens((0,), **of), (5, ["a"])),
    "retry_failed": (job, FLAGS),
    "pictures": (job, FLAGS),
    "address": (jobs.RayOptions, (5, ["a"], True)),
    "rows": (lambda **of: regions.bands((8, 8), columns=2, **of), ("yes", 0, 1.5)),
    "spans": (lambda **of: regions.tubes(np.zeros((4, 8, 8, 3), np.uint8), **of), ("yes", 0, 1.5, -1)),
    "patch": (lambda **of: regions.label_maps.snap_to_patches(regions.from_labels(STRIPES), **of), ("yes", 1.5, 0)),
    "ruler": (lambda **of: regions.slico_opencv(image(), **of), ("yes", -1, None, float("nan"))),
    "size": (EXPLAINED.value_map, (5, "yes", (3,), (0, 3), (1.5, 2))),
    "positive": (EXPLAINED.value_map, FLAGS),
    "density": (EXPLAINED.value_map, FLAGS),
    "fill": (EXPLAINED.view, ("yes", None, float("nan"))),
    "top": (EXPLAINED.verbalise, ("yes", -1, 1.5)),
    "picture": (lambda **of: EXPLAINED.save("never made.npz", **of), FLAGS),
    "limit_bytes": (lambda **of: pysmdl.load("never there.npz", **of), ("yes", 0, None)),
    "area": (EXPLAINED.highest_confidence, ("yes", 0, 1.5, None)),
    "areas": (lambda **of: metrics.highest_confidence(EXPLAINED, **of), (0.5, None)),
    "budget": (lambda **of: metrics.minimal_region_rate(EXPLAINED, **of), ("yes", 0, 2, None)),
    "of": (lambda **of: metrics.group_gaps([1, 2], ["a", "b"], **of), ("mean", 5)),
    "titles": (lambda **of: pysmdl.plot([EXPLAINED], **of), (5, "a", object())),
    "title": (lambda **of: pysmdl.report([EXPLAINED], "never made.html", **of), (5, ["a"])),
    "methods": (lambda **of: studies.compare([image()], NET, **of), ("lime", 5, ["lime"], {})),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, (_, wrong) in REFUSED.items() for value in wrong])
def test_nonsense_is_refused_by_name(name, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, TypeError), match=rf"\b{name}\b") as refused:
        REFUSED[name][0](**{name: value})
    assert not isinstance(refused.value, TypeError) or "callable" in str(refused.value)
    assert repr(value) in str(refused.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("run", [given, scales, several, lambda **of: pysmdl.explain_steps(image(), NET, **of)])
def test_progress_is_a_function_or_a_flag_wherever_it_is_given(run):
    with pytest.raises(ValueError, match=r"progress must be True, False, or a function .*; got 'yes'"):
        next(iter(run(progress="yes")))
    with pytest.raises(ValueError, match="progress must be True or False; got 'yes'"):
        job(progress="yes")


@pytest.mark.parametrize("trace", [99, -1, 1.5, object(), [1, 99], True, 10**30])
def test_a_trace_that_is_no_class_is_called_the_trace(trace):
    with pytest.raises(ValueError, match=r"^trace "):
        given(trace=trace)


@pytest.mark.parametrize("head", [None, heads.margin(), heads.jsd()])
def test_which_of_target_and_trace_is_no_class_is_said(head):
    scorer = scorers.classifier(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(432, 4)), head=head)
    for target, trace, named in ((1, 9, "trace"), (9, 1, "target"), (9, 9, "target")):
        with pytest.raises(ValueError, match=rf"\b{named}\b.*9"):
            pysmdl.explain(image(), scorer, target, trace=trace, regions="grid:4", progress=False)


def test_flags_may_be_numpys():
    assert pysmdl.EngineConfig(deterministic=np.True_).deterministic is True
    assert given(progress=np.False_).n == 4
