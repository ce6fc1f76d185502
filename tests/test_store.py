"""The store of a job: what its parts hold, who can read them, and what happens to one that is damaged."""

from __future__ import annotations

import json
import os
import zlib
from importlib.util import find_spec

import numpy as np
import pyarrow.parquet as pq
import pytest
from command_line import call
from job_runs import MODEL, SETTINGS, equal, items, job

import pysmdl
from pysmdl import builtin, jobs
from pysmdl.errors import StoreError
from pysmdl.jobs import schema
from pysmdl.jobs.parts import content_of
from pysmdl.jobs.places import Folder
from pysmdl.jobs.rows import explanation_of, row_of

from toys import explain, image, linear_model

COLUMNS = (
    "id", "source", "group", "target", "target_class", "said", "regions", "order", "score", "insertion", "deletion",
    "area", "terms", "values", "predicted", "traced", "attribution", "insertion_auc", "deletion_auc", "index",
    "evaluations", "asked", "seconds", "violations", "labels", "labels_shape", "labels_bytes", "reading", "picture",
    "notes", "names", "frame", "size", "provenance", "input", "shown",
)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("stores") / "store"
    job(items(10), path, rows=4)
    return path


def parts_of(path):
    return sorted((path / "parts").glob("*.parquet"))


def test_the_columns_are_pinned():
    assert tuple(schema.part().names) == COLUMNS
    assert schema.failure().names == ["id", "source", "group", "error", "traceback", "attempts", "settled"]


EXPLAINED = {
    "a class": lambda: explain(linear_model()),
    "traced along": lambda: explain(linear_model(), trace=[0, 2, "predicted"]),
    "a method that gives an attribution": lambda: explain(linear_model(), search="lime", evaluations=60),
    "a part of an order": lambda: explain(linear_model(), k=3, search="exact"),
    "the papers' terms": lambda: pysmdl.explain(
        builtin.images()[0]["path"], builtin.load("digits"), preset="smdl", regions="grid:9", progress=False
    ),
    "a box": lambda: pysmdl.explain(
        image(0), pysmdl.scorers.detector(boxes), pysmdl.Box((2, 2, 9, 9), 0), regions="grid:9", progress=False
    ),
    "names and groups": lambda: pysmdl.explain(
        np.ones(4),
        pysmdl.scorers.scalar(lambda batch: batch.sum(1)),
        progress=False,
        players=pysmdl.regions.players(list("abcd"), list("xxyy")),
    ),
    "masks that overlap": lambda: explain(
        linear_model(), regions=pysmdl.regions.overlapping(np.ones((3, 12, 12), bool))
    ),
    "always shown points": lambda: explain(
        linear_model(), regions=np.where(np.arange(144).reshape(12, 12) < 20, -1, np.arange(144).reshape(12, 12) // 36)
    ),
}


def boxes(batch):
    import torch

    scores = batch.mean((1, 2, 3)).sigmoid()[:, None, None].expand(-1, 2, 2)
    return torch.tensor([[2.0, 2, 9, 9], [0, 0, 5, 5]]).expand(len(batch), 2, 4), scores


@pytest.mark.parametrize("picture", [True, False])
@pytest.mark.parametrize("made", EXPLAINED.values(), ids=EXPLAINED)
def test_a_row_gives_what_a_file_gives(made, picture, tmp_path):
    found = made()
    found.id = "an id"
    found.save(tmp_path / "x.npz", picture=picture)
    loaded = pysmdl.load(tmp_path / "x.npz")
    (tmp_path / "x.parquet").write_bytes(content_of([row_of(found, "an id", picture=picture)], schema.part()))
    stored = explanation_of(pq.read_table(tmp_path / "x.parquet").to_pylist()[0], "here")
    for name, value in vars(loaded).items():
        assert same(getattr(stored, name), value), name


def same(first, second) -> bool:
    if isinstance(second, np.ndarray):
        return first.dtype == second.dtype and np.array_equal(first, second, equal_nan=second.dtype.kind == "f")
    if isinstance(second, dict):
        return list(first) == list(second) and all(same(first[name], each) for name, each in second.items())
    return type(first) is type(second) and first == second


def test_a_store_is_read_as_a_mapping(store):
    found = pysmdl.open_store(store)
    assert len(found) == 10
    assert sorted(found.ids, key=int) == [str(number) for number in range(10)]
    assert "3" in found
    assert "11" not in found
    with pytest.raises(KeyError):
        found["11"]
    direct = {each.id: each for each in pysmdl.explain_many(items(10), MODEL, **SETTINGS)}
    assert {each.id for each in found} == set(direct)
    assert all(equal(each, direct[each.id]) for each in found)
    assert equal(found["7"], direct["7"])
    assert found.failures == {}
    assert found.job["settings"]["regions"] == "grid:9"


def test_the_frame_has_columns_without_arrays(store):
    frame = pysmdl.open_store(store).frame()
    assert len(frame) == 10
    assert {"id", "target_class", "insertion_auc", "evaluations"} <= set(frame.columns)
    assert not {"order", "labels", "insertion"} & set(frame.columns)
    assert (frame["regions"] == 9).all()


def test_pandas_duckdb_and_polars_read_parts_without_pysmdl(store):
    pandas, duckdb, polars = (pytest.importorskip(name) for name in ("pandas", "duckdb", "polars"))
    direct = pysmdl.open_store(store)["4"]
    frame = pandas.read_parquet(store / "parts")
    row = frame[frame["id"] == "4"].iloc[0]
    assert list(row["order"]) == direct.order.tolist()
    labels = np.frombuffer(zlib.decompress(row["labels"]), f"<i{row['labels_bytes']}").reshape(row["labels_shape"])
    assert np.array_equal(labels, direct.labels)
    (said,) = duckdb.sql(f"select count(*), avg(insertion_auc) from '{store}/parts/*.parquet'").fetchall()
    assert said == (10, pytest.approx(frame["insertion_auc"].mean()))
    ((best,),) = duckdb.sql(f"select \"order\"[1] from '{store}/parts/*.parquet' where id = '4'").fetchall()
    assert best == direct.order[0]
    table = polars.read_parquet(f"{store}/parts/*.parquet")
    assert table.filter(polars.col("id") == "4")["evaluations"].item() == direct.evaluations


def test_a_row_of_49_regions_takes_six_kilobytes_at_most(tmp_path):
    scorer = pysmdl.scorers.classifier(lambda batch: batch.mean((2, 3)), size=224)
    picture = np.kron(image(0, 56, 56), np.ones((8, 8, 1), np.uint8))
    found = pysmdl.explain(picture, scorer, regions="slico:49", search="exact", k=1, progress=False)
    n = found.n
    assert 40 <= n <= 60
    dice = np.random.default_rng(0)
    rows = []
    for number in range(64):  # curves that do not repeat
        curves = {name: dice.random(n + 1).astype(np.float32) for name in ("insertion", "deletion", "area")}
        found = pysmdl.Explanation(**{**vars(found), **curves, "order": dice.permutation(n).astype(np.int64)})
        found.score = dice.random(n).astype(np.float32)
        found.terms = {name: dice.random(n).astype(np.float32) for name in ("kept", "removed")}
        found.predicted = dice.integers(0, 3, (2, n + 1))
        rows.append(row_of(found, f"folder/picture-{number}.jpg"))
    assert len(content_of(rows, schema.part())) / len(rows) <= 6000


def test_compact_makes_one_part_of_many_and_loses_nothing(tmp_path):
    job(items(10), tmp_path / "s", rows=2)
    before = {each.id: each for each in pysmdl.open_store(tmp_path / "s")}
    assert len(parts_of(tmp_path / "s")) >= 5
    assert call("store", "compact", tmp_path / "s") == (0, f"1 parts remain in {tmp_path / 's'}\n")
    found = pysmdl.open_store(tmp_path / "s")
    assert found.verify().problems == ()
    assert {each.id for each in found} == set(before)
    assert all(equal(each, before[each.id]) for each in found)
    assert found.compact() == 1  # nothing more to do


def test_what_is_read_while_it_is_compacted_says_so(tmp_path):
    job(items(3), tmp_path / "s", rows=1)
    reading = iter(pysmdl.open_store(tmp_path / "s"))
    next(reading)
    pysmdl.open_store(tmp_path / "s").compact()
    with pytest.raises(StoreError, match="is gone: what was compacted meanwhile is opened anew"):
        list(reading)


def test_a_run_may_begin_while_its_store_is_compacted(tmp_path, monkeypatch):
    job([*items(6), {"image": str(tmp_path / "none.png"), "id": "bad"}], tmp_path / "s", rows=2)
    before = {folder: Folder(str(tmp_path / "s")).names(folder) for folder in ("parts", "failures")}
    pysmdl.open_store(tmp_path / "s").compact()
    names = Folder.names
    stale = lambda place, folder, *suffix: before.pop(folder, None) or names(place, folder, *suffix)  # noqa: E731
    monkeypatch.setattr(Folder, "names", stale)
    assert job(items(7), tmp_path / "s").explained == 1
    assert len(pysmdl.open_store(tmp_path / "s")) == 7


def test_two_do_not_compact_at_once(tmp_path):
    job(items(3), tmp_path / "s", rows=1)
    with (
        Folder(str(tmp_path / "s")).held("compact"),
        pytest.raises(StoreError, match="another run is at work on this share"),
    ):
        pysmdl.open_store(tmp_path / "s").compact()


def test_rows_that_a_killed_compact_left_twice_are_read_once_and_go_with_the_next(tmp_path):
    job(items(4), tmp_path / "s", rows=2)
    old = [(path, path.read_bytes()) for path in parts_of(tmp_path / "s")]
    pysmdl.open_store(tmp_path / "s").compact()
    for path, content in old[:1]:
        path.write_bytes(content)
    found = pysmdl.open_store(tmp_path / "s")
    assert len(found) == len(list(found)) == len(found.table()) == 4
    assert "is there 2 times" in " ".join(found.verify().problems)
    found.compact()
    assert pysmdl.open_store(tmp_path / "s").verify().problems == ()
    assert len(pysmdl.open_store(tmp_path / "s")) == 4


def test_verify_finds_a_bit_that_changed_wherever_it_is(tmp_path, rng):
    job(items(6), tmp_path / "s")
    (part,) = parts_of(tmp_path / "s")
    whole = part.read_bytes()
    for place in rng.integers(0, len(whole), 40):
        content = bytearray(whole)
        content[place] ^= 1 << rng.integers(8)
        part.write_bytes(content)
        assert part.name in " ".join(pysmdl.open_store(tmp_path / "s").verify().problems)
    code, said = call("store", "verify", tmp_path / "s")
    assert code == 1
    assert part.name in said
    part.write_bytes(whole)
    job(items(8), tmp_path / "s")
    part.write_bytes(content)
    with pytest.raises(StoreError, match=part.name):  # else what is damaged got a checksum of its own
        pysmdl.open_store(tmp_path / "s").compact()
    part.rename(part.with_name(f"{part.name[:-17]}.parquet")).write_bytes(whole)  # as those of before were called
    assert pysmdl.open_store(tmp_path / "s").verify().problems == ()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"\x00" * 300])
def test_a_part_that_is_none_is_named(content, tmp_path):
    job(items(2), tmp_path / "s")
    (tmp_path / "s" / "parts" / "x.parquet").write_bytes(content)
    with pytest.raises(StoreError, match=r"x\.parquet is no part of a store"):
        len(pysmdl.open_store(tmp_path / "s"))
    assert len(pysmdl.open_store(tmp_path / "s").verify().problems) == 1


def test_a_part_with_other_columns_is_named(tmp_path):
    job(items(2), tmp_path / "s")
    (part,) = parts_of(tmp_path / "s")
    pq.write_table(pq.read_table(part).drop_columns(["asked"]), part)
    assert "has other columns" in pysmdl.open_store(tmp_path / "s").verify().problems[0]


def test_a_folder_that_is_no_store_is_refused(tmp_path):
    with pytest.raises(StoreError, match=r"is no store: it has no job\.json"):
        pysmdl.open_store(tmp_path)
    (tmp_path / "job.json").write_text(json.dumps({"store": 99}))
    with pytest.raises(StoreError, match="newer pysmdl"):
        pysmdl.open_store(tmp_path)
    (tmp_path / "job.json").write_text("[")
    for content in ("[", "{}", "[1]", '{"store": 1, "settings": 3}'):
        (tmp_path / "job.json").write_text(content)
        with pytest.raises(StoreError, match=r"job\.json is damaged, or of something else"):
            pysmdl.open_store(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file is no store: it has no job\.json"):
        pysmdl.open_store(tmp_path / "file")


@pytest.mark.parametrize(
    ("store", "message"),
    [
        ("", 'store must be a folder, or an address as "s3://..."; got \'\''),
        (3, "store must be a folder, or an address .*; got 3"),
        ("nosuch://bucket/store", "an address that fsspec knows; nosuch://bucket/store: Protocol not known"),
        pytest.param(
            "gs://bucket/store", "The store gs://bucket/store needs another package",
            marks=pytest.mark.skipif(find_spec("gcsfs") is not None, reason="gcsfs is there"),
        ),
    ],
)  # fmt: skip
def test_what_is_no_place_of_a_store_is_refused_with_what_would_be(store, message):
    for use in (pysmdl.open_store, lambda place: job(items(1), place)):
        with pytest.raises((ValueError, ImportError), match=message):
            use(store)


def test_a_store_may_be_in_a_home_and_never_in_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert job(items(1), "~/my störe").explained == 1
    assert len(pysmdl.open_store(tmp_path / "my störe")) == 1
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file must be a folder; what is there is none"):
        job(items(1), tmp_path / "file")


def test_a_store_may_be_an_address_of_fsspec():
    fsspec = pytest.importorskip("fsspec")
    address = f"memory://store-{os.getpid()}"
    assert job(items(5), address, rows=2).explained == 5
    assert job(items(7), address, rows=2).explained == 2
    found = pysmdl.open_store(address)
    assert found.verify().problems == ()
    assert len(found) == 7
    found.compact()
    assert len(pysmdl.open_store(address)) == 7
    fsspec.filesystem("memory").rm(f"/store-{os.getpid()}", recursive=True)


def test_stores_and_images_are_not_compared_and_a_store_is_no_input(tmp_path):
    job(items(1), tmp_path / "s")
    code, said = call("eval", tmp_path / "s", builtin.images()[0]["path"], "--out", tmp_path / "out")
    assert code == 2
    assert f"images must all be images, or all be stores; {tmp_path / 's'} is a store" in said
    with pytest.raises(ValueError, match=r"inputs must be what is explained; .* is a store"):
        job(tmp_path / "s", tmp_path / "t")


def test_a_report_and_the_metrics_read_a_store(tmp_path):
    scenes = [scene["path"] for scene in builtin.images()[:2]]
    settings = {**SETTINGS, "regions": "grid:4"}
    jobs.run(scenes, builtin.load("digits"), tmp_path / "s", **settings)
    assert call("report", tmp_path / "s", "--out", tmp_path / "r.html")[0] == 0
    assert (tmp_path / "r.html").read_text().count("data:image/webp") >= 2  # read again from where they are
    assert pysmdl.report(pysmdl.open_store(tmp_path / "s"), tmp_path / "r.html") == 2
    rows = list(pysmdl.open_store(tmp_path / "s").metrics())
    assert rows[0]["insertion_auc"] == pysmdl.open_store(tmp_path / "s")[rows[0]["id"]].insertion_auc
    code, said = call("eval", tmp_path / "s", "--out", tmp_path / "table")
    assert code == 0
    assert len((tmp_path / "table" / "evaluation.csv").read_text().splitlines()) == 3
    code, said = call("store", "show", tmp_path / "s")
    assert code == 0
    assert "2 explanations, 0 failures" in said


def test_diff_says_who_changed_and_by_how_much(tmp_path):
    job(items(3), tmp_path / "a")
    job(items(3, start=1), tmp_path / "b")
    jobs.run(items(3), linear_model(seed=1), tmp_path / "c", **SETTINGS)
    same = {row["id"]: row for row in jobs.diff(tmp_path / "a", tmp_path / "b")}
    assert {id: row["in"] for id, row in same.items()} == {"0": "a", "1": "both", "2": "both", "3": "b"}
    assert same["1"]["order"] == pytest.approx(1)
    assert same["1"]["insertion_auc"] == 0
    other = list(jobs.diff(pysmdl.open_store(tmp_path / "a"), tmp_path / "c"))
    assert all(-1 <= row["values"] < 0.99 for row in other)
    assert any(row["insertion_auc"] != 0 for row in other)
