"""Players of every kind of input: divided by name, called by name, weighed, grouped, and kept with the explanation."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl import regions, scorers
from pysmdl.errors import ImageError, RegionError

from toys import image, linear_model

W = torch.arange(1.0, 7.0)


def weighed(weights=W):
    return scorers.scalar(lambda batch: batch.flatten(1) @ weights.flatten())


def explained(x, model, **settings):
    return pysmdl.explain(x, model, progress=False, **{"search": "exact", **settings})


@pytest.mark.parametrize("given", [torch.ones(6), np.ones(6), np.ones(6, np.float32), torch.ones(1, 6)], ids=str)
def test_a_signal_goes_in_as_it_is(given):
    seen = []
    model = scorers.scalar(lambda batch: seen.append(batch.shape[1:]) or batch.flatten(1) @ W)
    found = explained(given, model, players="time:3")
    assert found.values().tolist() == pytest.approx([3, 7, 11])
    assert set(seen) == {tuple(given.shape)}, "the model is given what it takes, with rows before it"
    assert (found.n, found.modality, found.labels.tolist()) == (3, "values", [0, 0, 1, 1, 2, 2])


def test_ids_are_replaced_by_an_id():
    table = torch.tensor([[0.0], [1], [2], [4], [8], [16]])
    model = scorers.custom(lambda ids: table[ids].sum(1), lambda raw, reference, target: raw[:, 0])
    for given in (torch.tensor([5, 3, 1]), np.array([5, 3, 1], np.int32), np.array([5, 3, 1], np.uint8)):
        found = explained(given, model)
        assert (found.values().tolist(), found.modality) == ([16, 4, 1], "ids")
    assert explained(torch.tensor([5, 3, 1]), model, baseline=2).values().tolist() == [14, 2, -1]
    assert explained(torch.tensor([5, 3, 1]), model, baseline=[1, 1, 5]).values().tolist() == [15, 3, -15]
    infill = lambda ids, hidden: torch.where(hidden, ids - 1, ids)  # noqa: E731
    assert explained(torch.tensor([5, 3, 1]), model, baseline=infill).values().tolist() == [8, 2, 1]
    always = explained(torch.tensor([5, 3, 1]), model, players=np.array([0, -1, 1]), baseline=infill)
    assert always.values().tolist() == [8, 1]


@pytest.mark.parametrize("wrong", ["mean", "blur", 0.5, [1, 2]], ids=str)
def test_a_baseline_that_is_no_id_is_refused(wrong):
    model = scorers.scalar(lambda ids: ids.float().sum(1))
    with pytest.raises(ValueError, match=r"baseline (of ids )?must"):
        explained(torch.arange(5), model, baseline=wrong)


@pytest.mark.parametrize(
    ("players", "shape", "n"),
    [
        ("time:4", (7,), 4),
        ("time:20", (7,), 7),
        ("time:3", (5, 8), 3),
        ("bands:2x3", (5, 8), 6),
        ("tubes:2x3x2", (4, 6, 5), 12),
        ("grid:2x2x2", (4, 6, 5), 8),
        ("grid:2x1x2x3", (2, 3, 4, 5), 12),
        ("columns", (9,), 9),
        ("grid", (4, 6, 5), 48),
    ],
)
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_grids_of_any_number_of_axes_and_channels(players, shape, n, channels):
    found = explained(torch.rand(channels, *shape), weighed(torch.rand(channels, *shape)), players=players, k=1)
    assert (found.n, found.labels.shape) == (n, shape)
    counts = np.bincount(found.labels.ravel())
    assert len(counts) == n
    assert counts.min() > 0


def test_superpixels_of_a_clip_hold_together_through_each_span():
    clip = torch.zeros(3, 6, 24, 24)
    clip[:, :3, :, :12], clip[:, 3:, 12:] = 1, 1
    found = explained(clip, weighed(clip), players="tubes:2x4", k=1)
    assert found.modality == "clip"
    first, second = found.labels[:3], found.labels[3:]
    assert (first == first[0]).all()
    assert (second == second[0]).all()
    assert not set(np.unique(first)) & set(np.unique(second))
    assert found.shown.shape == (6, 24, 24, 3)


@pytest.mark.parametrize(
    ("players", "shape", "message"),
    [
        ("time:0", (6,), "with numbers of at least 1; got 'time:0'"),
        ("grid:0x3", (4, 6), "tubes:5x25, grid:4x4, columns, with numbers of at least 1; got 'grid:0x3'"),
        ("grid:2x3x4", (4, 6), "needs 2 numbers here, as in .*, grid:4x4, columns"),
        ("time:2x3", (6,), "needs one number"),
        ("bands:2x3", (6,), 'a waveform has "time:20"'),
        ("tubes:2x2x2", (6,), "on a grid of time x height x width"),
        ("tubes:2x9", (4, 6, 5), "on a clip of one or three channels"),
        ("grid:2x2", (4, 6, 5), "needs 3 numbers"),
        ("columns:3", (6,), "without a number"),
        ("slico", (6,), "needs an image"),
    ],
)
def test_names_that_do_not_suit_the_input_are_refused(players, shape, message):
    with pytest.raises(ValueError, match=message):
        explained(torch.rand(2, *shape), weighed(torch.rand(2, *shape)), players=players)


def test_players_and_regions_are_one_thing():
    model, of = linear_model(), image()
    by_either = [explained(of, model, target=1, **{name: "grid:9"}) for name in ("players", "regions")]
    assert np.array_equal(by_either[0].order, by_either[1].order)
    with pytest.raises(ValueError, match="players and regions are two words for the same"):
        explained(of, model, players="grid:9", regions="grid:9")
    items = [{"input": of, "target": 1, "players": "grid:9"}, {"image": of, "label": 1, "regions": "grid:9"}]
    for found in pysmdl.explain_many(items, model, search="exact", progress=False):
        assert np.array_equal(found.order, by_either[0].order)
    game = pysmdl.Game(np.ones(6), weighed(), players="time:3")
    assert game([[1, 0, 0], [0, 1, 1]]).tolist() == pytest.approx([3, 18])
    captum = pysmdl.SubsetAttribution(lambda batch: torch.stack((batch @ W, -batch @ W), 1), players="time:3")
    assert captum.attribute(torch.ones(2, 6), target=0).shape == (2, 6)


def test_names_groups_and_weights_stay_with_the_explanation(tmp_path):
    names, groups = list("abcdef"), ["x", "x", "y", "y", "x", "y"]
    of = regions.players(names, groups, weights=[1, 1, 2, 2, 0, 4])
    found = explained(np.ones(6), weighed(), players=of)
    assert (found.players, found.groups) == (tuple(names), tuple(groups))
    assert found.by_group() == pytest.approx({"x": 8, "y": 13})
    assert found.by_group(np.array([1, 0, 0, 2, 0, np.nan])) == {"x": 1, "y": 2}
    assert found.area.tolist() == pytest.approx([0, 0.4, 0.4, 0.6, 0.8, 0.9, 1])
    assert "f" in found.players[found.order[0]]
    found.save(tmp_path / "x.npz")
    read = pysmdl.load(tmp_path / "x.npz")
    assert (read.players, read.groups, read.modality) == (found.players, found.groups, "values")
    assert read.by_group() == found.by_group()
    assert read.shown.tolist() == [1] * 6
    told = json.loads(read.to_json())
    assert (told["players"], told["groups"], told["modality"], told["schema"]) == (names, groups, "values", 4)


def test_what_has_no_groups_is_not_summed_by_them():
    found = explained(np.ones(6), weighed())
    with pytest.raises(ValueError, match="the regions have no groups"):
        found.by_group()
    with pytest.raises(RegionError, match="groups must be 2"):
        regions.players(["a", "b"], ["x"])
    with pytest.raises(RegionError, match="weights must be 2 finite numbers of at least 0"):
        regions.players(["a", "b"], weights=[1, -1])
    with pytest.raises(RegionError, match=r"regions must cover the input's grid \[6\]"):
        explained(np.ones(6), weighed(), players=["a", "b"])


def test_what_is_kept_can_be_had_back():
    x = np.arange(1.0, 7.0)
    found = explained(x, weighed(), players="time:3")
    assert found.view(1).tolist() == [0, 0, 0, 0, 5, 6]
    assert found.view(2, fill=-1).tolist() == [-1, -1, 3, 4, 5, 6]
    assert found.view(0).tolist() == [0] * 6
    pixels = image()
    of_image = explained(pixels, linear_model(), target=1, players="grid:4")
    kept = of_image.labels == of_image.order[0]
    assert np.array_equal(of_image.view(1), pixels * kept[:, :, None])


def test_a_long_signal_is_small_in_a_file(tmp_path):
    x = np.sin(np.arange(100_000) / 50).astype(np.float32)
    model = scorers.scalar(lambda batch: batch.abs().mean(1))
    found = explained(x, model, players="time:4")
    found.save(tmp_path / "x.npz")
    read = pysmdl.load(tmp_path / "x.npz")
    assert (tmp_path / "x.npz").stat().st_size < 20_000
    assert len(read.shown) == 2000
    assert abs(read.shown).max() == pytest.approx(1, abs=1e-3)
    with pytest.raises(ValueError, match="a small picture of it is all that is kept"):
        read.view(1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.zeros(0), "must be float|must hold something"),
        (torch.tensor(1.0), "must be float"),
        (torch.tensor([1.0, float("nan")]), "NaN or infinity"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), "must be float"),
    ],
)
def test_what_is_no_input_is_refused(given, message):
    with pytest.raises(ImageError, match=message):
        explained(given, weighed())
