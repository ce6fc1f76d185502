"""Metrics: each against an example by hand, on the engine where it runs one, and with what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl import metrics
from pysmdl.errors import RegionError
from pysmdl.metrics import checks

from toys import STRIPES, Recorder, explain, image, linear_model, made

NAN = float("nan")
CLASS = pysmdl.lima(effectiveness=0)


def softmax(logits: torch.Tensor, target: int) -> list[float]:
    return logits.softmax(1)[:, target].tolist()


# curves


def test_the_area_axis_is_the_explanations_own():
    found = explain(linear_model(), trace=[2, 3])
    assert metrics.insertion_auc(found) == found.insertion_auc
    assert metrics.deletion_auc(found) == found.deletion_auc
    cut = explain(linear_model(), k=5)
    assert metrics.insertion_auc(cut) == cut.insertion_auc
    kept, removed = found.traced[3]
    assert metrics.insertion_auc(found, traced=3) == made(kept, removed, found.area).insertion_auc
    assert metrics.deletion_auc(found, traced=3) == made(kept, removed, found.area).deletion_auc


def test_three_axes_give_three_areas_by_hand():
    e = made([0, 0.4, 1], [1, 0.5, 0], area=[0, 0.2, 1])
    assert metrics.insertion_auc(e, "area") == pytest.approx(0.2 * 0.2 + 0.8 * 0.7)
    assert metrics.insertion_auc(e, "steps") == pytest.approx((0.2 + 0.7) / 2)
    assert metrics.deletion_auc(e, "steps") == pytest.approx((0.75 + 0.25) / 2)


def test_the_nonzero_axis_counts_pixels_that_are_not_black():
    pixels = np.full((2, 2, 3), 9, np.uint8)
    pixels[0, 1] = 0
    e = made([0, 0.4, 1], [1, 0.5, 0], labels=[[0, 0], [1, -1]], pixels=pixels)
    np.testing.assert_array_equal(metrics.nonzero_shares(e), [[0.25, 0.5, 0.75], [0.75, 0.5, 0.25]])
    assert metrics.insertion_auc(e, "nonzero") == pytest.approx(0.25 * 0.2 + 0.25 * 0.7)
    assert metrics.deletion_auc(e, "nonzero") == pytest.approx(0.25 * 0.75 + 0.25 * 0.25)
    lit = np.ones((2, 2, 3), np.uint8)
    np.testing.assert_array_equal(metrics.nonzero_shares(e, lit)[0], [0.25, 0.75, 1])


def test_the_nonzero_axis_is_what_the_views_show():
    pixels = image(3)
    pixels[4:7, 2:9] = 0
    found = pysmdl.explain(pixels, linear_model(), 1, regions="grid:16", progress=False)
    shown = [np.isin(found.labels, found.order[:j]) for j in range(found.n + 1)]
    expected = [[((pixels * m[:, :, None]).sum(2) != 0).mean() for m in (s, ~s)] for s in shown]
    np.testing.assert_allclose(metrics.nonzero_shares(found), np.transpose(expected))


def test_highest_confidence_within_four_areas_and_its_mean():
    first = made([0.1, 0.7, 0.3, 0.9, 0.8], [1, 0, 0, 0, 0], traced={4: np.array([[0.2] * 5, [0] * 5], np.float32)})
    second = made([0.1, 0.1, 0.5, 0.5, 0.6], [1, 0, 0, 0, 0])
    assert metrics.highest_confidence(first) == pytest.approx({0.25: 0.7, 0.5: 0.7, 0.75: 0.9, 1.0: 0.9})
    both = metrics.highest_confidence(iter([first, second]))
    assert both == pytest.approx({0.25: 0.4, 0.5: 0.6, 0.75: 0.7, 1.0: 0.75})
    assert metrics.highest_confidence(first, [1.0], traced=4) == pytest.approx({1.0: 0.2})


def test_an_order_of_nothing_has_the_areas_of_its_only_point():
    e = made([0.3], [0.9], area=[0], labels=[[0, 1]])
    assert metrics.insertion_auc(e) == metrics.insertion_auc(e, "steps") == e.insertion_auc == pytest.approx(0.3)


def test_unmeasured_points_make_an_area_nan():
    assert math.isnan(metrics.insertion_auc(made([0, NAN, 1], [1, 0.5, 0])))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e: metrics.insertion_auc(e, "pixels"), r"axis must be one of 'area', 'nonzero', 'steps'; got 'pixels'"),
        (lambda e: metrics.insertion_auc(e, traced=7), r"class traced along \(none: explain with trace=.*got 7"),
        (
            lambda e: metrics.insertion_auc(e, "nonzero"),
            r"pixels must be the image on the label grid.*\[1, 2\]; got None",
        ),
        (lambda e: metrics.deletion_auc(e, "nonzero", pixels=np.ones((4, 4, 3))), r"pixels must be.*got \[4, 4, 3\]"),
        (lambda e: metrics.highest_confidence(e, [1.5]), "area must be above 0 and at most 1; got 1.5"),
        (lambda e: metrics.highest_confidence([]), "explanations must hold at least one"),
    ],
)
def test_curves_refuse(call, message):
    with pytest.raises(ValueError, match=message):
        call(made([0, 0.4, 1], [1, 0.5, 0]))


# pixel steps


def test_pixel_steps_by_hand():
    labels, order = metrics.pixel_steps(np.array([[3, 1], [2, 2]]), 2)
    np.testing.assert_array_equal(labels, [[0, 1], [0, 1]])
    assert (labels.dtype, order) == (np.int32, [0, 1])
    np.testing.assert_array_equal(metrics.pixel_steps(np.array([[3, 1], [2, 2]]), 3)[0], [[0, 2], [0, 1]])
    two = np.random.default_rng(0).integers(0, 2, (12, 12))  # equals go row by row
    ranks = metrics.pixel_steps(two, 144)[0].ravel()
    np.testing.assert_array_equal(np.argsort(ranks), [*np.flatnonzero(two == 1), *np.flatnonzero(two == 0)])
    sizes = np.bincount(metrics.pixel_steps(np.random.default_rng(0).random((7, 9)), 10)[0].ravel())
    assert sizes.tolist().count(6) + sizes.tolist().count(7) == 10


def test_saliency_curves_are_measured_on_the_engine(rng):
    saliency, pixels, forward = rng.random((12, 12)), image(), linear_model()
    recorder = Recorder(forward)
    found = metrics.saliency_curves(pixels, recorder, 2, saliency, 4, objective=CLASS)
    labels = torch.from_numpy(metrics.pixel_steps(saliency, 4)[0])
    x = torch.from_numpy(pixels).permute(2, 0, 1) / 255
    kept = softmax(forward(torch.stack([x * (labels < j) for j in range(5)])), 2)
    removed = softmax(forward(torch.stack([x * (labels >= j) for j in range(5)])), 2)
    np.testing.assert_allclose(found.insertion, kept, atol=1e-6)
    np.testing.assert_allclose(found.deletion, removed, atol=1e-6)
    assert len(recorder.rows) == found.evaluations == 8
    by_hand = sum((a + b) / 2 for a, b in zip(kept[1:], kept[:-1], strict=True)) / 4
    assert metrics.insertion_auc(found, "steps") == pytest.approx(by_hand, abs=1e-6)


def test_pixel_steps_refuse():
    for steps in (0, 5, 2.0, True):
        with pytest.raises(ValueError, match="steps must be a whole number from 1 to 4, the pixels; got"):
            metrics.pixel_steps(np.ones((2, 2)), steps)
    with pytest.raises(ValueError, match=r"saliency must be an explanation or \[H, W\]; got \[2, 2, 3\]"):
        metrics.pixel_steps(np.ones((2, 2, 3)))
    with pytest.raises(ValueError, match="it holds NaN or infinity"):
        metrics.pixel_steps(np.array([[1, NAN]]))
    with pytest.raises(RegionError):
        metrics.saliency_curves(image(), linear_model(), 1, np.ones((5, 5)))


# MuFidelity


def values_of(table):
    """A game from what each missing region costs, with an interaction nobody expects."""
    return lambda kept: 10 - (~kept) @ np.array(table)


def test_mu_fidelity_by_hand():
    # sizes of 1: sums 3, 1, 2 against drops 2, 1, 0: covariance 1, variances 2 and 2
    assert metrics.mu_fidelity(values_of([2.0, 1, 0]), np.array([3, 1, 2])) == pytest.approx(0.5)
    assert metrics.mu_fidelity(values_of([2.0, 1, 0]), np.array([2, 1, 0]), share=0.6) == pytest.approx(1)
    assert metrics.mu_fidelity(values_of([2.0, 1, 0]), np.array([0, 1, 2]), share=0.6) == pytest.approx(-1)


def test_mu_fidelity_of_a_game_is_the_correlation_over_its_subsets():
    game = pysmdl.Game(image(), linear_model(), 1, regions="grid:16")
    found = explain(linear_model())
    weights = metrics.region_values(found)
    subsets = metrics.random_subsets(16, 3, 40, seed=5)
    assert (subsets.sum(1) == 3).all()
    drops = [game.grand_value - float(game(~subset)[0]) for subset in subsets]
    expected = np.corrcoef([weights[subset].sum() for subset in subsets], drops)[0, 1]
    assert metrics.mu_fidelity(game, weights, samples=40, seed=5) == pytest.approx(expected, abs=1e-6)
    assert metrics.mu_fidelity(game, weights, samples=40, seed=6) != pytest.approx(expected, abs=1e-6)
    assert len(metrics.random_subsets(16, 1, 40)) == 16  # all there are


def test_mu_fidelity_of_constants():
    assert math.isnan(metrics.mu_fidelity(lambda kept: np.full(len(kept), 0.3), np.array([1, 2, 3])))
    noise = np.random.default_rng(0)
    noisy = lambda kept: 0.3 + 1e-8 * noise.random(len(kept))  # noqa: E731
    assert math.isnan(metrics.mu_fidelity(noisy, np.array([1, 2, 3])))
    assert metrics.mu_fidelity(values_of([2.0, 1, 0]), np.full(3, 0.1)) == 0
    assert metrics.mu_fidelity(values_of([2.0, 1, 0]), np.zeros(3)) == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((3, 4, 5), "size must be at most n = 3, the regions; got 4"),
        ((3, 0, 5), "size must be a whole number of at least 1; got 0"),
        ((3.5, 1, 5), "n must be a whole number"),
        ((3, 1, float("inf")), "samples must be a whole number"),
        ((30, 5, 5, -1), "seed must be a whole number of at least 0; got -1"),
    ],
)
def test_random_subsets_refuse(settings, message):
    with pytest.raises(ValueError, match=message):
        metrics.random_subsets(*settings)


def test_region_values_are_the_attribution_or_what_the_order_gives():
    e = made([0.0, 0.6, 0.5, 0.9], [1.0, 0.5, 0.4, 0.1], order=[2, 0, 1], labels=[[0, 1, 2, -1]])
    np.testing.assert_allclose(metrics.region_values(e), [0, 0.35, 0.55], atol=1e-6)
    e.attribution = np.array([3, -1, 2], np.float32)
    np.testing.assert_array_equal(metrics.region_values(e), [3, -1, 2])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"attribution": [1.0]}, r"attribution must be \[n\] finite values of at least 2 regions; got \[1\]"),
        ({"attribution": [1.0, NAN]}, "attribution must be .* got NaN"),
        ({"attribution": [1.0, 2j]}, "attribution must be an array of real numbers"),
        ({"evaluate": lambda kept: ["a"] * len(kept)}, "evaluate's answer must be an array of real numbers"),
        ({"share": 1.0}, "share must be between 0 and 1; got 1.0"),
        ({"samples": 1}, "samples must be a whole number of at least 2; got 1"),
        ({"evaluate": lambda kept: kept}, r"evaluate must give a finite value for each coalition, \[4\]; got \[4, 3\]"),
        ({"evaluate": lambda kept: kept[:, 0] / 0}, "evaluate must give .* got NaN or infinity"),
    ],
)
def test_mu_fidelity_refuses(settings, message):
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=message):
        metrics.mu_fidelity(**{"evaluate": values_of([2.0, 1, 0]), "attribution": [1, 2, 3], **settings})


# sanity


def test_cell_grid_by_hand():
    grid = metrics.CellGrid(1, 2, 2, 2, split=2)
    np.testing.assert_array_equal(grid.labels(), [[0, 1, 4, 5], [2, 3, 6, 7]])
    np.testing.assert_array_equal(metrics.CellGrid(2, 2, 1, 2).labels(), [[0, 0, 1, 1], [2, 2, 3, 3]])
    images = np.arange(8).reshape(2, 2, 2, 1)
    np.testing.assert_array_equal(grid.tile(images)[:, :, 0], [[0, 1, 4, 5], [2, 3, 6, 7]])
    np.testing.assert_array_equal(grid.impossible([1]), [0, 1, 2, 3])
    batch = torch.arange(8.0).view(1, 1, 2, 4)
    model = grid.only(lambda cells: cells.flatten(1).sum(1, keepdim=True), [0, 1])
    assert model(batch).item() == (0 + 1 + 4 + 5 + 2 + 3 + 6 + 7) / 2


@pytest.mark.parametrize("search", ["exact", "bidirectional", "scoped"])
@pytest.mark.parametrize("seen", [[2], [0, 3]])
def test_impossible_cells_gain_nothing(search, seen):
    grid = metrics.CellGrid(2, 2, 6, 6, split=2)
    picture = grid.tile(np.stack([image(seed, 6, 6) for seed in range(4)]))
    model = grid.only(linear_model(size=6), seen)
    found = pysmdl.explain(picture, model, regions=grid.labels(), search=search, objective=CLASS, progress=False)
    impossible = grid.impossible(seen)
    assert metrics.largest_gain(found, impossible) <= 1e-6
    assert metrics.largest_gain(found, np.setdiff1d(np.arange(16), impossible)) > 1e-3
    leaky = pysmdl.explain(picture, linear_model(), regions=grid.labels(), search=search, progress=False)
    assert metrics.largest_gain(leaky, impossible) > 1e-3


def test_region_gains_by_hand():
    e = made([0, 0.5, 0.5], [1, 0.9, 0.2], order=[2, 0], labels=[[0, 1, 2]])
    np.testing.assert_allclose(metrics.region_gains(e), [0.7, 0, 0.5], atol=1e-6)
    assert metrics.largest_gain(e, [1]) == 0
    assert metrics.largest_gain(np.array([0.1, -0.4, 9]), [0, 1]) == pytest.approx(0.4)
    assert math.isnan(metrics.largest_gain(made([0, NAN, 1], [1, 0.9, 0.2]), [0]))


def test_a_model_of_cells_may_answer_into_one_buffer():
    buffer = torch.zeros(1, 1)

    def forward(cells):
        buffer[:] = cells.flatten(1).sum(1, keepdim=True)
        return buffer

    grid = metrics.CellGrid(1, 2, 2, 2)
    assert grid.only(forward, [0, 1])(torch.arange(8.0).view(1, 1, 2, 4)).item() == 14
    assert buffer.item() == 2 + 3 + 6 + 7, "and it is not changed"


def test_a_model_of_cells_is_still_checked_as_a_model():
    grid = metrics.CellGrid(1, 2, 12, 6)
    with pytest.raises(ValueError, match="training mode"):
        explain(grid.only(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout()), [0]))
    with pytest.raises(ValueError, match=r"the batch must have the grid's size, 12x12; got \[12, 6\]"):
        grid.only(linear_model(), [0])(torch.zeros(1, 3, 12, 6))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: metrics.CellGrid(0, 2, 6, 6), "rows must be a whole number of at least 1; got 0"),
        (lambda g: metrics.CellGrid(1, 2, 6, 3, split=4), "split must be at most a cell's shorter side, 3; got 4"),
        (lambda g: g.impossible([2]), r"seen must hold distinct cells from 0 to 1, one or more; got \[2\]"),
        (lambda g: g.only(linear_model(), []), r"seen must hold .* got \[\]"),
        (lambda g: g.only(linear_model(), [0.7]), r"seen must hold .* got \[0\.7\]"),
        (lambda g: metrics.largest_gain(np.ones(4), [0.5]), r"regions must be from 0 to 3, one or more; got \[0\.5\]"),
        (lambda g: metrics.largest_gain(np.ones(4), np.ones(4, bool)), r"regions must be from 0 to 3.*got \[True"),
        (
            lambda g: g.tile(np.ones((2, 6, 5, 3))),
            r"images must be \[cells, H, W, C\] with \[2, 6, 6\]; got \[2, 6, 5, 3\]",
        ),
        (lambda g: metrics.largest_gain(np.ones(4), [4]), r"regions must be from 0 to 3, one or more; got \[4\]"),
        (lambda g: metrics.largest_gain(np.ones((2, 2)), [0]), r"gains must be \[n\].*got \[2, 2\]"),
    ],
)
def test_sanity_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call(metrics.CellGrid(1, 2, 6, 6))


# summary


def test_summary_of_a_class_survives_the_disk(tmp_path):
    found = explain(linear_model())
    row = metrics.summary(found)
    assert list(row) == [
        "insertion_auc", "deletion_auc", "highest_confidence_25", "highest_confidence_50", "highest_confidence_75",
        "highest_confidence_100", "minimal_correction", "minimal_sufficient",
    ]  # fmt: skip
    assert row["highest_confidence_50"] == found.highest_confidence(0.5)
    assert row["minimal_sufficient"] == pytest.approx(found.area[(found.predicted[0] == 1).argmax()])
    assert all(type(value) is float for value in row.values())
    found.save(tmp_path / "x.npz")
    assert metrics.summary(pysmdl.load(tmp_path / "x.npz")) == row


def test_summary_of_tokens():
    two = lambda batch: linear_model(6)(batch).view(-1, 2, 3)  # noqa: E731
    tokens = pysmdl.explain(image(), pysmdl.scorers.tokens(two), pysmdl.Tokens([0, 1]), regions=STRIPES, progress=False)
    row = metrics.summary(tokens)
    same = (tokens.reading["top_token"] == tokens.target["ids"]).all(2)
    flips = tokens.area[1:][~same[1, 1:]]
    assert row["minimal_correction"] == pytest.approx(flips.min() if len(flips) else 1)
    assert row["minimal_sufficient"] == pytest.approx(tokens.area[same[0].argmax()])
    assert "highest_iou_25" not in row


def test_modality_splits_each_tokens_probability():
    """A token that ignores the input is all prior; one that needs the bright half is all evidence."""

    def forward(batch):
        seen = batch.mean((1, 2, 3)) * 8
        zero = torch.zeros_like(seen)
        return torch.stack((torch.stack((zero + 3, zero), 1), torch.stack((seen, zero), 1)), 1)  # [B, 2, 2]

    pixels = np.full((8, 8, 3), 255, np.uint8)
    found = pysmdl.explain(
        pixels, pysmdl.scorers.tokens(forward), pysmdl.Tokens([0, 1], [0, 0]), regions="grid:4", progress=False
    )
    split = metrics.modality(found)
    sure, lit = 1 / (1 + np.exp(-3)), 1 / (1 + np.exp(-8))
    np.testing.assert_allclose(split.language_prior, [sure, 0.5], atol=1e-6)
    np.testing.assert_allclose(split.perceptual_evidence, [0, lit - 0.5], atol=1e-6)
    with pytest.raises(ValueError, match="explanation must be of tokens"):
        metrics.modality(made([0, 1], [1, 0]))


def test_areas_are_compared_within_their_rounding():
    e = made([0] * 11, [0] * 11, area=np.cumsum([0] + [0.1] * 10, dtype=np.float32))
    assert [checks.within(e, j / 10).sum() for j in range(11)] == list(range(1, 12))
