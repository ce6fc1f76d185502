"""What regions did, as numbers and maps: gains along the curves, not places in the order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import pysmdl
from pysmdl import builtin, metrics
from pysmdl.explanation.values import labels_at

from toys import explain, image, linear_model, made

NAN = float("nan")


def test_gains_by_hand():
    e = made([0.0, 0.6, 0.5, 0.9], [1.0, 0.5, 0.4, 0.1], order=[2, 0, 1], labels=[[0, 1, 2, -1]])
    np.testing.assert_allclose(e.values(), [0.0, 0.35, 0.55], atol=1e-6)  # (-.1 + .1) / 2, (.4 + .3) / 2, (.6 + .5) / 2
    assert e.values().dtype == np.float64
    assert e.values().sum() == pytest.approx(0.9)


def test_regions_without_a_place_did_nothing_and_what_was_not_measured_is_not_known():
    e = made([0.0, 0.6, NAN], [1.0, 0.5, 0.4], order=[2, 0], labels=[[0, 1, 2, 2]])
    np.testing.assert_allclose(e.values(), [NAN, 0.0, 0.55], atol=1e-6)
    np.testing.assert_allclose(e.value_map(), [[0, 0, 0.275, 0.275]], atol=1e-6)


def test_a_map_adds_up_to_the_values_of_the_regions_at_any_size():
    labels = np.array([[0, 0, 1], [2, 2, -1]])
    e = made([0.0, 0.5, 0.4, 0.9], [1.0, 0.5, 0.6, 0.1], labels=labels)
    values = e.values()
    for size in (None, (2, 3), (8, 12), (7, 5)):
        found = e.value_map(size=size)
        assert found.shape == (size or labels.shape)
        assert found.sum() == pytest.approx(values.sum())
        at = labels if size is None else labels_at(labels, size)
        assert all(found[at == r].sum() == pytest.approx(values[r]) for r in range(3))
        assert not found[at == -1].any()
    np.testing.assert_allclose(e.value_map(density=False), np.append(values, 0)[labels])
    assert e.value_map(positive=True).min() == 0 > e.value_map().min()


def test_the_methods_own_values_come_first():
    e = made([0.0, 0.6], [1.0, 0.5])
    with pytest.raises(ValueError, match="kind must be gain or auto: None gives no attribution"):
        e.values("attribution")
    with pytest.raises(ValueError, match="kind must be one of 'attribution', 'auto', 'gain'; got 'rank'"):
        e.values("rank")
    e.attribution = np.array([-3.0], np.float32)
    assert e.values() == e.values("attribution") == [-3]
    assert e.values("gain") == pytest.approx([0.55])


@pytest.mark.parametrize("search", ["exact", "guided", "backward", "bidirectional", "scoped"])
@pytest.mark.parametrize("objective", [None, "smdl"])
def test_gains_of_a_full_order_add_up_to_the_score(search, objective):
    model = pysmdl.scorers.classifier(linear_model(), features=linear_model(6, 3))
    e = explain(model, target=2, search=search, objective=objective)
    assert e.values("gain").sum() == pytest.approx(float(e.insertion[-1]) - float(e.insertion[0]), abs=1e-6)


def both_needed(batch: torch.Tensor) -> torch.Tensor:
    """1 where the first and the last cell of a 4 x 4 grid are both there: 10 against 0 as logits."""
    there = (batch[:, 0, 0, 0] > 0) & (batch[:, 0, -1, -1] > 0)
    return torch.stack((10.0 * there - 5, 5 - 10.0 * there), 1)


@pytest.mark.parametrize("search", ["exact", "guided", "bidirectional", "backward"])
def test_of_two_regions_that_are_both_needed_both_are_hot_and_nothing_else(search):
    white = np.full((16, 16, 3), 255, np.uint8)
    e = pysmdl.explain(white, both_needed, 0, regions="grid:16", search=search, progress=False)
    values = e.values()
    assert values[[0, 15]] == pytest.approx([0.5, 0.5], abs=1e-3)
    assert np.abs(np.delete(values, [0, 15])).max() < 1e-6


def test_a_model_that_never_changes_its_mind_has_no_map():
    constant = lambda batch: torch.tensor([[1.0, 2.0]]).repeat(len(batch), 1)  # noqa: E731
    e = pysmdl.explain(image(), constant, regions="grid:9", progress=False)
    assert e.flat
    assert not e.value_map().any()
    assert not explain(linear_model()).flat


@pytest.mark.slow
@pytest.mark.parametrize("search", ["exact", "bidirectional", "guided", "backward", "occlusion", "sobol"])
def test_all_of_the_map_lies_in_the_one_cell_that_counts(search):
    grid = metrics.CellGrid(2, 2, 16, 16, split=4)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveMaxPool2d(4), nn.Flatten(), nn.Linear(64, 3)).eval()
    picture = grid.tile(np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8))
    e = pysmdl.explain(picture, grid.only(net, [0]), 1, regions=grid.labels(), search=search, progress=False)
    assert metrics.energy_pointing_game(e, boxes=[0, 0, 16, 16]) == pytest.approx(1.0, abs=5e-4)
    assert metrics.pointing_game(e, boxes=[0, 0, 16, 16], tolerance=0) == 1


@pytest.mark.slow
@pytest.mark.parametrize("search", ["guided", "bidirectional"])
def test_most_of_the_map_lies_on_the_digit(search):
    shares, model = [], builtin.load("digits")
    for scene in builtin.images():
        e = pysmdl.explain(scene["path"], model, regions="grid:36", search=search, progress=False)
        shares.append(metrics.energy_pointing_game(e, boxes=scene["box"]))
    assert np.mean(shares) >= 0.8


def test_maps_of_several_explanations_count_alike():
    one = made([0.0, 1.0, 1.0], [1.0, 0.0, 0.0])
    ten = made([0.0, 0.0, 10.0], [10.0, 10.0, 0.0])
    flat = made([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
    np.testing.assert_allclose(metrics.mean_map([one, ten]), [[0.5, 0.5]])
    np.testing.assert_allclose(metrics.mean_map([one, flat]), [[0.5, 0]])
    np.testing.assert_allclose(metrics.mean_map(one), one.value_map())
    assert metrics.mean_map([one, ten], size=(4, 4)).shape == (4, 4)
    with pytest.raises(ValueError, match="size must be given for grids of several shapes"):
        metrics.mean_map([one, made([0, 1], [1, 0])])


def test_a_frame_says_where_the_grid_lies_in_the_image():
    labels = np.array([[0, 1], [2, 3]])
    found = labels_at(labels, (4, 8), (0.25, 0.0, 0.75, 1.0))
    expected = np.full((4, 8), -1)
    expected[:, 2:6] = np.repeat(np.repeat(labels, 2, 0), 2, 1)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(labels_at(labels, (4, 4)), np.repeat(np.repeat(labels, 2, 0), 2, 1))
