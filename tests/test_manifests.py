"""What a job takes as inputs: manifests, folders, tars, data sets, frames, streams."""

from __future__ import annotations

import io
import json
import os
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from command_line import call, module, saved
from job_runs import MODEL, SETTINGS, equal, job, pictures, write_manifest
from PIL import Image

import pysmdl
from pysmdl import jobs
from pysmdl.jobs.sources import entries_of

from toys import image


def manifest_rows(folder, count=6):
    names = [path.name for path in pictures(folder, count)]
    rows = enumerate(f"pictures/{name}" for name in names)
    return [{"image": name, "target": seed % 2, "id": f"row {seed}", "group": f"{seed % 2}"} for seed, name in rows]


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
