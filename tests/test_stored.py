"""Stored explanations that were forged, damaged, or are of another time: each is read as it is, or refused by name."""

from __future__ import annotations

import io
import json
import os
import resource
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pysmdl
from pysmdl import builtin
from pysmdl.errors import StoreError
from pysmdl.explanation import thumbnails

from toys import explain, linear_model, made


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    path = tmp_path_factory.mktemp("stored") / "x.npz"
    explain(linear_model(), trace=[0, 2]).save(path)
    with np.load(path) as file:
        return dict(file)


def meta(arrays, **changes):
    return {"meta": np.array(json.dumps({**json.loads(str(arrays["meta"])), **changes}))}


FORGED = {
    "schema is text": lambda a: meta(a, schema="1"),
    "schema is null": lambda a: meta(a, schema=None),
    "schema is true": lambda a: meta(a, schema=True),
    "schema 0": lambda a: meta(a, schema=0),
    "schema 1.5": lambda a: meta(a, schema=1.5),
    "meta is a list": lambda a: {"meta": np.array("[1]")},
    "meta is no JSON": lambda a: {"meta": np.array("{")},
    "meta is nested without end": lambda a: {"meta": np.array("[" * 100_000)},
    "meta is a number": lambda a: {"meta": np.array(3)},
    "an unknown name in meta": lambda a: meta(a, pixels=[1]),
    "no target": lambda a: meta(a, target=None),
    "features of text": lambda a: meta(a, target=["a"]),
    "a target below 0": lambda a: meta(a, target=-1),
    "a target of true": lambda a: meta(a, target=True),
    "a box of three corners": lambda a: meta(a, target={"xyxy": [1, 2, 3], "labels": [0], "mode": "object"}),
    "a box of text": lambda a: meta(a, target={"xyxy": ["a"] * 4, "labels": [0], "mode": "object"}),
    "tokens of text": lambda a: meta(a, target={"positions": ["a"], "ids": None}),
    "evaluations of text": lambda a: meta(a, evaluations="many"),
    "evaluations below 0": lambda a: meta(a, evaluations=-1),
    "an index of 1.5": lambda a: meta(a, index=1.5),
    "seconds of text": lambda a: meta(a, seconds="1"),
    "seconds below 0": lambda a: meta(a, seconds=-1.0),
    "notes are a list": lambda a: meta(a, notes=[1]),
    "an id that is a number": lambda a: meta(a, id=3),
    "names are a list": lambda a: meta(a, names=["a"]),
    "a name that is a number": lambda a: meta(a, names={"1": 2}),
    "names of no class": lambda a: meta(a, names={"cat": "a"}),
    "a size of three": lambda a: meta(a, size=[1, 2, 3]),
    "a size below 1": lambda a: meta(a, size=[0, 2]),
    "a frame outside": lambda a: meta(a, frame=[0, 0, 1, 2]),
    "a frame of nothing": lambda a: meta(a, frame=[0.5, 0, 0.5, 1]),
    "provenance is text": lambda a: meta(a, provenance="mine"),
    "players are a number": lambda a: meta(a, players=3),
    "players of numbers": lambda a: meta(a, players=[1, 2]),
    "fewer players than regions": lambda a: meta(a, players=["a"]),
    "groups of text, not a list": lambda a: meta(a, groups="ab"),
    "fewer groups than regions": lambda a: meta(a, groups=["a"]),
    "a modality that is a number": lambda a: meta(a, modality=1),
    "a rate below 0": lambda a: meta(a, rate=-1),
    "shown of text": lambda a: {"shown": np.array(["a"])},
    "shown without end": lambda a: {"shown": np.zeros(1 << 18)},
    "a picture of floats": lambda a: {"picture": np.zeros(4)},
    "a picture in rows": lambda a: {"picture": np.zeros((4, 4), np.uint8)},
    "an unknown array": lambda a: {"pixels": np.zeros((2, 2, 3), np.uint8)},
    "an array named order.x": lambda a: {"order.x": np.ones(2)},
    "a group without a name": lambda a: {"terms.": a["score"]},
    "traced by name": lambda a: {"traced.cat": a["traced.0"]},
    "traced below 0": lambda a: {"traced.-1": a["traced.0"]},
    "traced of a long number": lambda a: {f"traced.{10**12}": a["traced.0"]},
    "order twice the same": lambda a: {"order": a["order"] * 0},
    "order beyond the regions": lambda a: {"order": a["order"] + 99},
    "order below 0": lambda a: {"order": a["order"] - 1},
    "order of floats": lambda a: {"order": a["order"].astype(float)},
    "order of two axes": lambda a: {"order": a["order"][None]},
    "order of no axis": lambda a: {"order": a["order"][0]},
    "a score too few": lambda a: {"score": a["score"][1:]},
    "a curve of 3 points": lambda a: {"insertion": a["insertion"][:3]},
    "curves of text": lambda a: {"deletion": a["deletion"].astype(str)},
    "curves of complex numbers": lambda a: {"deletion": a["deletion"].astype(complex)},
    "curves of dates": lambda a: {"deletion": a["deletion"].astype("M8[s]")},
    "curves of Python objects": lambda a: {"deletion": a["deletion"].astype(object)},
    "curves of fields": lambda a: {"deletion": a["deletion"].view([("x", "f4")])},
    "area of NaN": lambda a: {"area": a["area"] * np.nan},
    "area that falls": lambda a: {"area": a["area"][::-1]},
    "area beyond 1": lambda a: {"area": a["area"] * 2},
    "labels of 2^40": lambda a: {"labels": a["labels"].astype(np.int64) + 2**40},
    "labels of 2^31 - 2": lambda a: {"labels": a["labels"].astype(np.int64) + 2**31 - 2},
    "labels of floats": lambda a: {"labels": a["labels"] * np.nan},
    "labels below -1": lambda a: {"labels": a["labels"] - 2},
    "no region": lambda a: {"labels": a["labels"] * 0 - 1},
    "labels of nothing": lambda a: {"labels": a["labels"][:0]},
    "predicted of three rows": lambda a: {"predicted": a["predicted"][[0, 1, 1]]},
    "predicted below -1": lambda a: {"predicted": a["predicted"] - 9},
    "attribution of another length": lambda a: {"attribution": a["score"][1:]},
    "traced of one row": lambda a: {"traced.0": a["traced.0"][0]},
    "a reading of another length": lambda a: {"reading.iou": a["traced.0"][:, 1:]},
    "a reading of one axis": lambda a: {"reading.iou": a["score"]},
}


@pytest.mark.parametrize("case", FORGED)
def test_what_is_no_explanation_is_refused_by_name(case, arrays, tmp_path):
    np.savez(tmp_path / "x.npz", **{**arrays, **FORGED[case](arrays)})
    with pytest.raises(StoreError, match=r"x\.npz is not a saved explanation: "):
        pysmdl.load(tmp_path / "x.npz")


def test_a_file_of_schema_1_is_read(tmp_path):
    """As 0.1.0 wrote it: NaN and infinity in its notes, an order that was cut short at once."""
    curve = np.array([0.25], np.float32)
    text = '{"schema": 1, "id": "a.png", "index": 3, "target": 7, "evaluations": 2, "asked": 2, "seconds": 0.5, '
    text += '"violations": 0, "notes": {"search": "exact", "largest_growth": NaN, "kernel": Infinity}}'
    np.savez_compressed(
        tmp_path / "x.npz",
        meta=np.array(text),
        order=np.zeros(0, np.int64),
        score=curve[:0],
        insertion=curve,
        deletion=curve,
        area=curve * 0,
        labels=np.arange(4, dtype=np.int16).reshape(2, 2) - 1,
        predicted=np.full((2, 1), -1),
        **{"terms.confidence": curve[:0], "traced.5": np.stack((curve, curve)), "reading.xyxy": np.zeros((2, 1, 4))},
    )
    found = pysmdl.load(tmp_path / "x.npz")
    assert (found.id, found.index, found.target, found.n, found.labels.dtype) == ("a.png", 3, 7, 3, np.int32)
    assert found.notes["kernel"] == float("inf")
    assert found.traced[5].shape == (2, 1)
    assert json.loads(found.to_json())["notes"] == {"search": "exact", "largest_growth": None, "kernel": None}
    found.save(tmp_path / "y.npz")
    assert pysmdl.load(tmp_path / "y.npz").notes["kernel"] is None


@pytest.mark.parametrize("kind", ["foreign byte order", "Fortran's order", "double precision"])
def test_arrays_of_other_forms_mean_the_same(kind, arrays, tmp_path):
    change = {
        "foreign byte order": lambda a: a.astype(a.dtype.newbyteorder(">")),
        "Fortran's order": np.asfortranarray,
        "double precision": lambda a: a.astype({"f": np.float64, "i": np.int64, "u": np.uint8}[a.dtype.kind]),
    }[kind]
    np.savez(tmp_path / "x.npz", **{name: a if name == "meta" else change(a) for name, a in arrays.items()})
    found = pysmdl.load(tmp_path / "x.npz")
    np.testing.assert_array_equal(found.labels, arrays["labels"])
    np.testing.assert_array_equal(found.insertion, arrays["insertion"])
    assert found.insertion.dtype.isnative


@pytest.mark.parametrize("kind", ["box", "tokens", "features", "own"])
def test_targets_of_every_kind_are_read(kind, tmp_path):
    target = {
        "box": {"xyxy": [1.5, 2, 3, 4], "labels": [0, 3], "mode": "iou"},
        "tokens": {"positions": [0, 2], "ids": None},
        "features": [0.5, -1.25],
        "own": "how red it is",
    }[kind]
    made([0, 1], [1, 0], target=target).save(tmp_path / "x.npz")
    assert pysmdl.load(tmp_path / "x.npz").target == target


def bomb(path, name: str, shape, descr: str = "|i1", times: int = 32) -> None:
    """Zeros of times x 16 MiB under a header of one's own."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w", force_zip64=True) as file:
        file.write(header.getvalue())
        for _ in range(times):
            file.write(b"\0" * (1 << 24))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shape", "descr"),
    [
        ("labels.npy", (1 << 29,), "|i1"),
        ("order.npy", (1 << 29,), "|i1"),
        ("x.npy", (1 << 29,), "|i1"),
        ("meta.npy", (), "<U134217728"),
        ("labels.npy", (2,), "|i1"),  # says less than there is
        ("labels.npy", (1 << 40, 1 << 40), "|i1"),
        ("labels.npy", (1 << 62, 4, 0), "|i1"),
    ],
)
def test_a_bomb_is_not_unpacked(name, shape, descr, arrays, tmp_path):
    others = {key: value for key, value in arrays.items() if f"{key}.npy" != name}
    np.savez(tmp_path / "x.npz", **others)
    bomb(tmp_path / "x.npz", name, shape, descr)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(StoreError):
        pysmdl.load(tmp_path / "x.npz")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # KiB


def test_what_is_large_and_trusted_is_read_when_that_is_said(tmp_path):
    found = made([0, 1], [1, 0], labels=np.zeros((1000, 1000)))
    found.save(tmp_path / "x.npz")
    with pytest.raises(StoreError, match=r"it unpacks to 5\d+ bytes; if you trust it, raise limit_bytes"):
        pysmdl.load(tmp_path / "x.npz", limit_bytes=1 << 20)
    assert pysmdl.load(tmp_path / "x.npz").labels.shape == (1000, 1000)


def test_archives_that_are_odd_are_refused(arrays, tmp_path):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(tmp_path / "x.npz", "a") as archive:
        archive.writestr("order.npy", archive.read("order.npy"))
    with pytest.raises(StoreError, match=r"each once; got 'order\.npy'"):
        pysmdl.load(tmp_path / "x.npz")
    with zipfile.ZipFile(tmp_path / "y.npz", "w") as archive:
        archive.writestr("readme.txt", "no array")
    with pytest.raises(StoreError, match=r"must hold arrays"):
        pysmdl.load(tmp_path / "y.npz")


def test_a_damaged_file_is_refused_or_read_and_nothing_else(arrays, tmp_path, rng):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    whole = buffer.getvalue()
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        (tmp_path / "x.npz").write_bytes(damaged[: rng.integers(1, 2 * len(whole))])
        with suppress(StoreError):
            pysmdl.load(tmp_path / "x.npz")


def test_what_is_no_ordinary_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    for path in (tmp_path / "pipe.npz", tmp_path, "/dev/zero"):
        with pytest.raises(StoreError, match="Not an ordinary file"):
            pysmdl.load(path)


SCHEMA_1 = Path(__file__).parent / "stored" / "schema1.npz"


def test_a_file_of_schema_1_loads():
    found = pysmdl.load(SCHEMA_1)
    assert found.order.tolist() == [13, 15, 7, 4, 14, 12, 2, 6, 1, 3, 10, 9, 5, 0, 11, 8]
    assert found.insertion_auc == pytest.approx(0.8695726, abs=1e-6)
    assert (found.id, found.target, found.names, found.size, found.pixels) == ("scene2", 2, {}, None, None)
    assert found.values().sum() == pytest.approx(float(found.insertion[-1] - found.insertion[0]), abs=1e-6)
    found.plot(pixels=builtin.images()[2]["path"])


def test_a_file_of_schema_2_loads():
    found = pysmdl.load(SCHEMA_1.with_name("schema2.npz"))
    assert found.order.tolist() == [3, 2, 1, 0]
    assert (found.id, found.target, found.size, found.provenance["regions"]) == ("scene2", 2, (64, 64), "grid:4")
    assert (found.players, found.groups, found.modality, found.shown, found.rate) == ((), (), "image", None, None)


@pytest.mark.parametrize(
    ("schema", "names"),
    [
        (1, "'cover', 'frame', 'groups', 'inputs', 'modality', 'names', 'players', 'provenance', 'rate', 'size'"),
        (2, "'cover', 'groups', 'inputs', 'modality', 'players', 'rate'"),
        (3, "'cover', 'inputs'"),
    ],
)
def test_what_a_schema_added_is_no_part_of_those_before(schema, names, arrays, tmp_path):
    np.savez(tmp_path / "x.npz", **{**arrays, **meta(arrays, schema=schema)})
    with pytest.raises(StoreError, match=rf"meta must not hold \[{names}\]"):
        pysmdl.load(tmp_path / "x.npz")


@pytest.mark.parametrize("picture", [b"", b"GIF89a", b"RIFF1234WEBPVP8 ", b"x" * 1000], ids=len)
def test_a_picture_that_is_none_is_refused(picture, arrays, tmp_path):
    np.savez(tmp_path / "x.npz", **{**arrays, "picture": np.frombuffer(picture, np.uint8)})
    with pytest.raises(StoreError, match="picture must be a small WebP or PNG"):
        pysmdl.load(tmp_path / "x.npz")


def test_a_picture_that_announces_gigapixels_is_refused(arrays, tmp_path):
    buffer = io.BytesIO()
    Image.new("L", (5000, 5000)).save(buffer, "PNG")
    np.savez(tmp_path / "x.npz", **{**arrays, "picture": np.frombuffer(buffer.getvalue(), np.uint8)})
    with pytest.raises(StoreError, match="5000 x 5000 pixels"):
        pysmdl.load(tmp_path / "x.npz")


@pytest.mark.parametrize("shape", [(3000, 2000), (50, 4000), (7, 5), (224, 224)], ids=str)
def test_the_picture_that_is_kept_is_small(shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    packed = thumbnails.encode(noise)
    assert len(packed) <= 30_000
    back = thumbnails.decode(packed)
    assert max(back.shape) <= 384
    assert back.shape[0] / back.shape[1] == pytest.approx(shape[0] / shape[1], rel=0.2)


def test_a_file_without_its_picture_is_small(tmp_path):
    pixels = np.asarray(Image.open(builtin.images()[2]["path"]).convert("RGB").resize((224, 224)))
    means = lambda batch: batch[:, :, ::16, ::16].flatten(1)[:, :10]  # noqa: E731
    found = pysmdl.explain(pixels, means, 1, regions="slico:49", trace=["predicted"], objective="lima", progress=False)
    assert found.n > 40
    found.save(tmp_path / "x.npz", picture=False)
    assert (tmp_path / "x.npz").stat().st_size < 12_000
    found.save(tmp_path / "y.npz")
    assert (tmp_path / "y.npz").stat().st_size < 42_000
