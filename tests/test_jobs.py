"""Jobs: what they take as inputs, how they go on, and what happens when something fails."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import tarfile
import threading
import time
import urllib.request
from dataclasses import replace

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from command_line import ANSWER, call, module, saved
from job_runs import MODEL, SETTINGS, Forked, equal, items, job, pictures
from PIL import Image
from rich.console import Console

import pysmdl
from pysmdl import builtin, jobs
from pysmdl.errors import StoreError
from pysmdl.jobs.sources import entries_of
from pysmdl.jobs.telling import table

from toys import image

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0  # may write anywhere


def test_the_same_call_again_goes_on_where_it_was(tmp_path):
    seen = []

    def model(batch):
        seen.append(len(batch))
        return MODEL(batch)

    assert jobs.run(items(6), model, tmp_path / "s", limit=4, **SETTINGS) == jobs.Outcome(4, 0, 0, False)
    first = sum(seen)
    assert jobs.run(items(6), model, tmp_path / "s", **SETTINGS) == jobs.Outcome(2, 0, 4, False)
    assert sum(seen) - first == pytest.approx(first / 2, rel=0.2)
    rows = sum(seen)
    assert jobs.run(items(6), model, tmp_path / "s", **SETTINGS) == jobs.Outcome(0, 0, 6, False)
    assert sum(seen) == rows
    found = pysmdl.open_store(tmp_path / "s")
    assert found.verify().problems == ()
    whole = {each.id: each for each in pysmdl.explain_many(items(6), MODEL, **SETTINGS)}
    assert {each.id for each in found} == set(whole)
    assert all(equal(each, whole[each.id]) for each in found)


def test_other_settings_in_the_same_store_are_refused_with_what_differs(tmp_path):
    job(items(2), tmp_path / "s")
    with pytest.raises(StoreError, match=r'regions "grid:9", now "grid:4"; take a new one'):
        job(items(2), tmp_path / "s", regions="grid:4")
    with pytest.raises(StoreError, match="k null, now 3"):
        job(items(2), tmp_path / "s", k=3)
    told = jobs.Factory(lambda prompt: MODEL, prompt="what is it?")
    with pytest.raises(StoreError, match=r'model.s prompt null, now "what is it\?"'):
        jobs.run(items(2), told, tmp_path / "s", **SETTINGS)
    scorer = builtin.load("digits")
    other = builtin.load("digits")
    with torch.no_grad():
        next(iter(other.model.modules[0].parameters())).mul_(1.5)
    scenes = [builtin.images()[0]["path"]]
    jobs.run(scenes, scorer, tmp_path / "d", **{**SETTINGS, "regions": "grid:4"})
    with pytest.raises(StoreError, match="model's weights"):
        jobs.run(scenes, other, tmp_path / "d", **{**SETTINGS, "regions": "grid:4"})


def test_ids_must_be_unique(tmp_path):
    with pytest.raises(ValueError, match="ids must be unique; '1' is there twice"):
        job([*items(2), items(2)[1]], tmp_path / "s")
    twice = (each for each in [*items(2), items(2)[1]])  # of a stream it is known at its turn, and what came is kept
    with pytest.raises(ValueError, match="'1' is there twice"):
        job(twice, tmp_path / "t")
    assert len(pysmdl.open_store(tmp_path / "t")) == 2


def test_shards_share_the_inputs_out_and_one_store_takes_all(tmp_path):
    shares = [job(items(20), tmp_path / "s", shard=(number, 3)).explained for number in (1, 2, 3)]
    assert sum(shares) == 20
    assert min(shares) > 0
    found = pysmdl.open_store(tmp_path / "s")
    assert len(found) == 20
    assert found.verify().problems == ()
    for wrong in ((0, 3), (4, 3)):
        with pytest.raises(ValueError, match="shard must be"):
            job(items(2), tmp_path / "s", shard=wrong)


def test_shuffle_changes_the_order_and_nothing_else(tmp_path):
    job(items(12), tmp_path / "a", config=pysmdl.EngineConfig(max_searches=1))
    job(items(12), tmp_path / "b", shuffle=3, config=pysmdl.EngineConfig(max_searches=1))
    a, b = (pysmdl.open_store(tmp_path / name) for name in "ab")
    assert a.ids != b.ids
    assert set(a.ids) == set(b.ids)
    assert all(equal(a[id], b[id]) for id in a.ids)


def test_two_runs_of_one_share_at_once_are_refused(tmp_path):
    def slow():
        for each in items(2):
            with pytest.raises(StoreError, match="another run is at work"):
                job(items(2), tmp_path / "s")
            yield each

    assert job(slow(), tmp_path / "s").explained == 2


def test_inputs_that_fail_take_no_others_along_and_are_tried_again_when_asked(tmp_path):
    broken = [True]

    def model(batch):
        if broken[0] and (batch[:, 0, 0, 0] == 1).any():
            raise RuntimeError("a bad input")
        return MODEL(batch)

    given = items(6)
    for each in given:
        each["image"][0, 0] = 7
    given[2]["image"][:] = 255
    given[4] = {"image": str(tmp_path / "missing.png"), "id": "4"}
    outcome = jobs.run(given, model, tmp_path / "s", **SETTINGS)
    assert (outcome.explained, outcome.failed) == (4, 2)
    failures = pysmdl.open_store(tmp_path / "s").failures
    assert set(failures) == {"2", "4"}
    assert "a bad input" in failures["2"].error
    assert "Traceback" in failures["2"].traceback
    assert "no such image" in failures["4"].error
    assert jobs.run(given, model, tmp_path / "s", **SETTINGS).failed == 0  # not tried again
    broken[0] = False
    again = jobs.run(given, model, tmp_path / "s", retry_failed=True, **SETTINGS)
    assert (again.explained, again.failed, again.before) == (1, 1, 4)
    left = pysmdl.open_store(tmp_path / "s").failures
    assert {id: each.attempts for id, each in left.items()} == {"4": 2}


def test_what_was_settled_of_a_failure_is_kept(tmp_path):
    calls = []

    def model(batch):
        calls.append(1)
        if len(calls) > 12:
            raise RuntimeError("no more")
        return MODEL(batch)

    outcome = jobs.run(items(1), model, tmp_path / "s", batch_size=4, **SETTINGS)
    assert outcome.failed == 1
    (failure,) = pysmdl.open_store(tmp_path / "s").failures.values()
    assert failure.settled is not None
    assert 0 < len(failure.settled.order) <= 9


def manifest_rows(folder, count=6):
    names = [path.name for path in pictures(folder, count)]
    rows = enumerate(f"pictures/{name}" for name in names)
    return [{"image": name, "target": seed % 2, "id": f"row {seed}", "group": f"{seed % 2}"} for seed, name in rows]


def write_manifest(kind, folder, rows):
    path = folder / f"manifest.{kind}"
    if kind == "csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    elif kind == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_manifests_name_images_targets_ids_and_groups(kind, tmp_path):
    path = write_manifest(kind, tmp_path, manifest_rows(tmp_path))
    assert job(path, tmp_path / "s").explained == 6
    found = pysmdl.open_store(tmp_path / "s")
    assert set(found.ids) == {f"row {seed}" for seed in range(6)}
    assert found["row 3"].target == 1
    groups = dict(zip(*(found.table()[name].to_pylist() for name in ("id", "group")), strict=True))
    assert groups["row 3"] == "1"


def test_three_bad_rows_of_fifty_are_failures_and_the_rest_goes_on(tmp_path):
    rows = manifest_rows(tmp_path, 50)
    rows[3]["image"], rows[20]["image"] = "pictures/none.png", ""
    path = write_manifest("jsonl", tmp_path, rows)
    lines = path.read_text().splitlines()
    lines[40] = lines[40][:20]
    path.write_text("\n".join(lines))
    outcome = job(path, tmp_path / "s")
    assert (outcome.explained, outcome.failed) == (47, 3)
    failures = pysmdl.open_store(tmp_path / "s").failures
    assert set(failures) == {"row 3", "row 20", f"{path}:41"}
    assert "is no JSON" in failures[f"{path}:41"].error
    assert "has no image" in failures["row 20"].error


def test_a_manifest_may_give_boxes_and_regions(tmp_path):
    rows = manifest_rows(tmp_path, 3)
    np.save(tmp_path / "map.npy", np.arange(144).reshape(12, 12) // 48)
    rows[0] |= {"regions": "map.npy"}
    rows[1] |= {"regions": "grid:4"}
    rows[2] |= {"target": json.dumps({"xyxy": [0, 0, 5, 5], "labels": [1]})}
    entries = entries_of(write_manifest("csv", tmp_path, [{"regions": "", **row} for row in rows]))
    assert entries[2].rest["target"] == pysmdl.Box((0, 0, 5, 5), 1)
    job(write_manifest("jsonl", tmp_path, rows[:2]), tmp_path / "s")
    found = pysmdl.open_store(tmp_path / "s")
    assert {id: found[id].n for id in found.ids} == {"row 0": 3, "row 1": 4}


def test_a_manifest_without_images_is_refused(tmp_path):
    (tmp_path / "m.csv").write_text("file,target\na.png,1\n")
    with pytest.raises(ValueError, match="must have a column image, audio, text, messages or row; it has file, target"):
        job(tmp_path / "m.csv", tmp_path / "s")


PRAISE = pysmdl.scorers.string(lambda texts: [text.count("good") - 0.5 * text.count("bad") for text in texts])
WEIGHED = pysmdl.scorers.table(lambda rows: rows @ np.array([2.0, -1.0, 0.5]), ["age", "debt", "income"])


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_manifests_of_texts(kind, tmp_path):
    texts = ["good, not bad", "bad, bad", "", "so so"]
    rows = [{"text": text, "id": f"row {number}"} for number, text in enumerate(texts)]
    path = write_manifest(kind, tmp_path, rows)
    outcome = jobs.run(path, PRAISE, tmp_path / "s", progress=False)
    assert (outcome.explained, outcome.failed) == (3, 1)
    found = pysmdl.open_store(tmp_path / "s")
    assert found["row 0"].players == ("good, ", "not ", "bad")
    assert found["row 0"].insertion[-1] == 0.5
    assert found["row 0"].order[0] == 0
    assert found.verify().problems == ()
    assert "it has no text" in found.failures["row 2"].error
    assert found.table()["source"].to_pylist()[0].startswith(f"{path}:")


def test_a_manifest_may_hold_chats_and_rows_of_tables(tmp_path):
    chat = [{"role": "user", "content": "was it good?"}, {"role": "assistant", "content": "bad"}]
    path = write_manifest("jsonl", tmp_path, [{"text": chat, "id": "chat"}])
    jobs.run(path, PRAISE, tmp_path / "s", players="messages", progress=False)
    assert pysmdl.open_store(tmp_path / "s")["chat"].n == 2
    rows = [{"row": json.dumps([3, 2, 1])}, {"row": json.dumps({"income": 4, "age": 1, "debt": 0})}, {"row": "[1, 2"}]
    path = write_manifest("csv", tmp_path, rows)
    assert jobs.run(path, WEIGHED, tmp_path / "t", progress=False).failed == 1
    found = pysmdl.open_store(tmp_path / "t")
    assert found[f"{path}:1"].values().tolist() == [6, -2, 0.5]
    assert found[f"{path}:2"].values().tolist() == [2, 0, 2]
    assert found[f"{path}:2"].players == ("age", "debt", "income")


def test_files_of_texts_are_read(tmp_path):
    for number, text in enumerate(("good bad", "good good")):
        (tmp_path / f"{number}.txt").write_text(text)
    assert jobs.run(str(tmp_path / "*.txt"), PRAISE, tmp_path / "s", progress=False).explained == 2
    found = pysmdl.open_store(tmp_path / "s")
    assert [found[f"{tmp_path}/{number}.txt"].insertion[-1] for number in (0, 1)] == [0.5, 2]


@pytest.mark.parametrize("many", [list, iter])
def test_strings_are_texts_where_the_model_reads_these(many, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "story.txt").write_text("good good")
    texts = ["was it good? bad?", "good // bad/", "[good] * good", "x" * 5000]
    assert jobs.run(many(texts), PRAISE, "s", search="exact", progress=False).explained == 4
    found = pysmdl.open_store("s")
    assert set(found.ids) == set(texts)
    assert found["good // bad/"].insertion[-1] == 0.5
    assert set(found.table()["source"].to_pylist()) == {None}
    assert jobs.run("was it good?", PRAISE, "t", progress=False).explained == 1
    assert jobs.run(["story.txt"], PRAISE, "u", progress=False).explained == 1
    assert pysmdl.open_store("u")["story.txt"].n == 2
    with pytest.raises(ValueError, match=r"'stories/\*\.txt' is not a pattern that matches files"):
        jobs.run(["stories/*.txt"], PRAISE, "u", progress=False)
    made = "    return 0\n\n\nimport pysmdl\n\nmodel = pysmdl.scorers.string(lambda texts: [1.0] * len(texts))\n"
    code, said = call("run", "is it good?", "--model", module(tmp_path, monkeypatch, made), "--store", "v")
    assert code == 2
    assert "is not a pattern that matches files" in said


def test_items_may_say_text_or_row_as_manifests_do(tmp_path):
    given = [{"text": "good bad", "id": "a"}, {"text": "bad", "label": None, "players": "words"}]
    assert jobs.run(given, PRAISE, tmp_path / "s", progress=False).explained == 2
    assert [each.n for each in pysmdl.explain_many(given, PRAISE, progress=False)] == [2, 1]
    rows = [{"age": 3, "debt": 2, "income": 1}, {"row": [1, 2, 3], "id": "b"}]
    assert jobs.run(rows, WEIGHED, tmp_path / "t", progress=False).explained == 2
    assert set(pysmdl.open_store(tmp_path / "t").ids) == {"#0", "b"}
    found = list(pysmdl.explain_many(rows, WEIGHED, search="occlusion", progress=False, ordered=True))
    assert found[0].attribution.tolist() == [6, -2, 0.5]
    with pytest.raises(ValueError, match="an item needs image"):
        list(pysmdl.explain_many([{"text": "a", "row": [1]}], PRAISE, progress=False))


def test_frames_are_rows_and_so_are_manifests_with_the_columns_of_a_table(tmp_path):
    pandas = pytest.importorskip("pandas")
    rows = pandas.DataFrame(
        {"income": [1.0, 4], "name": ["ann", "bob"], "age": [3, 1], "debt": [2, 0], "id": ["a", "b"]}
    )
    assert jobs.run(rows, WEIGHED, tmp_path / "s", search="occlusion", progress=False).explained == 2
    assert pysmdl.open_store(tmp_path / "s")["#0"].attribution.tolist() == [6, -2, 0.5]
    rows.to_csv(tmp_path / "m.csv", index=False)
    rows.to_parquet(tmp_path / "m.parquet")
    rows.to_json(tmp_path / "m.jsonl", orient="records", lines=True)
    for kind in ("csv", "parquet", "jsonl"):
        settings = {"search": "occlusion", "progress": False}
        assert jobs.run(tmp_path / f"m.{kind}", WEIGHED, tmp_path / kind, **settings).explained == 2
        assert pysmdl.open_store(tmp_path / kind)["a"].attribution.tolist() == [6, -2, 0.5]


@pytest.mark.parametrize("one", [np.zeros((8, 8, 3), np.uint8), torch.zeros(3, 8, 8)])
def test_a_single_array_is_no_job(one, tmp_path):
    with pytest.raises(ValueError, match=r"inputs must be several; got a single one, .*: put it in a list"):
        job(one, tmp_path / "s")
    with pytest.raises(ValueError, match=r"inputs must be several; got a single one, \[3\]"):
        jobs.run(np.ones(3), WEIGHED, tmp_path / "t", progress=False)


def test_headers_and_numbers_of_a_manifest_are_read_as_they_are_meant(tmp_path):
    saved(tmp_path / "0.png", 0)
    given = "Image, Label ,id,PLAYERS\n0.png,2.0,a,grid:4\n0.png,,b,\n0.png, 1,c,\n0.png,,d,\n"
    (tmp_path / "m.csv").write_text(given)
    found = {each.id: each for each in entries_of(tmp_path / "m.csv")}
    assert [found[id].rest.get("target") for id in "abcd"] == [2, None, 1, None]
    assert found["a"].rest["regions"] == "grid:4"
    (tmp_path / "m.csv").write_text("image,target,label,id\n0.png,,3,a\n")
    assert next(iter(entries_of(tmp_path / "m.csv"))).rest == {"target": 3}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.csv", "image\ncaf\xe9.png\n".encode("latin-1"), "m.csv must be CSV in UTF-8"),
        ("m.csv", "image\na.png\n".encode("utf-16"), "m.csv must be CSV in UTF-8"),
        ("m.parquet", b"PAR1", "m.parquet is no Parquet"),
    ],
)
def test_a_damaged_manifest_is_named(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        job(tmp_path / name, tmp_path / "s")


def test_a_cell_of_a_manifest_may_be_long(tmp_path):
    (tmp_path / "m.csv").write_text("text\n" + "good " * 40_000 + "\n")
    assert jobs.run(tmp_path / "m.csv", PRAISE, tmp_path / "s", players="lines", progress=False).explained == 1


def test_texts_are_read_from_tars_and_data_sets_too(tmp_path):
    parts = {
        "./a.txt": b"good bad",
        "a.json": b'{"label": null, "group": 3}',
        "._a.txt": b"\0",
        "b.png": b"x",
        "b.txt": b"bad",
    }
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        for name, content in parts.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    assert jobs.run(tmp_path / "t.tar", PRAISE, tmp_path / "s", progress=False).explained == 2
    found = pysmdl.open_store(tmp_path / "s")
    assert found[f"{tmp_path}/t.tar/a"].players == ("good ", "bad")
    assert set(found.table()["group"].to_pylist()) == {"3", None}
    rows = pa.table({"image": [b"", b""], "text": ["good bad", None], "label": [None, None]})
    with pa.ipc.new_file(tmp_path / "d.arrow", rows.schema) as writer:
        writer.write_table(rows)
    outcome = jobs.run(tmp_path / "d.arrow", PRAISE, tmp_path / "t", progress=False)
    assert (outcome.explained, outcome.failed) == (1, 1)


def test_a_class_in_a_tar_may_be_a_name_and_a_mask_beside_an_image_is_none(tmp_path):
    parts = {"a.mask.png": png(1), "a.png": png(0), "a.cls": b"two\n", "b.png": png(2), "b.json": b'{"label": 3}'}
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        for name, content in parts.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    first, second = entries_of(tmp_path / "t.tar")
    assert first.rest == {"target": "two"}
    assert (first.image.open() == image(0)).all()
    assert second.rest == {"target": 3}


def test_a_folder_without_images_is_its_sounds_or_its_texts(tmp_path):
    (tmp_path / "notes").mkdir()
    for name in ("b.txt", "a.txt"):
        (tmp_path / "notes" / name).write_text("good")
    assert [each.id for each in entries_of(tmp_path / "notes")] == [f"{tmp_path}/notes/{name}.txt" for name in "ab"]
    (tmp_path / "notes" / "c.WAV").write_bytes(b"")
    assert [each.id for each in entries_of(tmp_path / "notes")] == [f"{tmp_path}/notes/c.WAV"]


def test_half_an_emoji_and_a_files_name_that_is_no_text_stop_nothing(tmp_path, caplog):
    texts = ["good \ud83d day", "bad", {"image": "good", "id": "\udcff", "group": "\udcff"}]
    assert jobs.run(iter(texts), PRAISE, tmp_path / "s", progress=False).explained == 3
    assert jobs.run(iter(texts), PRAISE, tmp_path / "s", progress=False).explained == 0
    found = pysmdl.open_store(tmp_path / "s")
    assert set(found.ids) == {"good \\ud83d day", "bad", "\\xff"}
    assert found["good \\ud83d day"].players == ("good ", "\ud83d ", "day")
    saved(tmp_path / "0.png", 0).rename(tmp_path / os.fsdecode(b"\xff.png"))
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
    assert job([name, name + "x"], tmp_path / "t").explained == 1
    assert pysmdl.open_store(tmp_path / "t").ids == [f"{tmp_path}/\\xff.png"]
    assert "no such image" in pysmdl.open_store(tmp_path / "t").failures[f"{tmp_path}/\\xff.pngx"].error
    assert "no such image" in caplog.text.encode().decode()  # a log's file is UTF-8


def png(seed):
    buffer = io.BytesIO()
    Image.fromarray(image(seed)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_webdataset_is_read_from_its_tar(tmp_path):
    with tarfile.open(tmp_path / "shard-0.tar", "w") as tar:
        for seed in range(5):
            content = {"png": png(seed), "cls": str(seed % 4).encode()}
            if seed == 3:
                content = {"cls": b"1"}
            for extension, each in content.items():
                member = tarfile.TarInfo(f"{seed:04d}.{extension}")
                member.size = len(each)
                tar.addfile(member, io.BytesIO(each))
    outcome = job(str(tmp_path / "shard-*.tar"), tmp_path / "s")
    assert (outcome.explained, outcome.failed) == (4, 1)
    found = pysmdl.open_store(tmp_path / "s")
    direct = pysmdl.explain(image(2), MODEL, 2, **SETTINGS)
    assert equal(found[f"{tmp_path}/shard-0.tar/0002"], direct)
    assert "has no image, but cls" in found.failures[f"{tmp_path}/shard-0.tar/0003"].error


@pytest.mark.parametrize("form", ["stream", "file"])
def test_a_data_set_of_hugging_face_is_read_from_its_folder(form, tmp_path):
    folder = tmp_path / "data" / "train"
    folder.mkdir(parents=True)
    (tmp_path / "data" / "dataset_dict.json").write_text('{"splits": ["train"]}')
    rows = pa.table(
        {"image": [{"bytes": png(seed), "path": None} for seed in range(4)], "label": [seed % 4 for seed in range(4)]}
    )
    new = pa.ipc.new_stream if form == "stream" else pa.ipc.new_file
    with new(folder / "data-00000-of-00001.arrow", rows.schema) as writer:
        writer.write_table(rows)
    assert job(tmp_path / "data", tmp_path / "s").explained == 4
    found = pysmdl.open_store(tmp_path / "s")
    assert equal(found[f"{folder}/data-00000-of-00001.arrow#2"], pysmdl.explain(image(2), MODEL, 2, **SETTINGS))
    pq.write_table(rows, tmp_path / "data.parquet", row_group_size=3)
    assert job(tmp_path / "data.parquet", tmp_path / "t").explained == 4
    assert equal(
        pysmdl.open_store(tmp_path / "t")[f"{tmp_path}/data.parquet:4"], pysmdl.explain(image(3), MODEL, 3, **SETTINGS)
    )


def test_a_stream_gets_ids_of_its_places(tmp_path):
    assert job((image(seed) for seed in range(3)), tmp_path / "s").explained == 3
    assert set(pysmdl.open_store(tmp_path / "s").ids) == {"#0", "#1", "#2"}
    assert job((image(seed) for seed in range(5)), tmp_path / "s").explained == 2


@pytest.mark.parametrize("seconds", [1.0, pytest.param(10.0, marks=pytest.mark.slow)])
def test_a_store_that_goes_away_for_a_while_loses_nothing(seconds, tmp_path):
    away = tmp_path / "away"

    def given():
        for number, each in enumerate(items(12)):
            if number == 6:
                (tmp_path / "s").rename(away)
                threading.Timer(seconds, away.rename, [tmp_path / "s"]).start()
            yield each

    assert job(given(), tmp_path / "s", rows=2, patience=20).explained == 12
    found = pysmdl.open_store(tmp_path / "s")
    assert len(found) == 12
    assert found.verify().problems == ()


def test_a_store_that_stays_away_ends_the_job_which_says_so(tmp_path):
    def given():
        for number, each in enumerate(items(400)):
            if number == 100:
                (tmp_path / "s").rename(tmp_path / "away")
            yield each

    with pytest.raises(StoreError, match=r"cannot be written to: .*the same command again explains these anew"):
        job(given(), tmp_path / "s", rows=2, patience=0.3)
    (tmp_path / "away").rename(tmp_path / "s")
    kept = len(pysmdl.open_store(tmp_path / "s"))
    assert kept >= 1
    assert job(items(60), tmp_path / "s").explained >= 60 - kept


@pytest.mark.skipif(ROOT, reason="root writes anywhere")
def test_a_folder_that_is_read_only_is_refused_at_once(tmp_path):
    (tmp_path / "s").mkdir(mode=0o500)
    with pytest.raises(OSError, match="Permission denied"):
        job(items(2), tmp_path / "s")


def test_a_full_disk_ends_the_job_which_says_so(tmp_path):
    code = (
        "import resource, signal, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from job_runs import items, job\n"
        "job(items(1), sys.argv[2])\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"  # files longer than that: as on a full disk
        "try: job(items(9), sys.argv[2], patience=0.3)\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )

    tests = os.path.dirname(__file__)
    ran = subprocess.run(
        [sys.executable, "-c", code, tests, tmp_path / "s"], capture_output=True, text=True, check=True
    )
    assert "StoreError the store" in ran.stdout, ran.stderr
    found = pysmdl.open_store(tmp_path / "s")
    assert found.ids == ["0"]
    assert found.verify().problems == ()


def test_stop_gives_what_is_in_flight_its_time_and_leaves_the_rest(tmp_path):
    stop = jobs.Stop()

    def given():
        for number, each in enumerate(items(1000)):
            if number == 20:
                stop()
            yield each

    outcome = job(given(), tmp_path / "s", stop=stop, config=pysmdl.EngineConfig(max_searches=4))
    assert outcome.stopped
    assert outcome.explained == 21
    stop = jobs.Stop()
    stop(0)  # no time at all: nothing is begun
    assert job(items(30), tmp_path / "s", stop=stop).explained == 0


def test_ctrl_c_is_raised_when_all_that_was_explained_is_stored(tmp_path):
    def given():
        for number, each in enumerate(items(1000)):
            if number == 20:
                signal.raise_signal(signal.SIGINT)
            yield each

    with pytest.raises(KeyboardInterrupt):
        job(given(), tmp_path / "s", config=pysmdl.EngineConfig(max_searches=4))
    found = pysmdl.open_store(tmp_path / "s")
    assert 16 <= len(found) <= 20
    assert all(len(each.order) == 9 for each in found)


def test_the_status_is_written_and_shown(tmp_path, monkeypatch):
    name = module(tmp_path, monkeypatch, ANSWER)
    pictures(tmp_path, 3)
    (tmp_path / "pictures" / "bad.png").write_bytes(b"none")
    options = ("--model", name, "--regions", "grid:4", "--store", tmp_path / "s")
    code, said = call("run", tmp_path / "pictures", *options)
    assert code == 1
    assert "3 explained, 1 failed" in said
    status = json.loads((tmp_path / "s" / "status-1-of-1.json").read_text())
    assert (status["done"], status["stored"], status["failed"], status["total"]) == (3, 3, 1, 4)
    assert status["ended"] == "done"
    assert 0 < status["model_share"] <= 1
    console = Console(width=120, file=io.StringIO())
    console.print(table({**status, "workers": ["w1: 3 done"]}))
    assert all(word in console.file.getvalue() for word in ("3 of 4", "failed", "w1: 3 done"))
    code, said = call("run", "--status", tmp_path / "s")
    assert code == 0
    assert "1-of-1: 3 of 4 explained, 3 stored, 1 failed" in said


def test_a_dry_run_says_how_many_evaluations_how_long_and_how_large(tmp_path, monkeypatch):
    name = module(tmp_path, monkeypatch, ANSWER)
    pictures(tmp_path, 12)
    options = ("--model", name, "--regions", "grid:9", "--search", "exact", "--store", tmp_path / "s", "--dry-run")
    code, said = call("run", tmp_path / "pictures", *options)
    assert code == 0
    assert "12 inputs (0 before, 0 of 8 tried failed), 1104 evaluations at most" in said
    assert "MB" in said
    assert not (tmp_path / "s").exists()


def test_a_dry_run_sees_what_the_run_would(tmp_path, monkeypatch):
    name = module(tmp_path, monkeypatch, ANSWER)
    pictures(tmp_path, 3)
    (tmp_path / "pictures" / "bad.png").write_bytes(b"none")
    options = (tmp_path / "pictures", "--model", name, "--store", tmp_path / "s")
    assert "3 explained, 1 failed" in call("run", *options, "--regions", "grid:4")[1]
    for more, said in (
        ((), "0 inputs (4 before, 0 of 0 tried failed)"),
        (("--shard", "1/1", "--retry-failed", "--k", "2"), "made with other settings: k null, now 2"),
        (("--retry-failed",), "bad.png', say: cannot read"),
    ):
        code, text = call("run", *options, "--regions", "grid:4", "--dry-run", *more)
        assert code == (2 if more else 0)
        assert said in text
    assert "say: ValueError: regions must be one of" in call("run", *options[:3], "--regions", "no", "--dry-run")[1]


def test_a_dry_run_of_texts_says_how_many_evaluations_and_how_large(tmp_path, monkeypatch):
    scorer = "scorer = pysmdl.scorers.string(lambda texts: [float(text.count('good')) for text in texts])\n"
    name = module(tmp_path, monkeypatch, f"    return batch\n\n\nimport pysmdl\n{scorer}").replace(":model", ":scorer")
    path = write_manifest(
        "csv", tmp_path, [{"text": "a good film, not a bad one " * 3, "id": str(n)} for n in range(9)]
    )
    options = ("--model", name, "--search", "exact", "--store", tmp_path / "s")
    code, said = call("run", path, *options, "--dry-run")
    assert code == 0, said
    assert "9 inputs (0 before, 0 of 8 tried failed)" in said
    code, said = call("run", path, *options)
    assert "9 explained, 0 failed" in said


def test_a_job_may_be_a_file_and_the_command_line_goes_before_it(tmp_path, monkeypatch):
    name = module(tmp_path, monkeypatch, ANSWER)
    pictures(tmp_path, 3)
    text = (
        f'inputs = ["{tmp_path}/pictures"]\nmodel = "{name}"\nregions = "grid:4"\nstore = "{tmp_path}/s"\nlimit = 2\n'
    )
    (tmp_path / "job.toml").write_text(text)
    assert "2 explained, 0 failed" in call("run", tmp_path / "job.toml")[1]
    assert "1 explained, 2 before" in call("run", tmp_path / "job.toml", "--limit", 9)[1]
    assert next(iter(pysmdl.open_store(tmp_path / "s"))).n == 4
    (tmp_path / "job.toml").write_text('region = "grid:4"')
    code, said = call("run", tmp_path / "job.toml")
    assert code == 2
    assert "has no setting 'region'" in said


def test_a_job_file_says_options_as_the_command_line_does(tmp_path, monkeypatch):
    name = module(tmp_path, monkeypatch, ANSWER)
    pictures(tmp_path, 3)
    usual = f'inputs = "{tmp_path}/pictures"\nmodel = "{name}"\nregions = "grid:4"\nstore = "{tmp_path}/s"\n'
    path = tmp_path / "job.toml"
    path.write_text(
        f"\ufeff{usual}target = 1\nmean = [0.5, 0.5, 0.5]\nstd = [1, 1, 1]\nretry-failed = true\nseconds = 1\n"
    )
    assert "3 explained" in call("run", path)[1]
    path.write_text(f'{usual}target = 1\nmean = "0.5,0.5,0.5"\nstd = "1,1,1"\nshard = "2/2"\nworkers = 2\n')
    assert "0 explained, 3 before" in call("run", path, "--shard", "1/1", "--workers", 1)[1]  # though it is usual
    for line, said in (
        ("limit = '2'", "limit must be a whole number; got '2'"),
        ("workers = true", "workers must be a whole number; got True"),
        ("retry_failed = 'no'", "retry_failed must be true or false; got 'no'"),
        ("seconds = '1'", "seconds must be a number; got '1'"),
        ("preset = {name = 'lima'}", "preset must be text; got {'name': 'lima'}"),
        ("label = ['cat']", "label must be a whole number; got 'cat'"),
    ):
        path.write_text(f"{usual}{line}\n")
        code, text = call("run", path)
        assert code == 2
        assert said in text
    code, text = call("run", path, tmp_path / "pictures")
    assert code == 2
    assert "a job.toml names its inputs itself" in text


def test_prometheus_reads_the_numbers_on_this_machine_alone(tmp_path):
    from pysmdl.jobs.state import State
    from pysmdl.jobs.telling import serving

    state = replace(State(total=9), done=3, failed=1, evaluations=700)
    with serving(state, 0) as port:
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
        with pytest.raises(OSError, match=f"metrics_port {port} cannot be had"), serving(state, port):
            pass
    lines = text.splitlines()
    assert "pysmdl_job_done 3.0" in lines
    kinds = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE")}
    assert kinds["pysmdl_job_done"] == "gauge"
    assert {name for name, kind in kinds.items() if kind == "counter"} == {
        f"pysmdl_job_{name}" for name in ("stored", "failed", "evaluations", "seconds")
    }
    for number in range(0, len(lines), 3):  # as the text format 0.0.4 has it
        name = lines[number + 2].split()[0]
        assert lines[number].startswith(f"# HELP {name} ")
        assert lines[number + 1] == f"# TYPE {name} {kinds[name]}"


def test_wrong_arguments_are_named(tmp_path):
    with pytest.raises(ValueError, match="limit must be a whole number of at least 1"):
        job(items(1), tmp_path / "s", limit=0)
    with pytest.raises(ValueError, match="inputs must be paths or an iterable"):
        job(3, tmp_path / "s")
    with pytest.raises(TypeError, match="run has no setting 'region'"):
        job(items(1), tmp_path / "s", region="grid")
    for name, wrong in (("ray", "auto"), ("stop", 3), ("shard", 3), ("metrics_port", 70_000), ("metrics_port", "9")):
        with pytest.raises(ValueError, match=f"{name} must be"):
            job(items(1), tmp_path / "s", **{name: wrong})
    of_store = ("--store", tmp_path / "s")
    for options, said in (
        ((), "store must be"),
        *(
            ((*of_store, "--shard", each), "shard must be I/N with I from 1 to N")
            for each in ("3", "0/8", "9/8", "a/2")
        ),
        ((*of_store, "--timeout", 0), "timeout must be"),
    ):
        code, text = call("run", SCENE, *options)
        assert code == 2
        assert said in text


SCENE = builtin.images()[0]["path"]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_command_within_its_time_with_all_that_is_done_stored(number, code, tmp_path):
    pictures(tmp_path, 40)
    process = Forked(tmp_path, model=f"    time.sleep(0.02)\n{ANSWER}")
    store = tmp_path / "store"
    while not (store / "status-1-of-1.json").exists() and process.poll() is None:
        time.sleep(0.01)
    began = time.monotonic()
    process.send_signal(number)
    said = process.communicate()[0]
    assert time.monotonic() - began < 20
    assert process.returncode == code, said
    assert "stopping" in said
    found = pysmdl.open_store(store)
    assert found.verify().problems == ()
    assert all(len(each.order) == 9 for each in found)
    assert json.loads((store / "status-1-of-1.json").read_text())["ended"] == "stopped"
    process = Forked(tmp_path)
    assert f"{40 - len(found)} explained" in process.communicate()[0]
    assert len(pysmdl.open_store(store)) == 40


@pytest.mark.slow
def test_a_model_that_hangs_is_left_at_the_second_signal(tmp_path):
    pictures(tmp_path, 4)
    process = Forked(tmp_path, model=f"    time.sleep(1000 if len(batch) else 0)\n{ANSWER}")
    while not (tmp_path / "store" / "job.json").exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    time.sleep(1.2)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130
    process.communicate()


def test_ray_data_gets_batches_as_rows_of_a_part(tmp_path):
    batch = {"image": np.stack([image(seed) for seed in range(4)]), "target": np.arange(4), "id": list("abcd")}
    explain = jobs.RayExplain(jobs.Factory(lambda: MODEL), {"regions": "grid:9", "search": "exact"})
    rows = explain(batch)
    direct = pysmdl.explain(image(2), MODEL, 2, **SETTINGS)
    assert rows["id"].to_pylist() == list("abcd")
    assert rows["order"].to_pylist()[2] == direct.order.tolist()
    assert rows["error"].null_count == 4
    broken = explain({"image": [str(tmp_path / "none.png"), str(saved(tmp_path / "a.png"))]})
    assert "no such image" in broken["error"].to_pylist()[0]
    assert broken["regions"].to_pylist() == [None, 9]


def test_a_signal_waits_while_something_is_held_and_a_second_insists():
    from pysmdl.cli.stopping import SAME, held, stoppable

    said = []

    def interrupted(again: bool):
        with stoppable(), held():
            signal.raise_signal(signal.SIGINT)
            if again:
                time.sleep(SAME + 0.1)
                signal.raise_signal(signal.SIGINT)
            said.append(again)

    for again in (False, True):
        with pytest.raises(KeyboardInterrupt):
            interrupted(again)
    assert said == [False]


def test_an_estimator_that_was_fitted_anew_is_another_model(tmp_path):
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = np.random.default_rng(0).normal(size=(60, 4))
    made = [
        make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)).fit(rows, labels)
        for labels in (rows[:, 0] > 0, rows[:, 1] > 0)
    ]
    settings = {"baseline": rows.mean(0), "progress": False}
    jobs.run(list(rows[:2]), made[0], tmp_path / "s", **settings)
    made[0].set_params(randomforestclassifier__n_jobs=1)
    again = pickle.loads(pickle.dumps(made[0]))
    assert jobs.run(list(rows[:4]), again, tmp_path / "s", **settings).explained == 2
    with pytest.raises(StoreError, match="model's weights"):
        jobs.run(list(rows[:6]), made[1], tmp_path / "s", **settings)


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_empty_cells_of_a_table_are_missing_numbers(form, tmp_path):
    from sklearn.ensemble import HistGradientBoostingClassifier

    rows = pandas.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=list("abc"))
    labels = rows.a > 0
    rows.loc[::3, "b"] = np.nan
    net = HistGradientBoostingClassifier(max_iter=5).fit(rows, labels)
    file = tmp_path / f"rows.{form}"
    writers = {"csv": rows.to_csv, "parquet": rows.to_parquet}
    if form == "jsonl":
        rows.to_json(file, orient="records", lines=True)
    else:
        writers[form](file, index=False)
    settings = {"baseline": rows, "progress": False, "search": "exact"}
    assert jobs.run([file], net, tmp_path / "s", limit=6, **settings) == jobs.Outcome(6, 0, 0, False)
    store = pysmdl.open_store(tmp_path / "s")
    for place in range(6):
        found = next(each for each in store if each.index == place)
        assert equal(found, pysmdl.explain(rows.iloc[place], net, **settings))
