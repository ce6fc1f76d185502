"""Several scales of one decision: one map of all, at the price of the parts; nested, at less."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from command_line import ANSWER, call, module, saved

import pysmdl
from pysmdl import heads, scorers
from pysmdl.errors import RegionError

from library_models import made

SIDE = 64
BOX = np.zeros((SIDE, SIDE), bool)
BOX[20:28, 36:44] = True  # an object of 8 x 8
PIXELS = np.where(BOX[:, :, None], (250, 250, 250), (40, 60, 50)).astype(np.uint8)
SEES = torch.from_numpy(BOX.astype(np.float32))
MODEL = scorers.scalar(lambda batch: (batch.mean(1) * SEES).sum((1, 2)) / SEES.sum())
SCALES = ("grid:4", "grid:16", "grid:64")


def found(**settings):
    return pysmdl.explain_scales(PIXELS, MODEL, **{"scales": SCALES, "search": "exact", **settings})


def share(values):
    """Of what is positive, what lies in the box."""
    positive = np.maximum(values, 0)
    return positive[BOX].sum() / positive.sum()


@pytest.mark.parametrize("fuse", ["mean", "max"])
def test_a_map_of_several_scales_is_sharper_than_the_coarsest(fuse):
    scales = found(fuse=fuse)
    assert [part.n for part in scales.parts] == [4, 16, 64]
    assert scales.evaluations == sum(part.evaluations for part in scales.parts)
    assert share(scales.value_map()) > 2 * share(scales.parts[0].value_map())
    assert scales.value_map(size=(128, 128)).shape == (128, 128)
    assert found(fuse="rank-mean").value_map()[BOX].mean() > 0.8


def test_the_map_of_one_scale_is_its_own():
    alone = found(scales=["grid:16"])
    own = pysmdl.explain(PIXELS, MODEL, regions="grid:16", search="exact", progress=False)
    assert np.allclose(alone.value_map() * np.maximum(own.value_map(), 0).sum(), own.value_map())


def test_nested_scales_cut_up_what_is_enough_and_cost_less():
    nested, flat = found(nested=True), found()
    coarse, middle, fine = nested.parts
    assert (coarse.n, middle.n) == (4, 7)
    assert fine.n < 64
    assert nested.evaluations < flat.evaluations
    rest = ~np.isin(coarse.labels, coarse.order[: coarse.enough()])
    assert all(len(np.unique(middle.labels[coarse.labels == i])) == 1 for i in np.unique(coarse.labels[rest]))
    assert share(fine.value_map()) == pytest.approx(share(flat.parts[2].value_map()), abs=1e-6)


def test_occlusion_in_bits_is_the_weight_of_evidence():
    """A region whose absence takes p from 0.9 to 0.6: 2.58496250 bits (H9)."""

    def model(batch):
        p = torch.where(batch[:, 0, 0, 0] > 0, 0.9, 0.6)
        return torch.stack((1 - p, p), 1).log()

    x = torch.ones(3, 8, 8)
    scorer = scorers.classifier(model, head=heads.log_odds(base=2))
    scales = pysmdl.explain_scales(x, scorer, 1, scales=["grid:1", "grid:4"], search="occlusion")
    for part in scales.parts:
        assert part.values()[part.labels[0, 0]] == pytest.approx(2.58496250, abs=1e-5)
        assert np.abs(part.values()).sum() == pytest.approx(2.58496250, abs=1e-5)


def test_resolutions_divide_the_image_as_the_model_sees_it_and_share_its_decision():
    """A model that sees at 16 what it does not at 8: what is asked is what it said first, and maps lie on the image."""

    def model(batch):
        finest = torch.nn.functional.interpolate(batch.mean(1, keepdim=True), (64, 64))[:, 0]
        seen = (finest * SEES).sum((1, 2)) / SEES.sum()
        return torch.stack((seen, 0 * seen + (0.1 if batch.shape[2] < 16 else 2.0)), 1) * 4

    scorer = scorers.classifier(model, size=32)
    scales = pysmdl.explain_scales(
        PIXELS, scorer, scales=["grid:16", "grid:64"], resolutions=[8, (16, 16), 32], search="exact"
    )
    assert [part.labels.shape for part in scales.parts] == [(8, 8), (8, 8), (16, 16), (16, 16), (32, 32), (32, 32)]
    assert {part.target for part in scales.parts} == {0}
    assert scales.value_map().shape == (SIDE, SIDE)
    assert share(scales.value_map()) == pytest.approx(64 / 256, abs=1e-3), "the cells that the object lies in"
    alone = pysmdl.explain(PIXELS, scorers.classifier(model, size=16), 0, regions="grid:64", search="exact")
    assert np.array_equal(scales.parts[3].order, alone.order)
    assert np.array_equal(scales.parts[3].insertion, alone.insertion)
    (one,) = pysmdl.explain_scales(PIXELS, scorer, scales=["grid:4"], resolutions=[32]).parts
    assert one.labels.shape == (32, 32)


def test_what_is_resized_before_its_middle_is_cut_out_grows_alike():
    seen = []
    scorer = scorers.scalar(lambda batch: seen.append(batch.clone()) or batch.mean((1, 2, 3)), size=32, resize=48)
    pysmdl.explain_scales(PIXELS, scorer, scales=["grid:4"], resolutions=[16])
    by_hand = scorers.scalar(lambda batch: batch.mean((1, 2, 3)), size=16, resize=24).input.view(PIXELS)[0]
    assert any(torch.equal(row, by_hand) for batch in seen for row in batch)


def test_a_bare_model_is_made_a_scorer_once():
    """A network of transformers resizes as its processor does; at other sizes it is the same scorer."""
    pytest.importorskip("transformers")
    (model, processor), head = made("ResNet"), heads.margin()
    scales = pysmdl.explain_scales(
        PIXELS, model, 1, scales=["grid:4"], resolutions=[32, 48], processor=processor, head=head, device="cpu"
    )
    assert [part.labels.shape for part in scales.parts] == [(32, 32), (48, 48)]
    assert scales.value_map().shape == (SIDE, SIDE)


def test_what_is_no_resolution_is_refused():
    scorer = scorers.scalar(lambda batch: batch.mean((1, 2, 3)), size=32)
    for wrong, settings in ((224, {}), ([], {}), ([16], {"nested": True})):
        with pytest.raises(ValueError, match="resolutions must be sizes, one at least"):
            pysmdl.explain_scales(PIXELS, scorer, resolutions=wrong, **settings)
    with pytest.raises(ValueError, match="resolutions need a scorer that resizes"):
        pysmdl.explain_scales(PIXELS, MODEL, resolutions=[16])


def test_what_is_no_scale_is_refused():
    with pytest.raises(ValueError, match="fuse must be one of"):
        found(fuse="sum")
    with pytest.raises(ValueError, match="scales must be partitions"):
        found(scales=[])
    with pytest.raises(TypeError, match="has no setting 'regions'"):
        found(regions="grid:4")
    found().plot()


def test_a_notebook_shows_all_scales():
    shown = found()._repr_html_()
    assert shown.count("data:image/png") == 1
    assert shown.count("<br>") == len(SCALES) - 1


def test_explain_takes_several_partitions_and_resolutions_and_hands_them_over():
    """What a user types; :func:`explain_scales` is the same under a name of its own."""
    given = {"search": "exact", "progress": False}
    scales = pysmdl.explain(PIXELS, MODEL, regions=list(SCALES), fuse="max", **given)
    assert np.array_equal(scales.value_map(), found(fuse="max").value_map())
    (coarse, fine) = pysmdl.explain(PIXELS, MODEL, players=["grid:4", pysmdl.regions.grid(PIXELS, 64)], **given).parts
    assert (coarse.n, fine.n) == (4, 64)
    nested = pysmdl.explain(PIXELS, MODEL, regions=SCALES, nested=True, **given)
    assert nested.evaluations == found(nested=True).evaluations
    scorer = scorers.scalar(lambda batch: batch.mean((1, 2, 3)), size=32)
    sizes = pysmdl.explain(PIXELS, scorer, regions="grid:4", resolutions=[16, 32], **given)
    assert [part.labels.shape for part in sizes.parts] == [(16, 16), (32, 32)]
    (usual,) = pysmdl.explain(PIXELS, scorer, resolutions=[16], **given).parts
    assert usual.provenance["regions"] == "slico"


def test_what_is_of_several_partitions_is_refused_of_one():
    for settings, message in (
        ({"nested": True}, r'nested=True needs several partitions, .* such as regions=\["slico:25", "slico:100"\]'),
        ({"regions": "grid:4", "fuse": "max"}, "fuse='max' needs several maps"),
        ({"regions": SCALES, "fuse": "sum"}, "fuse must be one of"),
        ({"regions": SCALES, "profile": True}, "profile is of one explanation"),
        ({"regions": SCALES, "nested": True, "resolutions": [16]}, "resolutions must be sizes, .* got nested=True"),
        ({"regions": SCALES, "players": "grid"}, "players and regions are two words for the same"),
    ):
        with pytest.raises(ValueError, match=message):
            pysmdl.explain(PIXELS, MODEL, progress=False, **settings)
    for door in (pysmdl.Game, lambda *given, **settings: list(pysmdl.explain_many(given[:1], given[1], **settings))):
        with pytest.raises(RegionError, match=r"must be one partition here; several, .*, are for pysmdl.explain"):
            door(PIXELS, MODEL, regions=["grid:4", "grid:16"])


@pytest.mark.parametrize("several", [["grid:4", "grid:16"], "grid:4,grid:16"])
def test_several_partitions_are_refused_before_anything_is_explained(several, tmp_path):
    with pytest.raises(RegionError, match=r"one partition here; several, \['grid:4', 'grid:16'\]"):
        pysmdl.jobs.run([PIXELS], MODEL, tmp_path / "s", regions=several, progress=False)
    for command in ("run", "eval", "profile"):
        path = saved(tmp_path / "a.png", size=32)
        where = {"run": ("--store", tmp_path / "t")}.get(command, ())
        code, output = call(command, path, *where, "--regions", "grid:4,grid:16")
        assert code != 0
        assert "must be one partition here" in output


def test_names_of_players_are_no_partitions():
    """Words that a partition is called by, too."""
    text = pysmdl.removal.render(lambda member, item: [" ".join(np.array(item.given)[kept]) for kept in member])
    scorer = scorers.scalar(lambda texts: [float("grid" in each) for each in texts])
    one = pysmdl.explain(["grid", "time"], scorer, players=["grid", "time"], removal=text, progress=False)
    assert one.players == ("grid", "time")


def test_ctrl_c_leaves_the_parts_that_were_done():
    seen = []

    def stops(batch):
        seen.append(len(batch))
        if len(seen) > 12:
            raise KeyboardInterrupt
        return (batch.mean(1) * SEES).sum((1, 2))

    with pytest.raises(KeyboardInterrupt) as stopped:
        pysmdl.explain(PIXELS, scorers.scalar(stops), regions=SCALES, nested=True, search="exact", progress=False)
    assert stopped.value.partial[0].n == 4


@pytest.mark.slow
def test_the_command_line_explains_several_scales_and_draws_them(tmp_path, monkeypatch):
    saved(tmp_path / "in" / "a.png", size=32)
    model = module(tmp_path, monkeypatch, ANSWER)
    arguments = ("explain", tmp_path / "in" / "a.png", "--model", model, "--out", tmp_path / "out", "--search", "exact")
    code, output = call(*arguments, "--regions", "grid:4,grid:16", "--nested", "--fuse", "max")
    assert code == 0, output
    assert sorted(path.name for path in (tmp_path / "out").glob("*.npz")) == ["a-grid16.npz", "a-grid4.npz"]
    assert pysmdl.load(tmp_path / "out" / "a-grid4.npz").n == 4
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"a.png", "a-grid4.png", "a-grid16.png"}
    assert "1 explained" in output
    code, output = call(*arguments, "--size", "16", "--resolutions", "8,16x12", "--regions", "grid:4", "--plot", "none")
    assert code == 0, output
    assert pysmdl.load(tmp_path / "out" / "a-16x12-grid4.npz").labels.shape == (16, 12)
    code, output = call(*arguments, "--regions", "grid:4,grid:9", "--dry-run")
    assert code == 0, output
    rows = [[cell.strip() for cell in line.split("│")] for line in output.splitlines() if "a.png" in line]
    assert [row[1:3] for row in rows] == [["a.png grid:4", "4"], ["a.png grid:9", "9"]]
    code, output = call(*arguments, "--size", "16", "--resolutions", "8,16", "--regions", "grid:4", "--dry-run")
    assert code == 0, output
    assert "a.png 16x16 grid:4" in output
    for wrong, message in (
        (("--nested",), "nested=True needs several partitions"),
        (("--regions", "grid:4,grid:9", "--nested", "--dry-run"), "dry_run cannot say what nested scales divide"),
        (("--fuse", "max", "--dry-run"), "fuse='max' needs several maps"),
        (("--resolutions", "big"), "size must be a number or HEIGHTxWIDTH; got 'big'"),
    ):
        code, output = call(*arguments, *wrong)
        assert code == 2
        assert message in output
