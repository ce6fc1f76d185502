"""What is shown of inputs that are more than one image: several at once, masks that overlap, volumes, coefficients."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

import pysmdl
from pysmdl import regions, removal, scorers
from pysmdl.errors import StoreError
from pysmdl.explanation.plotting import plot, signals
from pysmdl.explanation.plotting.canvas import canvas
from pysmdl.explanation.sheets import with_sheet
from pysmdl.jobs.rows import explanation_of, row_of
from pysmdl.removal.wavelet import inverse, transformed
from pysmdl.reporting.entries import entry

from toys import image


def all_of(batch):
    """A number that each input adds its own to, of two texts that of the word "dark"."""
    said = torch.tensor([float("dark" in text) for text in batch["text"]])
    seen = batch["photo"][:, :, :4, :4].mean((1, 2, 3)) + batch["scan"].mean((1, 2, 3, 4))
    return seen + said + batch["sound"][:, :50].square().mean(1) + batch["row"] @ torch.tensor([0.25, -0.125])


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(0)
    given = {
        "photo": image(0, 8, 12),
        "text": "a dark evening",
        "sound": {"array": rng.normal(size=100) * 0.3, "sampling_rate": 50},
        "scan": torch.from_numpy(rng.random((2, 4, 6, 6), np.float32)),
        "row": np.array([1.0, 2.0]),
    }
    divided = {"photo": "grid:6", "sound": "time:4", "scan": "grid:2x1x1", "row": ["age", "height"]}
    return pysmdl.explain(given, scorers.scalar(all_of), players=divided, search="exact", progress=False), given


def test_the_view_of_several_inputs_is_one_of_each_by_name(found):
    e, given = found
    for k in (0, 4, e.n):
        first = {e.players[player] for player in e.order[:k]}
        shown = e.view(k, fill=0)
        assert set(shown) == set(given)
        assert shown["text"] == "".join(
            text for text, word in (("a ", "a"), ("dark ", "dark"), ("evening", "evening")) if f"text: {word}" in first
        )
        assert shown["row"].tolist() == [1.0 * ("row: age" in first), 2.0 * ("row: height" in first)]
        for i, start in enumerate(range(0, 100, 25)):
            kept = f"sound: {i / 2:.2f} to {(i + 1) / 2:.2f} s" in first
            whole = given["sound"]["array"][start : start + 25].astype(np.float32)
            assert np.array_equal(shown["sound"][start : start + 25], whole * kept)
        for i in range(2):
            assert bool(shown["scan"][2 * i : 2 * i + 2].any()) == (f"scan: {i}" in first)
        assert bool(shown["photo"].any()) == any(each.startswith("photo") for each in first)


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def test_each_input_is_drawn_in_its_own_form_with_the_values_of_all(found):
    e, _ = found
    written = titles(e.plot())
    for name, what in (("photo", "region"), ("text", "span"), ("sound", "segment"), ("row", "position")):
        total = f"{e.by_group()[name]:+.2f} in all"
        assert any(each.replace("\n", " ") == f"{name}: what each {what} adds, {total}" for each in written), written
    assert sum(each.startswith("slice") for each in written) == 4
    assert titles(e.plot(kind="map")) == [each for each in written if "in it" not in each][:-1]
    assert len(titles(plot([e, e], "row"))) == 6


def test_a_part_is_one_of_them_with_the_values_it_has_among_all(found):
    e, _ = found
    maps = {name: e.part(name).value_map() for name in e.inputs}
    assert {name: points.shape for name, points in maps.items()} == {
        "photo": (8, 12), "text": (14,), "sound": (100,), "scan": (4, 6, 6), "row": (2,)
    }  # fmt: skip
    assert {name: points.sum() for name, points in maps.items()} == pytest.approx(e.by_group())
    assert e.part("photo").plot(kind="map").axes
    with pytest.raises(ValueError, match=r"name must be one of .*'photo'.*; got 'image'"):
        e.part("image")


def test_inputs_without_a_picture_are_bars_by_name(tmp_path):
    both = scorers.scalar(lambda batch: batch["a"].sum(1) + batch["b"].sum(1))
    e = pysmdl.explain({"a": np.array([1.0, 2]), "b": torch.tensor([3, 4])}, both, progress=False)
    for kind in ("row", "map", "order", "steps", "bars", "curves"):
        assert e.plot(kind=kind).axes
    assert pysmdl.report(e, tmp_path / "x.html") == 1
    given = {"cube": torch.rand(2, 3, 2, 2, 2), "text": "one two"}
    scorer = scorers.scalar(lambda batch: torch.tensor([float(len(text)) for text in batch["text"]]))
    e = pysmdl.explain(given, scorer, progress=False, players={"cube": "grid:1x1x2x1"})
    with pytest.raises(
        ValueError, match=r"view\(\) of the input 'cube' .*; of another alone it is \.part\(name\)\.view"
    ):
        e.view(1)
    assert e.part("text").view(4) == "one two"


def test_a_store_keeps_what_is_shown_of_each(found):
    e, _ = found
    kept = explanation_of(row_of(e, "x", picture=True), "here")
    assert titles(kept.plot()) == titles(e.plot())
    assert list(explanation_of(row_of(e, "x"), "here").inputs) == list(e.inputs)
    crossing = of_masks("all")
    assert explanation_of(row_of(crossing, "x"), "here").cover == "all"


def test_regions_without_names_are_called_by_the_places_that_the_image_shows(found):
    e, _ = found
    named = {axis.get_text() for axes in e.plot().axes for axis in axes.get_yticklabels()}
    first = next(place for place, player in enumerate(e.order.tolist(), 1) if e.players[player].startswith("photo"))
    assert f"photo: number {first}" in named
    assert "text: dark" in named


def test_a_file_keeps_what_is_shown_of_each(found, tmp_path):
    e, _ = found
    e.save(tmp_path / "x.npz")
    kept = pysmdl.load(tmp_path / "x.npz")
    assert [part.modality for part in kept.inputs.values()] == ["image", "text", "sound", "volume", "values"]
    assert titles(kept.plot()) == titles(e.plot())
    assert kept.view(3)["text"] == e.view(3)["text"]
    for name, part in e.inputs.items():
        assert np.array_equal(part.labels, kept.inputs[name].labels)
    said = json.loads(kept.to_json())["inputs"]
    assert [each["name"] for each in said] == list(e.inputs)
    assert said[2]["rate"] == 50
    assert said[4]["labels"] == {"shape": [2], "runs": [e.n - 2, 1, e.n - 1, 1]}


def test_what_a_file_holds_of_inputs_is_checked(found, tmp_path):
    e, _ = found
    e.save(tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as file:
        arrays = {name: file[name] for name in file.files}
    meta = json.loads(str(arrays["meta"]))
    wrong = (
        ({"inputs.0.labels": arrays["inputs.0.labels"] + 100}, r"inputs\.0\.labels must be -1 or players from 0 to"),
        ({"inputs.9.labels": arrays["inputs.0.labels"]}, "inputs must each be named"),
        ({"inputs.0.more": arrays["inputs.0.labels"]}, "must not hold 'inputs.0.more'"),
        ({"inputs.0.shown": np.zeros(1 << 18)}, "of at most 1048576 bytes"),
        ({"meta": np.array(json.dumps({**meta, "cover": "some"}))}, "cover must be any or all"),
        ({"meta": np.array(json.dumps({**meta, "inputs": [{"name": "a"}]}))}, "inputs must each have frame, modality"),
    )
    for change, message in wrong:
        np.savez(tmp_path / "wrong.npz", **{**arrays, **change})
        with pytest.raises(StoreError, match=message):
            pysmdl.load(tmp_path / "wrong.npz")


def test_the_page_and_pictures_of_steps_show_all_inputs_on_one_sheet(found):
    e, _ = found
    sheet = with_sheet(e)
    shown = set(np.unique(sheet.labels).tolist()) - {-1}
    assert shown == set(range(e.n))
    on_page = entry(e, 0)
    assert on_page["picture"].startswith("data:image/")
    assert set(on_page["labels"]["runs"][::2]) - {-1} == shown
    for kind in ("order", "steps"):
        assert e.plot(kind=kind).axes


def test_a_notebook_has_each_input_that_is_read_or_listened_to(found):
    html = found[0]._repr_html_()
    assert "what is enough" in html
    assert ">dark " in html


CROSSING = np.zeros((3, 6, 8), bool)
CROSSING[0, :4], CROSSING[1, 2:, :5], CROSSING[2, 1:5, 2:7] = True, True, True


def of_masks(cover):
    x = torch.from_numpy(np.random.default_rng(1).random((3, 6, 8), np.float32))
    players = regions.overlapping(CROSSING, cover)
    scorer = scorers.scalar(lambda batch: batch[:, 0].mean((1, 2)))
    return pysmdl.explain(x, scorer, players=players, search="exact", progress=False)


def seen(cover, kept):
    """Which points are shown, by a loop."""
    found = np.ones((6, 8), bool)
    for i, j in np.ndindex(6, 8):
        above = [mask in kept for mask in range(3) if CROSSING[mask, i, j]]
        found[i, j] = not above or (any if cover == "any" else all)(above)
    return found


@pytest.mark.parametrize("cover", ["any", "all"])
def test_masks_that_overlap_are_shown_where_the_model_saw_the_input(cover, tmp_path):
    made = of_masks(cover)
    made.save(tmp_path / "x.npz")
    for e in (made, pysmdl.load(tmp_path / "x.npz")):
        for k in range(4):
            kept = set(e.order[:k].tolist())
            assert np.array_equal((e.view(k) != 0).any(2), seen(cover, kept))
            on = canvas(e)
            step = on.labels.shape[0] // 6
            assert np.array_equal(on.first(k)[::step, ::step], seen(cover, kept))
        values = e.values()
        worth = sum(values[mask] * CROSSING[mask] for mask in range(3))
        assert np.allclose(on.of_each(values)[::step, ::step], worth)
        assert np.array_equal(on.inside(1)[::step, ::step], CROSSING[1])
        assert e.extent == "regions", "shares are of all masks, which are more than the image"


@pytest.mark.parametrize("cover", ["any", "all"])
def test_the_page_knows_who_covers_each_point(cover):
    on_page = entry(of_masks(cover), 0)
    runs = on_page["labels"]["runs"]
    labels = np.repeat(runs[::2], runs[1::2]).reshape(6, 8)
    for i, j in np.ndindex(6, 8):
        above = set(np.flatnonzero(CROSSING[:, i, j]).tolist())
        assert above == (set() if labels[i, j] < 0 else set(on_page["parts"][labels[i, j]]))
    assert on_page["cover"] == cover
    assert all(part == sorted(part, key=lambda mask: CROSSING[mask].sum()) for part in on_page["parts"])


@pytest.mark.parametrize("cover", ["any", "all"])
def test_spans_that_overlap_are_drawn_as_they_were_heard(cover):
    spans = np.zeros((3, 100), bool)
    spans[0, :60], spans[1, 40:80], spans[2, 50:] = True, True, True
    wave = np.random.default_rng(6).normal(size=100).astype(np.float32)
    scorer = scorers.scalar(lambda batch: batch.square().mean(1), rate=100)
    e = pysmdl.explain(wave, scorer, players=regions.overlapping(spans, cover), search="exact", progress=False)
    sheet = with_sheet(e)
    assert np.array_equal(sheet.covers[:, 0, ::2], spans)
    assert np.array_equal(sheet.labels[0, ::2], e.labels)
    for k in range(4):
        on = canvas(sheet)
        assert np.array_equal(on.first(k)[0, :: on.labels.shape[1] // 100], e.view(k) != 0)
    worth = (np.nan_to_num(e.values())[:, None] * spans).sum(0)
    points, (norm, _) = signals.worth(e)
    assert np.allclose(points, worth)
    assert norm.vmax >= worth.max()
    assert entry(e, 0)["cover"] == cover
    for kind in ("row", "map", "steps"):
        assert e.plot(kind=kind).axes


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_a_volume_of_any_channels_is_shown_in_slices(channels, tmp_path):
    x = torch.from_numpy(np.random.default_rng(2).random((channels, 14, 100, 40), np.float32))
    scorer = scorers.scalar(lambda batch: batch[:, 0, :7, :50].mean((1, 2, 3)))
    e = pysmdl.explain(x, scorer, regions="grid:2x2x1", search="exact", progress=False)
    assert (e.modality, e.called) == ("volume", "blocks")
    assert e.order[0] == 0
    assert np.array_equal(e.view(1)[:7, :50], x.mean(0).numpy()[:7, :50])
    assert not e.view(1)[7:].any()
    assert [each for each in titles(e.plot()) if each.startswith("slice")][:6] == [
        f"slice {number}" for number in (1, 3, 5, 8, 10, 12)
    ]
    e.save(tmp_path / "x.npz")
    kept = pysmdl.load(tmp_path / "x.npz")
    assert kept.shown.shape == (12, 50, 20)
    assert "slice 1" in titles(kept.plot())
    assert entry(kept, 0)["picture"]


@pytest.mark.parametrize("channels", [2, 12])
def test_an_image_of_other_channels_is_shown_in_grey(channels, tmp_path):
    x = torch.zeros(channels, 8, 10)
    x[:, :4, :5] = torch.linspace(1, 3, channels)[:, None, None]
    e = pysmdl.explain(
        x, scorers.scalar(lambda b: b.sum((1, 2, 3))), regions="grid:2x2", search="exact", progress=False
    )
    assert (e.modality, e.called, e.order[0]) == ("image", "regions", 0)
    shade = np.zeros((8, 10, 3))
    shade[:4, :5] = 255
    assert np.array_equal(e.view(1), shade)
    assert len(titles(e.plot())) == 3
    with pytest.raises(pysmdl.errors.RegionError, match="needs an image; give a label map"):
        pysmdl.explain(x, scorers.scalar(lambda b: b.sum((1, 2, 3))), regions="slico:4", progress=False)


def test_one_channel_in_tubes_is_a_clip():
    x = torch.rand(1, 4, 8, 8)
    e = pysmdl.explain(x, scorers.scalar(lambda b: b.mean((1, 2, 3, 4))), players="tubes:2x2x2", progress=False)
    assert (e.modality, e.shown.shape) == ("clip", (4, 8, 8, 3))


@pytest.mark.parametrize("size", [(16, 24), (13, 21)])
def test_the_view_of_coefficients_is_their_inverse(size):
    pixels = image(3, *size)
    mean = scorers.scalar(lambda batch: batch[:, :, :4].mean((1, 2, 3)))
    e = pysmdl.explain(pixels, mean, removal=removal.wavelet(2), search="exact", progress=False)
    assert np.abs(e.view(e.n).astype(int) - pixels).max() <= 1
    packed_shape = e.labels.shape
    filled = np.pad(pixels, [(0, packed_shape[0] - size[0]), (0, packed_shape[1] - size[1]), (0, 0)], mode="edge")
    packed = transformed(torch.from_numpy(filled.astype(np.float32)).permute(2, 0, 1), 2)
    for k in (1, 4):
        left = torch.from_numpy(np.isin(e.labels, e.order[:k])) * packed
        wanted = inverse(left, 2).permute(1, 2, 0).numpy()[: size[0], : size[1]]
        assert np.abs(e.view(k) - wanted.clip(0, 255)).max() <= 0.5 + 1e-4
    assert (e.view(0, fill=128) == 128).all()


def test_masks_come_as_runs_too():
    masks = np.random.default_rng(4).random((3, 5, 7)) < 0.5
    masks[:, 0, 0] = (False, True, False)
    given = []
    for mask in masks:
        flat = mask.T.ravel()
        edges = np.flatnonzero(np.diff(flat)) + 1
        counts = np.diff([0, *edges, flat.size]).tolist()
        given.append({"segmentation": {"size": [5, 7], "counts": [0, *counts] if flat[0] else counts}})
    assert np.array_equal(regions.overlapping(given).covers, masks)
    with pytest.raises(pysmdl.errors.RegionError, match="compressed: decode them first"):
        regions.overlapping([{"segmentation": {"size": [5, 7], "counts": b"abc"}}])
    with pytest.raises(pysmdl.errors.RegionError, match=r"counts that add up to H \* W"):
        regions.overlapping([{"segmentation": {"size": [5, 7], "counts": [1]}}])


def test_a_files_bytes_are_what_the_file_is(tmp_path):
    Image.fromarray(image(0)).save(tmp_path / "x.png")
    scorer = scorers.scalar(lambda batch: batch.mean((1, 2, 3)))
    e = pysmdl.explain((tmp_path / "x.png").read_bytes(), scorer, regions="grid:4", progress=False)
    assert np.array_equal(e.pixels, image(0))


def test_scales_are_read_one_by_one(tmp_path):
    scorer = scorers.scalar(lambda batch: batch.mean((1, 2, 3)))
    scales = pysmdl.explain(image(0), scorer, regions=["grid:4", "grid:9"], progress=False)
    assert len(scales) == 2
    assert [part.n for part in scales] == [4, 9]
    assert pysmdl.report(scales, tmp_path / "x.html") == 2
