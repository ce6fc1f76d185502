"""The forms that detectors answer in: pairs and mappings, a row or a batch at a time, by class or by label."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl.errors import ScorerError

from toys import explain, image, same

TARGET = pysmdl.Box((2, 2, 8, 8), [1, 2])


def pairs(batch):
    """None to three boxes a row, each with the confidences of three classes."""
    found = []
    for row in batch:
        count = int(row.mean() * 20) % 4
        corners = torch.tensor([[2.0, 2, 8 + each, 8] for each in range(count)]).reshape(count, 4)
        found.append((corners, row.flatten()[: 3 * count].reshape(count, 3)))
    return found


def rectangles(batch):
    """The same, padded to the most that any row has: to none where no row has one."""
    rows = pairs(batch)
    most = max(len(boxes) for boxes, _ in rows)
    padded = torch.zeros(len(rows), most, 4), torch.zeros(len(rows), most, 3)
    for row, found in enumerate(rows):
        for whole, each in zip(padded, found, strict=True):
            whole[row, : len(each)] = each
    return padded


def labelled(boxes, confidences):
    """One box for each class: as torchvision's detectors name them."""
    classes = torch.arange(3).repeat(*boxes.shape[:-2], boxes.shape[-2])
    return {
        "boxes": boxes.repeat_interleave(3, -2), "labels": classes, "scores": confidences.flatten(-2), "masks": None,
    }  # fmt: skip


def backwards(array):
    return np.ascontiguousarray(array[..., ::-1])[..., ::-1]


FORMS = {
    "tuple": lambda batch: tuple(pairs(batch)),
    "lists": lambda batch: [(boxes.tolist(), confidences.tolist()) for boxes, confidences in pairs(batch)],
    "mappings": lambda batch: [{"boxes": boxes, "scores": confidences} for boxes, confidences in pairs(batch)],
    "with labels": lambda batch: [labelled(*each) for each in pairs(batch)],
    "arrays": lambda batch: [(backwards(b.numpy()), c.numpy().astype(">f8")) for b, c in pairs(batch)],
    "read-only": lambda batch: [tuple(np.frombuffer(each.numpy().tobytes(), np.float32).reshape(each.shape)
                                      for each in pair) for pair in pairs(batch)],
    "rectangles": rectangles,
    "rectangles in a list": lambda batch: [rectangles(batch)],
    "rectangles by name": lambda batch: dict(zip(("boxes", "confidences"), rectangles(batch), strict=True)),
    "rectangles with labels": lambda batch: labelled(*rectangles(batch)),
    "rectangles as arrays": lambda batch: tuple(backwards(each.numpy()).astype(">f8") for each in rectangles(batch)),
    "nothing without classes": lambda batch: (lambda b, c: (b, c[..., : 3 * b.shape[1]]))(*rectangles(batch)),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [None, 1, 3])
@pytest.mark.parametrize("name", FORMS)
def test_a_detectors_answer_is_the_same_in_any_form(name, batch_size):
    right = explain(pysmdl.scorers.detector(pairs), target=TARGET, regions="grid:9")
    assert 0 < np.count_nonzero(right.insertion) < 10
    found = explain(pysmdl.scorers.detector(FORMS[name]), target=TARGET, regions="grid:9", batch_size=batch_size)
    assert same(found, right)
    np.testing.assert_array_equal(found.reading["box"], right.reading["box"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mappings", "with labels", "rectangles", "nothing without classes"])
def test_targets_of_several_labels_share_batches(name):
    items = [(image(seed), pysmdl.Box((2, 2, 8, 8), [1, 2] if seed % 2 else 0)) for seed in range(4)]
    settings = {"regions": "grid:9", "progress": False, "ordered": True}
    right = pysmdl.explain_many(items, pysmdl.scorers.detector(pairs), **settings)
    found = pysmdl.explain_many(items, pysmdl.scorers.detector(FORMS[name]), **settings)
    assert all(map(same, found, right))


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("name", ["mappings", "with labels", "rectangles"])
def test_a_detector_may_take_a_set_number_of_rows(name, rows):
    def only(batch):
        assert len(batch) == rows
        return FORMS[name](batch)

    right = explain(pysmdl.scorers.detector(pairs), target=TARGET, regions="grid:9")
    assert same(explain(pysmdl.scorers.detector(only, batch=rows), target=TARGET, regions="grid:9"), right)


def test_a_detector_of_one_image_may_answer_without_a_list():
    right = explain(pysmdl.scorers.detector(pairs), target=TARGET, regions="grid:9")
    alone = pysmdl.scorers.detector(lambda batch: pairs(batch)[0], batch=1)
    assert same(explain(alone, target=TARGET, regions="grid:9"), right)


def test_one_score_a_box_is_that_of_class_0():
    def found(form):
        return explain(pysmdl.scorers.detector(form), target=pysmdl.Box((2, 2, 8, 8), 0), regions="grid:9")

    alone = found(lambda batch: [(boxes, confidences[:, 0]) for boxes, confidences in pairs(batch)])
    assert same(alone, found(lambda batch: [(boxes, confidences[:, :1]) for boxes, confidences in pairs(batch)]))


BAD_ANSWERS = {
    "nothing": (lambda batch: None, r"a detector must return \(boxes \[B, Q, 4\], .*; got NoneType"),
    "a tensor": (lambda batch: batch, "a detector must return"),
    "boxes and confidences swapped": (lambda batch: rectangles(batch)[::-1], r"boxes must be \[B, Q, 4\]"),
    "all boxes and all scores": (lambda batch: tuple(map(list, zip(*pairs(batch), strict=True))), "a detector must"),
    "too few rows": (lambda batch: pairs(batch)[1:], r"the detector was given \d+ rows and returned \d+"),
    "without rows": (lambda batch: (torch.zeros(3, 4), torch.zeros(3, 3)), "a detector must return .*; got tuple"),
    "unequal": (lambda batch: [(torch.zeros(2, 4), torch.zeros(3, 3))] * len(batch), r"of a row must be \[q, 4\]"),
    "five numbers a box": (lambda batch: [(torch.zeros(2, 5), torch.zeros(2, 3))] * len(batch), r"must be \[q, 4\]"),
    "complex": (lambda batch: [(torch.zeros(2, 4) + 1j, torch.zeros(2, 3))] * len(batch), "must hold real numbers"),
    "no number": (lambda batch: [(torch.full((2, 4), torch.nan), torch.zeros(2, 3))] * len(batch), "NaN or infinity"),
    "logits": (lambda batch: (torch.ones(len(batch), 2, 4), torch.full((len(batch), 2, 3), -2.5)),
               r"confidences must be in 0..1; the detector returned -2.5 to -2.5: these may be logits"),
    "a class more in each row": (
        lambda batch: [(torch.ones(1, 4), torch.zeros(1, 3 + row)) for row in range(len(batch))],
        "the detector returned 3 and 4 and .* classes in rows of one batch",
    ),
    "a class more in another batch": (
        lambda batch: (torch.ones(len(batch), 1, 4), torch.zeros(len(batch), 1, 2 + len(batch) % 4)),
        r"the detector returned \d classes a box, after \d in batches before",
    ),
    "a label too many": (
        lambda batch: [{"boxes": torch.zeros(2, 4), "scores": torch.zeros(2), "labels": torch.zeros(3)}] * len(batch),
        "boxes with labels must have a score and a label each",
    ),
    "a transformer's": (
        lambda batch: {"logits": torch.zeros(len(batch), 3, 4), "pred_boxes": torch.zeros(len(batch), 3, 4)},
        r"a detector must return .*; got dict \('logits': torch.float32 \[\d+, 3, 4\], 'pred_boxes'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("place", [0, 1])
def test_a_detector_that_answers_nan_is_not_said_to_find_nothing(place):
    def answers(batch):
        found = torch.tensor([[1.0, 2, 9, 8]]).expand(len(batch), 1, 4).clone(), torch.full((len(batch), 1, 3), 0.9)
        found[place][:, 0, 0] = torch.nan
        return found

    with pytest.raises(ScorerError, match="the detector returned NaN for the whole input"):
        explain(pysmdl.scorers.detector(answers), target=None, regions="grid:9")


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_what_is_no_detectors_answer_is_named(name):
    form, message = BAD_ANSWERS[name]
    with pytest.raises(ScorerError, match=message):
        explain(pysmdl.scorers.detector(form), target=pysmdl.Box((2, 2, 8, 8), 1), regions="grid:9", batch_size=5)


@pytest.mark.parametrize("setting", ["confidence_floor", "decided_at"])
@pytest.mark.parametrize("wrong", [-0.1, 1, np.nan, np.inf, "0.5", None])
def test_thresholds_out_of_range_are_named(setting, wrong):
    with pytest.raises(ValueError, match=f"{setting} must be a finite number of at least 0 and below 1; got {wrong!r}"):
        pysmdl.scorers.detector(pairs, **{setting: wrong})
