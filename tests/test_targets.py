"""Targets: what may be one, what is kept of it, and how results show it and read it back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl import targets
from pysmdl.targets import Class, Features

from toys import explain, linear_model, made


@pytest.mark.parametrize(
    "given",
    [1, np.int64(1), np.uint8(1), np.array(1), np.array(1, ">i4"), torch.tensor(1), torch.tensor(1).byte(), Class(1)],
)  # fmt: skip
def test_a_class_may_be_any_whole_number(given):
    found = explain(linear_model(), target=given, trace=[given])
    assert found.target == 1
    assert type(found.target) is int


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("cat", "target 'cat' is a name, and the model's classes have none: give names="),
        (True, "target must be a class index .*; got True"),
        (np.bool_(True), "target must be a class index .*; got np.True_"),
        (torch.tensor(True), r"target must be a class index .*; got tensor\(True\)"),
        (1.0, "target must be a class index .*; got 1.0"),
        (torch.tensor(1.0), "target must be a class index"),
        (np.array([1]), r"target must be a class index .*; got array\(\[1\]\)"),
        (torch.tensor([1]), "target must be a class index"),
        ({"class": 1}, "target must be a class index"),
        (pysmdl.Box((0, 0, 1, 1), 0), "target must be a class index"),
        (torch.tensor(-1), "target must be at least 0; got -1"),
        (np.int64(2**31), r"target must be below 2\*\*31; got 2147483648"),
    ],
)
def test_what_is_no_class_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        explain(linear_model(), target=given)


@pytest.mark.parametrize("of", [np.array, torch.tensor, lambda v: np.array(v[::-1])[::-1]])
def test_boxes_and_tokens_are_copies_of_what_they_are_made_of(of):
    corners, whole = of([1.0, 2.0, 3.0, 4.0]), of([2, 0])
    box, tokens = pysmdl.Box(corners, whole), pysmdl.Tokens(whole, whole)
    corners[:], whole[:] = 9, 9
    assert (box.xyxy, box.labels) == ((1, 2, 3, 4), (2, 0))
    assert (tokens.positions, tokens.ids) == ((2, 0), (2, 0))


def test_a_box_may_come_with_a_gradient_or_as_two_corners():
    assert pysmdl.Box(torch.tensor([1.0, 2, 3, 4], requires_grad=True), torch.tensor(3)).xyxy == (1, 2, 3, 4)
    assert pysmdl.Box([[1, 2], [3, 4]], np.array(3)).labels == (3,)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pysmdl.Box((0, 0, np.nan, 1), 0), "xyxy must be x0, y0, x1, y1 with x1 > x0 and y1 > y0"),
        (lambda: pysmdl.Box((0, 0, np.inf, 1), 0), "xyxy must be"),
        (lambda: pysmdl.Box((0, 0, 1j, 1), 0), "xyxy must be"),
        (lambda: pysmdl.Box("abcd", 0), "xyxy must be .*; got 'abcd'"),
        (lambda: pysmdl.Box(None, 0), "xyxy must be .*; got None"),
        (lambda: pysmdl.Box((0, 0, 1, 1), True), "labels must be class indices"),
        (lambda: pysmdl.Box((0, 0, 1, 1), "cat"), "labels must be class indices .*; got 'cat'"),
        (lambda: pysmdl.Box((0, 0, 1, 1), [0.5]), "labels must be class indices"),
        (lambda: pysmdl.Tokens(3), "positions must be distinct whole numbers .*; got 3"),
        (lambda: pysmdl.Tokens("12"), "positions must be distinct whole numbers"),
        (lambda: pysmdl.Tokens([True]), "positions must be distinct whole numbers"),
        (lambda: pysmdl.Tokens(np.ones((1, 2), int)), "positions must be distinct whole numbers"),
        (lambda: Features([]), r"target must be finite features \[D\]"),
    ],
)
def test_what_is_no_target_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


PLAIN = [
    (3, "class", "class 3", None),
    (1, "class", "dog", None),
    ({"xyxy": [1.0, 2.0, 3.0, 4.0], "labels": [1], "mode": "iou"}, "box", "dog", (1, 2, 3, 4)),
    ({"xyxy": [1.0, 2.0, 3.0, 4.0], "labels": [1, 0], "mode": "iou"}, "box", "dog or cat", (1, 2, 3, 4)),
    ({"xyxy": [1.0, 2.0, 3.0, 4.0], "labels": [1, 7], "mode": "iou"}, "box", "this box", (1, 2, 3, 4)),
    ({"positions": [0, 2], "ids": [5, 6]}, "tokens", "this answer", None),
    ({"positions": [0], "ids": None}, "tokens", "this answer", None),
    ([1.0, 2.0], "features", "these features", None),
]


@pytest.mark.parametrize(("plain", "kind", "title", "outline"), PLAIN)
def test_what_results_show_is_read_back(plain, kind, title, outline):
    assert targets.described(plain).describe() == plain
    assert targets.kind(plain) == kind
    assert targets.title(plain, ["cat", "dog"]) == title
    assert targets.outline(plain) == outline


@pytest.mark.parametrize("plain", ["brightness", None, {"a": 1}, {"xyxy": [1, 2, 3, 4]}, [], [np.nan], -1])
def test_what_a_scorer_of_ones_own_shows_is_shown(plain):
    with pytest.raises(ValueError, match=r"target|labels"):
        targets.described(plain)
    shown = plain if isinstance(plain, str) else "this answer"
    assert (targets.kind(plain), targets.title(plain), targets.outline(plain)) == ("own", shown, None)


@pytest.mark.slow
@pytest.mark.parametrize(("plain", "kind", "title", "outline"), PLAIN)
def test_a_picture_is_titled_and_outlined_by_its_target(plain, kind, title, outline):
    pixels = np.zeros((9, 9, 3), np.uint8)
    said = np.full((2, 3), 0, np.int64) if kind == "class" else None
    axes = (
        made([0.1, 0.9, 0.5], [0.5, 0.2, 0.1], pixels=pixels, target=plain, predicted=said)
        .plot(names=["cat", "dog"])
        .axes
    )
    assert axes[0].get_title() == f"why {title}? 0.50" + ("\n(the model says cat)" if kind == "class" else "")
    assert len(axes[0].patches) == (outline is not None)
