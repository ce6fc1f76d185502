"""Metrics of where: pointing games and box overlaps, each against an example by hand, and what they refuse."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl import metrics

from toys import STRIPES, made

NAN = float("nan")


def test_pointing_game_by_hand():
    saliency = np.zeros((8, 8))
    saliency[2, 5] = 1
    assert metrics.pointing_game(saliency, boxes=[4, 1, 6, 3], tolerance=0) == 1
    assert metrics.pointing_game(saliency, boxes=[4, 1, 5.4, 3], tolerance=0) == 0  # its centre is at 5.5
    assert metrics.pointing_game(saliency, boxes=[[0, 0, 1, 1], [5, 2, 6, 3]], tolerance=0) == 1
    mask = np.zeros((8, 8), bool)
    mask[6, 2] = True  # 4 rows and 3 columns away: 5 pixels
    assert metrics.pointing_game(saliency, mask=mask, tolerance=5) == 1
    assert metrics.pointing_game(saliency, mask=mask, tolerance=4.9) == 0
    assert metrics.pointing_game(saliency, mask=np.stack((mask, saliency > 0)), tolerance=0) == 1
    assert metrics.pointing_game(saliency, mask=mask) == 1  # the paper's 15 pixels


def test_pointing_game_of_a_plateau_is_the_chance_of_a_hit():
    saliency = np.zeros((8, 8))
    saliency[:, :2] = 1
    assert metrics.pointing_game(saliency, boxes=[0, 0, 8, 2], tolerance=0) == pytest.approx(4 / 16)
    assert metrics.pointing_game(np.zeros((8, 8)), boxes=[0, 0, 4, 4], tolerance=0) == pytest.approx(0.25)


def test_energy_pointing_game_by_hand():
    saliency = np.array([[1.0, 3], [0, 0]])
    assert metrics.energy_pointing_game(saliency, boxes=[1, 0, 2, 1]) == pytest.approx(0.75)
    assert metrics.energy_pointing_game(saliency, boxes=[[1, 0, 2, 2], [1, 0, 2, 1]]) == pytest.approx(0.75)
    assert metrics.energy_pointing_game(saliency, mask=np.array([[True, False], [True, True]])) == pytest.approx(0.25)
    assert metrics.energy_pointing_game(np.zeros((2, 2)), boxes=[0, 0, 2, 2]) == 0


MASK = np.arange(16).reshape(4, 4) % 3 == 0
FORMS = {
    "0 and 1": lambda a: a.astype(int),
    "0 and 255": lambda a: a.astype(np.uint8) * 255,
    "a tensor": torch.from_numpy,
    "negative strides": lambda a: np.ascontiguousarray(a[::-1])[::-1],
}


@pytest.mark.parametrize("form", FORMS)
def test_maps_masks_and_boxes_may_have_any_form(form):
    saliency = np.random.default_rng(0).random((4, 4)).astype(">f4")
    wanted = metrics.energy_pointing_game(saliency, mask=MASK)
    assert metrics.energy_pointing_game(torch.from_numpy(saliency.astype(np.float32)), mask=FORMS[form](MASK)) == wanted
    several = np.stack((MASK & (np.arange(4) < 2), MASK & (np.arange(4) >= 2)))
    assert metrics.energy_pointing_game(saliency, mask=FORMS[form](several)) == wanted
    assert metrics.iou(torch.tensor([0, 0, 2, 2.0]), [1, 1, 3, 3]) == pytest.approx(1 / 7)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({}, "give either boxes or mask; got neither"),
        ({"boxes": [0, 0, 1, 1], "mask": np.ones((4, 4), bool)}, "give either boxes or mask; got both"),
        ({"boxes": [0, 0, 1]}, r"boxes must be boxes x0, y0, x1, y1, \[..., 4\]; got shape \[3\]"),
        ({"boxes": [9, 9, 10, 10]}, "boxes must cover at least one pixel of the 4x4 map; got"),
        ({"boxes": [1, 1, 1, 3]}, "boxes must cover at least one pixel"),
        ({"mask": np.zeros((4, 4), bool)}, "mask must cover at least one pixel of the 4x4 map; got an empty one"),
        ({"mask": np.ones((4, 4))}, r"mask must be bool \[4, 4\], or \[m, H, W\]; got float64 \[4, 4\]"),
        ({"mask": np.full((4, 4), 7)}, "mask must be bool, or whole numbers of 0 and 1 or of 0 and 255; got int64"),
        ({"boxes": ["a"]}, "boxes must be an array of real numbers"),
        ({"mask": np.ones((4, 5), bool)}, r"mask must be bool .* got bool \[4, 5\]"),
    ],
)
def test_pointing_games_refuse(target, message):
    for game in (metrics.pointing_game, metrics.energy_pointing_game):
        with pytest.raises(ValueError, match=message):
            game(np.ones((4, 4)), **target)


def test_pointing_games_refuse_maps_that_cannot_point():
    with pytest.raises(ValueError, match="tolerance must be at least 0 pixels; got -1"):
        metrics.pointing_game(np.ones((4, 4)), boxes=[0, 0, 1, 1], tolerance=-1)
    with pytest.raises(ValueError, match="saliency must be at least 0 to have energy; its least is -2"):
        metrics.energy_pointing_game(np.array([[1.0, -2]]), boxes=[0, 0, 1, 1])


def test_box_overlaps_by_hand():
    a, b = [0, 0, 2, 2], [1, 1, 3, 3]  # intersection 1, union 7, hull 9, centres (1, 1) apart, diagonal^2 18
    assert metrics.iou(a, b) == pytest.approx(1 / 7)
    assert metrics.giou(a, b) == pytest.approx(1 / 7 - 2 / 9)
    assert metrics.diou(a, b) == pytest.approx(1 / 7 - 2 / 18)
    far = [8, 0, 10, 2]  # apart: hull 20, union 8; centres 8 apart, diagonal^2 104
    assert metrics.iou(a, far) == 0
    assert metrics.giou(a, far) == pytest.approx(-12 / 20)
    assert metrics.diou(a, far) == pytest.approx(-64 / 104)
    for measure in (metrics.iou, metrics.giou, metrics.diou):
        assert measure(a, a) == 1
        assert measure(a, [1, 1, 1, 1]) == measure([3, 0, 0, 3], a) == measure([0] * 4, [0] * 4) == 0
        np.testing.assert_array_equal(measure([a, [0, 0, 2, NAN]], a), [1, NAN])
        assert measure(np.zeros((5, 1, 4)), np.zeros((3, 4))).shape == (5, 3)


def detector(scale: float = 1.0):
    """Finds a box as wide as the share of the image that is lit, with that confidence."""

    def forward(batch):
        lit = batch.mean((1, 2, 3))
        zero, full = torch.zeros_like(lit), torch.full_like(lit, 12 * scale)
        return torch.stack((zero, zero, full * lit, full), 1)[:, None], lit[:, None, None]

    return pysmdl.scorers.detector(forward)


@pytest.fixture(scope="module")
def found_box():
    white = np.full((12, 12, 3), 255, np.uint8)
    return pysmdl.explain(white, detector(), pysmdl.Box([0, 0, 12, 12], 0), regions=STRIPES, progress=False)


def test_overlap_along_an_explanation(found_box):
    share = np.linspace(0, 1, 5)
    np.testing.assert_allclose(metrics.box_overlap(found_box), [share, 1 - share], atol=1e-6)
    np.testing.assert_allclose(metrics.box_overlap(found_box, "giou"), [share, 1 - share], atol=1e-6)
    # the centre lies (6 - 6 share) off, the hull is the target: diagonal^2 288; an empty view has no box, so 0
    expected = share - (6 - 6 * share) ** 2 / 288 * (share > 0)
    np.testing.assert_allclose(metrics.box_overlap(found_box, "diou")[0], expected, atol=1e-6)
    assert metrics.highest_iou(found_box, 0.5) == pytest.approx(0.5, abs=1e-6)
    assert metrics.highest_iou(found_box, 0.5, "diou") == pytest.approx(0.5 - 9 / 288, abs=1e-6)
    assert metrics.highest_iou(found_box) == pytest.approx(1)


def test_success_at_an_iou_threshold_is_strict_and_counts_confidence(found_box):
    assert metrics.iou_success(found_box, 0.5, area=0.5) == 0  # IoU is 0.5, not above it
    assert metrics.iou_success(found_box, 0.5, area=0.75) == 1
    assert metrics.iou_success(found_box, 0.75, area=0.75) == 0  # 0.75 means 0.75 here
    assert metrics.iou_success(found_box, 0.5, area=0.75, confidence=0.8) == 0
    reading = {"iou": [[0.9] * 5] * 2, "box_confidence": [[0.1] * 5] * 2, "box": np.zeros((2, 5, 4))}
    other = made([0] * 5, [0] * 5, reading={name: np.array(values) for name, values in reading.items()})
    assert metrics.iou_success([found_box, other], 0.5, area=0.5) == 0.5


def test_box_metrics_of_points_that_were_not_measured(found_box):
    nothing = {name: np.full_like(values, NAN) for name, values in found_box.reading.items()}
    cut = replace(found_box, reading=nothing)
    assert math.isnan(metrics.highest_iou(cut))
    assert metrics.iou_success([cut, found_box], 0.5) == 0.5
    partly = {name: values.copy() for name, values in found_box.reading.items()}
    for values in partly.values():
        values[0, 3:] = NAN
    assert metrics.highest_iou(replace(found_box, reading=partly)) == pytest.approx(0.5, abs=1e-6)


def test_a_target_in_other_pixels_than_the_boxes_is_refused(found_box):
    with pytest.raises(ValueError, match=r"target must be in pixels of the model's input.*\[0.0, 0.0, 24.0, 12.0\]"):
        metrics.box_overlap(found_box, "giou", [0, 0, 24, 12])
    np.testing.assert_allclose(metrics.box_overlap(found_box, "giou", [0, 0, 12, 12])[0, -1], 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e: metrics.box_overlap(e, "ciou"), "measure must be one of 'diou', 'giou', 'iou'; got 'ciou'"),
        (lambda e: metrics.highest_iou(e, 1.2), "area must be from 0 to 1; got 1.2"),
        (lambda e: metrics.iou_success(e, 1.0), "threshold must be at least 0 and below 1; got 1.0"),
        (lambda e: metrics.iou_success(e, confidence=-0.1), "confidence must be at least 0 and below 1; got -0.1"),
        (
            lambda e: metrics.iou_success(replace(e, reading={name: e.reading[name] for name in ("iou", "box")})),
            "must be of a detector, with boxes",
        ),
        (lambda e: metrics.highest_iou(replace(e, area=e.area[1:])), r"iou of both views .*, \[2, 4\]; got \[2, 5\]"),
        (
            lambda e: metrics.highest_iou(made([0, 1], [1, 0])),
            "must be of a detector, with boxes; this one's target is 0",
        ),
    ],
)
def test_box_metrics_refuse(call, message, found_box):
    with pytest.raises(ValueError, match=message):
        call(found_box)


def test_summary_of_a_box(found_box):
    row = metrics.summary(found_box)
    assert "minimal_correction" not in row
    assert [row[f"highest_iou_{area}"] for area in (25, 50, 75, 100)] == pytest.approx([0.25, 0.5, 0.75, 1], abs=1e-6)
