"""Explanation: what it says of an order, and that it survives the disk."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import pysmdl
from pysmdl.engine.requests.gains import violations
from pysmdl.errors import StoreError
from pysmdl.explanation import Explanation
from pysmdl.search import Ask

from toys import explain, linear_model, same


def made(insertion, deletion, area=None, order=None, labels=None) -> Explanation:
    k = len(insertion) - 1
    return Explanation(
        order=np.array(range(k) if order is None else order),
        score=np.zeros(k, np.float32),
        terms={},
        insertion=np.array(insertion, np.float32),
        deletion=np.array(deletion, np.float32),
        area=np.array(area if area is not None else np.linspace(0, 1, k + 1), np.float32),
        labels=np.arange(k, dtype=np.int32)[None] if labels is None else np.array(labels, np.int32),
        target=0,
    )


def test_auc_is_the_trapezoid_over_area():
    e = made([0, 0.5, 1], [1, 0.2, 0], area=[0, 0.25, 1])
    assert e.insertion_auc == pytest.approx(0.25 * 0.25 + 0.75 * 0.75)
    assert e.deletion_auc == pytest.approx(0.25 * 0.6 + 0.75 * 0.1)


def test_auc_of_a_cut_order_is_over_the_area_reached():
    e = made([0, 0.5], [1, 0.2], area=[0, 0.25], labels=[[0, 1]])
    assert e.insertion_auc == pytest.approx(0.25)
    assert e.deletion_auc == pytest.approx(0.6)


def test_highest_confidence_within_an_area():
    e = made([0.1, 0.7, 0.3, 0.9, 0.8], [1, 0, 0, 0, 0])
    assert e.highest_confidence(0.25) == pytest.approx(0.7)
    assert e.highest_confidence(0.5) == pytest.approx(0.7)
    assert e.highest_confidence() == pytest.approx(0.9)
    assert e.best_step() == 3
    assert e.best_step(within=0.25) == 1
    for bad in (0, 1.1):
        with pytest.raises(ValueError, match="area must be above 0 and at most 1"):
            e.highest_confidence(bad)


@pytest.mark.parametrize(("scale", "shift"), [(1000.0, 0.0), (10.0, -500.0), (3.0, 4e5)])
def test_what_is_enough_does_not_depend_on_the_units_of_a_score(scale, shift):
    insertion, deletion = np.array([0.0, 0.5, 0.97, 0.985, 1.0]), np.array([1.0, 0.5, 0.3, 0.1, 0.0])
    plain, e = made(insertion, deletion), made(shift + scale * insertion, shift + scale * deletion)
    assert (plain.unit, e.unit) == (1, pytest.approx(scale, rel=0.03))
    assert [plain.enough(), plain.enough(0.05), plain.best_step(), plain.best_step(0.6)] == [3, 2, 4, 1]
    assert [e.enough(), e.enough(0.05), e.best_step(), e.best_step(0.6)] == [3, 2, 4, 1]


@pytest.mark.parametrize("within", ["yes", -0.1, None, float("nan")])
def test_what_comes_near_enough_is_a_number(within):
    e = made([0.1, 0.7], [1, 0])
    for step in (e.enough, e.best_step):
        with pytest.raises(ValueError, match="within must be a finite number of at least 0"):
            step(within)


def test_saliency_is_the_specs_by_hand():
    e = made([0.0, 0.6, 0.5, 0.9], [1.0, 0.5, 0.4, 0.1], order=[2, 0, 1], labels=[[0, 1, 2, -1]])
    # s = 0, 1.1, 1.1, 1.8: v = -1.1, -1.1, -1.8
    np.testing.assert_allclose(e.saliency(), [[1, 0, 1, 0]], atol=1e-6)
    flat = made([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
    assert not flat.saliency().any()


def test_overlay_has_the_images_own_size():
    found = explain(linear_model())
    assert found.overlay((40, 30)).shape == (40, 30)
    np.testing.assert_array_equal(found.overlay(), found.saliency())
    np.testing.assert_array_equal(found.overlay((24, 24))[::2, ::2], found.saliency())


def test_area_leaves_out_what_is_always_shown():
    labels = np.arange(144).reshape(12, 12) // 36
    labels[:3] = -1
    found = explain(linear_model(), regions=np.where(labels < 0, -1, labels - 1))
    np.testing.assert_allclose(np.diff(found.area), 1 / 3, atol=1e-6)


@pytest.fixture(scope="module")
def full():
    model = pysmdl.scorers.classifier(linear_model(), features=linear_model(6, 3))
    return explain(model, target=2, trace=["predicted"], objective=pysmdl.smdl())


def test_save_and_load(full, tmp_path):
    full.save(tmp_path / "x.npz")
    back = pysmdl.load(tmp_path / "x.npz")
    assert same(full, back)
    for name in ("evaluations", "asked", "seconds", "violations", "notes", "target", "id", "index"):
        assert getattr(full, name) == getattr(back, name), name
    for group in ("terms", "traced"):
        mine, theirs = getattr(full, group), getattr(back, group)
        assert list(mine) == list(theirs)
        assert all(np.array_equal(mine[name], theirs[name]) for name in mine)
    np.testing.assert_array_equal(full.predicted, back.predicted)
    np.testing.assert_array_equal(full.saliency(), back.saliency())
    assert back.pixels.shape == full.pixels.shape
    assert back.size == full.size == full.pixels.shape[:2]
    assert back.provenance == json.loads(json.dumps(full.provenance))
    full.save(tmp_path / "y.npz", picture=False)
    assert pysmdl.load(tmp_path / "y.npz").pixels is None


def test_what_is_saved_is_small_and_holds_no_pickle(full, tmp_path):
    full.save(tmp_path / "x.npz")
    assert (tmp_path / "x.npz").stat().st_size < 20_000
    with np.load(tmp_path / "x.npz", allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)


def test_bad_files_are_refused(full, tmp_path):
    (tmp_path / "text.npz").write_text("no")
    with pytest.raises(StoreError, match=r"text.npz is not a saved explanation"):
        pysmdl.load(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(StoreError, match="not a saved explanation"):
        pysmdl.load(tmp_path / "other.npz")
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps({"order": [1]}))
    with pytest.raises(StoreError, match="not a saved explanation"):
        pysmdl.load(tmp_path / "pickle.npz")
    full.save(tmp_path / "cut.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:-300])
    with pytest.raises(StoreError):
        pysmdl.load(tmp_path / "cut.npz")
    full.save(tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as file:
        arrays = dict(file)
    arrays["meta"] = np.array(json.dumps({**json.loads(str(arrays["meta"])), "schema": 99}))
    np.savez(tmp_path / "new.npz", **arrays)
    with pytest.raises(StoreError, match="written by a newer pysmdl"):
        pysmdl.load(tmp_path / "new.npz")
    with pytest.raises(FileNotFoundError):
        pysmdl.load(tmp_path / "missing.npz")


def test_json_is_plain(full):
    found = json.loads(full.to_json())
    assert found["order"] == full.order.tolist()
    assert found["insertion_auc"] == full.insertion_auc
    assert found["schema"] == 4
    assert found["values"] == pytest.approx(full.values().tolist())
    labels, counts = np.array(found["labels"]["runs"]).reshape(-1, 2).T
    np.testing.assert_array_equal(np.repeat(labels, counts).reshape(found["labels"]["shape"]), full.labels)
    assert json.loads(full.to_json(indent=1)) == found
    cut = made([0.1, np.nan], [1, np.nan])
    assert json.loads(cut.to_json())["insertion"][1] is None


def test_json_is_no_file_and_one_input_has_no_parts(full):
    with pytest.raises(ValueError, match="indent must be a whole number of at least 0; got 'why"):
        full.to_json("why.json")
    with pytest.raises(ValueError, match="name is of one of several inputs, and here there is one; got 'photo'"):
        full.part("photo")


def test_authors_json_has_the_keys_of_their_evaluators(full):
    found = full.to_authors_json()
    assert set(found) >= {
        "smdl_score", "consistency_score", "collaboration_score", "insertion_score", "deletion_score", "region_area",
        "confidence_score", "effectiveness_score", "baseline_score", "org_score", "target_label",
    }  # fmt: skip
    json.dumps(found)
    assert len(found["smdl_score"]) == full.n
    np.testing.assert_allclose(np.array(found["collaboration_score"]), 1 - full.deletion[1:])


def test_plot_draws_image_curves_and_the_best_subset(full, tmp_path):
    figure = full.plot(names=["a", "b", "c", "d"])
    figure.savefig(tmp_path / "x.png")
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0].startswith("why c?")
    assert "regions" in titles[2]
    insertion, deletion = (line.get_ydata() for line in figure.axes[3].lines[:2])
    np.testing.assert_array_equal(insertion, full.insertion)
    np.testing.assert_array_equal(deletion, full.deletion)


def test_plot_of_a_loaded_explanation_without_its_picture_needs_the_image(full, tmp_path):
    full.save(tmp_path / "x.npz", picture=False)
    back = pysmdl.load(tmp_path / "x.npz")
    with pytest.raises(ValueError, match=r"needs plot\(pixels="):
        back.plot()
    back.plot(pixels=full.pixels)


def test_violations_of_diminishing_returns_are_counted():
    asks = [
        (Ask([], [0, 1, 2]), [1.0, 0.5, 0.25]),
        (Ask([9], [1]), [7.0]),  # another base: not along the front
        (Ask([0], [1, 2]), [1.25, 2.25]),  # gains 0.25 and 1.25: that of region 2 grew by 1
        (Ask([0, 2], [1]), [2.5]),  # gain 0.25
    ]
    told = [(ask, np.array(totals, np.float32)) for ask, totals in asks]
    assert violations(told, empty=0.0) == (1, 3, 1.0)
    assert violations(told, empty=float("nan")) == (0, 1, 0.0)


def test_violations_of_a_search_that_asks_in_pieces():
    """Lazy greedy's first round is given as subsets, and later ones refresh a few candidates at a time."""
    for seed in range(4):
        full, lazy = (explain(linear_model(seed=seed), search=search) for search in ("exact", "lazy"))
        if lazy.order.tolist() == full.order.tolist() and lazy.notes["rounds_in_full"] == 15:
            assert lazy.violations == full.violations
        assert lazy.notes["gains_compared"] > 0
        assert 0 < lazy.violations <= lazy.notes["gains_compared"]


def test_a_file_that_lacks_something_is_named(tmp_path):
    explain(linear_model()).save(tmp_path / "whole.npz")
    with np.load(tmp_path / "whole.npz") as file:
        arrays = dict(file)
    for name in ("labels", "order", "meta"):
        np.savez(tmp_path / "part.npz", **{key: value for key, value in arrays.items() if key != name})
        with pytest.raises(StoreError, match=r"part\.npz is not a"):
            pysmdl.load(tmp_path / "part.npz")


def refused(text: str):
    raise AssertionError(f"no JSON: {text}")


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, np.float32("nan")])
def test_what_is_not_finite_is_null_wherever_it_is(odd, full, tmp_path):
    notes = {"plain": odd, "list": [1, (odd, {"deep": odd})], "array": np.array([odd, 1.0]), 3: np.int64(3), "n": None}
    expected = {"plain": None, "list": [1, [None, {"deep": None}]], "array": [None, 1.0], "3": 3, "n": None}
    found = replace(full, notes=notes, target=[float(odd), 0.5])
    for text in (found.to_json(), found.to_json(indent=2)):
        read = json.loads(text, parse_constant=refused)
        assert (read["notes"], read["target"]) == (expected, [None, 0.5])
    assert found.to_dict()["notes"] == expected
    json.dumps(found.to_authors_json(), allow_nan=False)
    found.save(tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as file:
        assert json.loads(str(file["meta"]), parse_constant=refused)["notes"] == expected


def test_notes_that_are_no_plain_values_are_refused_and_cost_no_file(full, tmp_path):
    full.save(tmp_path / "x.npz")
    before = (tmp_path / "x.npz").read_bytes()
    found = replace(full, notes={"mine": object()})
    for write in (found.to_json, lambda: found.save(tmp_path / "x.npz")):
        with pytest.raises(TypeError, match="notes must hold plain values; got object"):
            write()
    assert (tmp_path / "x.npz").read_bytes() == before


def test_a_save_that_fails_leaves_what_was_saved_before(full, tmp_path):
    """As on a full disk: no file of this process may grow beyond 1500 bytes."""
    full.save(tmp_path / "x.npz")
    code = (
        "import resource, signal, sys, pysmdl\n"
        "found = pysmdl.load(sys.argv[1])\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))\n"
        "try:\n    found.save(sys.argv[1])\nexcept OSError as error:\n    print(error.filename)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "x.npz"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "x.npz")
    assert same(pysmdl.load(tmp_path / "x.npz"), full)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


@pytest.mark.parametrize("shape", [(4,), (2, 2, 1)])
def test_what_is_no_image_has_curves_but_no_overlay(shape, tmp_path):
    found = made([0.1, 0.5, 0.9], [0.9, 0.5, 0.1], labels=np.array([0, 1, 0, -1]).reshape(shape))
    assert found.saliency().shape == shape
    with pytest.raises(ValueError, match=r"overlay\(\) is of images; these regions divide a grid \[\d.*use saliency"):
        found.overlay()
    for names in (None, ["$cat"]):
        figure = found.plot(names=names)
        figure.savefig(tmp_path / "x.png")
        (axes,) = figure.axes
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), found.insertion)
        assert axes.get_title().startswith("why $cat?" if names else "why class 0?")


def test_an_image_to_draw_on_may_be_given_in_any_form(full, tmp_path):
    pixels = full.pixels
    bare = replace(full, pixels=None)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    for given in (pixels, Image.fromarray(pixels), tmp_path / "x.png", pixels[:, :, 0]):
        assert len(bare.plot(pixels=given).axes) == 4
    for odd in (pixels.astype(float), pixels[0, 0], tmp_path / "none.png", 3):
        with pytest.raises(pysmdl.errors.ImageError):
            bare.plot(pixels=odd)
