"""Detectors that find nothing in some rows, and what a box or a token may be numbered."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl.errors import ScorerError

from toys import explain, same


def finds_little(empty, where=0.35):
    """A box in rows that are bright enough, else nothing, in the form given."""

    def forward(batch):
        found = (torch.tensor([[2.0, 2, 8, 8]]),)
        return [(*found, torch.stack((row.std(), row.min(), row.mean()))[None]) if row.mean() > where else empty
                for row in batch]  # fmt: skip

    return forward


@pytest.mark.slow
@pytest.mark.parametrize(
    "empty",
    [([], []), (torch.zeros(0), torch.zeros(0)), (np.zeros((0, 4)), np.zeros((0, 0))), (np.zeros((0, 4)), [])],
)
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_rows_without_boxes_give_the_same_whatever_the_batches(empty, backend):
    found = [
        explain(
            pysmdl.scorers.detector(finds_little(empty)), target=pysmdl.Box([2, 2, 8, 8], 2), regions="grid:9",
            batch_size=size, config=pysmdl.EngineConfig(backend=backend),
        )
        for size in (64, 4, 1)
    ]  # fmt: skip
    assert 0 < np.count_nonzero(found[0].insertion) < len(found[0].insertion), "some rows have a box, some have none"
    assert same(found[1], found[0])
    assert same(found[2], found[0])


@pytest.mark.parametrize("size", [1, 64])
def test_a_class_that_the_model_does_not_have_is_refused_once_it_has_shown_its_classes(size):
    scorer = pysmdl.scorers.detector(finds_little(([], [])))
    with pytest.raises(ValueError, match=r"label.* 3"):
        explain(scorer, target=pysmdl.Box([2, 2, 8, 8], 3), regions="grid:9", batch_size=size)
    never = explain(pysmdl.scorers.detector(finds_little(([], []), 2)), target=pysmdl.Box([2, 2, 8, 8], 3))
    assert not never.insertion.any()


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            lambda: pysmdl.Tokens([0], [2**40]),
            r"ids must be whole numbers from 0 to 2\^31 - 1.*; got \[1099511627776\]",
        ),
        (lambda: pysmdl.Tokens([0], [2**31]), "ids must be"),
        (lambda: pysmdl.Tokens([0, 1], [1]), "one for each of 2 positions; got"),
        (lambda: pysmdl.Tokens([0], [-1]), "ids must be"),
        (lambda: pysmdl.Tokens([0], [0.5]), "ids must be whole numbers"),
        (lambda: pysmdl.Tokens([2**31]), r"positions must be distinct whole numbers from 0 to 2\^31 - 1, one or more"),
        (lambda: pysmdl.Tokens([1, 1]), r"positions must be distinct.*; got \[1, 1\]"),
        (lambda: pysmdl.Tokens([]), "positions must be"),
        (
            lambda: pysmdl.Box([0, 0, 1, 1], 2**31),
            r"labels must be class indices from 0 to 2\^31 - 1.*; got 2147483648",
        ),
        (lambda: pysmdl.Box([0, 0, 1, 1], [1, 2**31]), "labels must be"),
        (lambda: pysmdl.Box([0, 0, 1, 1], 1.5), "labels must be"),
        (lambda: pysmdl.Box([0, 0, 1, 1], ()), "labels must be"),
    ],
)
def test_indices_that_scorers_cannot_hold_are_refused(made, message):
    with pytest.raises(ValueError, match=message):
        made()


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8, np.int32])
def test_whole_numbers_may_be_numpys(kind):
    tokens = pysmdl.Tokens(np.array([0, 2]).astype(kind), [kind(7), kind(0)])
    assert (tokens.positions, tokens.ids) == ((0, 2), (7, 0))
    for labels in (kind(3), [kind(3)], np.array([3]).astype(kind), np.array(3).astype(kind)):
        assert pysmdl.Box([0, 0, 1, 1], labels).labels == (3,)
    limit = pysmdl.Tokens([0], [2**31 - 1])
    assert limit.ids == (2**31 - 1,)


def test_mode_cls_scores_the_class_and_records_the_best_box_by_iou_and_confidence():
    boxes = torch.tensor([[0.0, 0, 7, 12], [0, 0, 11, 12], [0, 0, 5, 12]])  # IoU 7/12, 11/12 and 5/12 with the target

    def forward(batch):
        lit = (batch > 0).float().mean((1, 2, 3))[:, None]
        return boxes.expand(len(batch), 3, 4), torch.stack((0.9 * lit, 0.6 * lit, lit), 1)

    found = explain(pysmdl.scorers.detector(forward), target=pysmdl.Box([0, 0, 12, 12], 0, "cls"), regions="grid:4")
    kept = {name: values[0] for name, values in found.reading.items()}
    np.testing.assert_allclose(found.insertion, 0.9 * found.area, atol=1e-6)
    np.testing.assert_allclose(kept["iou"][1:], 11 / 12, atol=1e-6)
    np.testing.assert_allclose(kept["box_confidence"], 0.6 * found.area, atol=1e-6)
    np.testing.assert_array_equal(kept["box"][1:], boxes[1].expand(4, 4))
    few = explain(
        pysmdl.scorers.detector(forward, decided_at=0.65), target=pysmdl.Box([0, 0, 12, 12], 0, "cls"),
        regions="grid:4", until="decided",
    )  # fmt: skip
    assert len(few.order) == 3, "0.675: the class decides, whichever box is told of"


def test_a_detectors_own_value_error_is_its_failure():
    def fails(batch):
        raise ValueError("no such class name")

    with pytest.raises(ScorerError, match="the model failed on the input: ValueError: no such class name"):
        explain(pysmdl.scorers.detector(fails), target=pysmdl.Box((1, 1, 5, 5), 0))
