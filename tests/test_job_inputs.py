"""What people have lying about as a job's inputs: other delimiters, other spellings, what is missing or packed."""

from __future__ import annotations

import io
import json
import tarfile
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import saved
from job_runs import SETTINGS, job
from PIL import Image

import pysmdl
from pysmdl import jobs
from pysmdl.jobs.sources import entries_of

from toys import image

PRAISE = pysmdl.scorers.string(lambda texts: [text.count("good") - 0.5 * text.count("bad") for text in texts])


def png(seed):
    buffer = io.BytesIO()
    Image.fromarray(image(seed)).save(buffer, "PNG")
    return buffer.getvalue()


def tarred(path, parts):
    with tarfile.open(path, "w") as tar:
        for name, content in parts.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def written(folder, name, content):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / name


def targets(path, **settings) -> list:
    return [each.rest.get("target") for each in entries_of(path, **settings)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.csv", "\ufeffimage,target,id\r\n0.png,1,a\r\n\r\n1.png,,b\r\n"),
        ("m.csv", "image;target;id\n0.png;1;a\n1.png;;b\n"),
        ("m.csv", "image\ttarget\tid\n0.png\t1\ta\n1.png\t\tb\n"),
        ("m.tsv", "image\ttarget\tid\n0.png\t1\ta\n1.png\t\tb\n"),
        ("m.csv", "image, target, id\n 0.png , 1 , a\n1.png,, b \n"),
        ("m.csv", 'target,id,note,image\n1,a,"of two\nlines, ""quoted""",0.png\n,b,,1.png\n'),
        (
            "m.jsonl",
            '\ufeff{"Image": "0.png", "Label": 1, "ID": "a"}\n\n  \n{"image": "1.png", "label": null, "id": "b"}',
        ),
        ("m.jsonl", '{"img": "0.png", "target": 1.0, "id": "a"}\n{"img": "1.png", "target": NaN, "id": "b"}\n'),
        ("m.json", '[{"image": "0.png", "target": 1, "id": "a"},\n {"image": {"path": "1.png"}, "id": "b"}]'),
    ],
)
def test_a_manifest_is_read_however_it_is_written(name, content, tmp_path):
    found = entries_of(written(tmp_path, name, content))
    assert [each.id for each in found] == ["a", "b"]
    assert [each.rest.get("target") for each in found] == [1, None]
    assert [each.image for each in found] == [str(tmp_path / "0.png"), str(tmp_path / "1.png")]


@pytest.mark.parametrize(
    ("column", "right"),
    [
        (pa.array(["2", None]).dictionary_encode(), [2, None]),
        (pa.array([2, None], pa.uint8()), [2, None]),
        (pa.array([2.0, float("nan")]), [2, None]),
        (pa.array([Decimal("2.00"), None]), [2, None]),
        (pa.array(["two", ""], pa.large_string()), ["two", None]),
    ],
    ids=["categories", "bytes", "floats", "decimals", "names"],
)
def test_a_column_of_any_type_is_a_target(column, right, tmp_path):
    paths = pa.array(["0.png", "1.png"])
    for images in (paths, paths.cast(pa.large_string()), paths.dictionary_encode()):
        pq.write_table(pa.table({"Image": images, "Label": column}), tmp_path / "m.parquet")
        found = entries_of(tmp_path / "m.parquet")
        assert [each.rest.get("target") for each in found] == right
        assert [each.source for each in found] == [str(tmp_path / "0.png"), str(tmp_path / "1.png")]
    images = pa.array([{"bytes": png(0), "path": None}, {"bytes": png(1), "path": None}])
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "dataset_info.json").write_text("{}")
    for name in ("data-00000-of-00001.arrow", "cache-1a2b.arrow"):  # the second is what map() leaves there
        rows = pa.table({"img": images, "label": column})
        with pa.ipc.new_stream(folder / name, rows.schema) as writer:
            writer.write_table(rows)
    assert targets(folder) == right
    pq.write_table(rows, tmp_path / "m.parquet")
    assert [each.image.open().shape for each in entries_of(tmp_path / "m.parquet")] == [(12, 12, 3)] * 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "m.csv",
            "image,target,image\n0.png,1,1.png\n",
            r"m.csv must have each column once; \['image'\]",
        ),
        ("m.csv.gz", b"\x1f\x8b", "m.csv.gz is compressed"),
        ("shard.tgz", b"\x1f\x8b", "shard.tgz is compressed"),
        ("shard.tar", b"\x1f\x8b" + bytes(600), "shard.tar must be a whole tar that is not compressed"),
        ("m.json", '{"images": []}', "m.json must hold a list, an object an input; it holds one dict"),
        ("m.json", "[", "m.json is no JSON"),
    ],
)
def test_what_cannot_be_read_as_a_whole_is_refused_by_name(name, content, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        entries_of(written(tmp_path, name, content))


def test_a_damaged_group_of_rows_names_its_file(tmp_path):
    pq.write_table(pa.table({"image": [f"{number}.png" for number in range(99)]}), tmp_path / "m.parquet")
    content = bytearray((tmp_path / "m.parquet").read_bytes())
    content[10:60] = bytes(50)
    with pytest.raises(ValueError, match=r"m\.parquet is damaged"):
        entries_of(written(tmp_path, "m.parquet", bytes(content)))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"image": "0.png", "target": {"box": [0, 0, 5, 5]}}', r'a box must be as \{"xyxy": \[0, 0, 50, 50\]'),
        ('{"image": "0.png", "target": "{xyxy: 3}"}', r'a box must be as \{"xyxy"'),
        ('{"image": ' + "[" * 50_000 + "]" * 50_000 + "}", "is no JSON: .*recursion"),
        ('{"file": "0.png", "label": 3}', "it has no image, audio, text, messages or row, but file, label"),
        ('{"text": "a caption"}', "it has a text, which the model does not read"),
        ('{"image": {"bytes": null, "path": null}}', "m.jsonl:1: it has no image"),
    ],
    ids=str,
)
def test_a_row_that_says_nothing_is_one_failure_which_says_so(row, message, tmp_path):
    saved(tmp_path / "0.png")
    path = written(tmp_path, "m.jsonl", row + '\n{"image": "0.png"}\n')
    outcome = job(path, tmp_path / "s")
    assert (outcome.explained, outcome.failed) == (1, 1)
    (failure,) = pysmdl.open_store(tmp_path / "s").failures.values()
    assert failure.error.count("m.jsonl:1") == 1
    with pytest.raises(pysmdl.errors.ImageError, match=message):
        entries_of(path)[0].image.open()


def test_images_of_a_manifest_may_be_at_addresses(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").pipe_file("/pictures/1.png", png(1))
    saved(tmp_path / "0.png")
    addresses = [f"file://{tmp_path}/0.png", "memory://pictures/1.png", "memory://pictures/none.png"]
    path = written(tmp_path, "m.json", json.dumps([{"image": address, "target": 0} for address in addresses]))
    outcome = job(path, tmp_path / "s")
    assert (outcome.explained, outcome.failed) == (2, 1)
    assert {each["source"] for each in pysmdl.open_store(tmp_path / "s").table().to_pylist()} == set(addresses[:2])


def test_a_folder_of_tars_or_tables_is_its_files(tmp_path):
    (tmp_path / "tars" / "train").mkdir(parents=True)
    for number in range(2):
        tarred(tmp_path / "tars" / "train" / f"{number}.tar", {"a.png": png(number), "a.cls": b"3"})
    (tmp_path / "tars" / "sizes.csv").write_text("name,size\n")
    assert targets(tmp_path / "tars") == [3, 3]
    (tmp_path / "tables").mkdir()
    pq.write_table(pa.table({"image": [png(0)], "label": [2]}), tmp_path / "tables" / "0.parquet")
    assert targets(tmp_path / "tables") == [2]
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="none' is not a folder with images in it"):
        entries_of(tmp_path / "none")


def test_an_id_that_is_null_is_none(tmp_path):
    parts = {"a.png": png(0), "a.json": b'{"id": null, "label": null}', "b.png": png(1), "b.json": b'{"id": 5}'}
    path = tarred(tmp_path / "t.tar", parts)
    assert [each.id for each in entries_of(path)] == [f"{path}/a", "5"]


def test_frames_of_images_and_of_texts_are_manifests(tmp_path):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    saved(tmp_path / "0.png")
    rows = {"Image": [str(tmp_path / "0.png"), None], "label": [1.0, None], "id": ["a", None]}
    arrays = pandas.DataFrame({"image": [image(0), Image.fromarray(image(1))], "target": [1, 2]})
    for frame in (pandas.DataFrame(rows), polars.DataFrame(rows), pa.table(rows)):
        found = entries_of(frame)
        assert [each.id for each in found] == ["a", "#1"]
        assert [each.rest.get("target") for each in found] == [1, None]
    assert job(arrays, tmp_path / "s").explained == 2
    numbers = pandas.DataFrame({"image": ["0.png", "1.png"], "label": pandas.array([3, None], "Int64")})
    assert targets(numbers) == [3, None]
    texts = polars.DataFrame({"text": ["good", "bad"], "group": [1, 2]})
    assert jobs.run(texts, PRAISE, tmp_path / "t", progress=False).explained == 2
    with pytest.raises(ValueError, match="a frame must have a column image, audio, text, messages or row; it has file"):
        entries_of(pandas.DataFrame({"file": ["0.png"]}))
    weighed = pysmdl.scorers.table(lambda rows: rows @ np.array([2.0, -1.0]), ["age", "debt"])
    assert jobs.run(polars.DataFrame({"debt": [2], "age": [3]}), weighed, tmp_path / "u", progress=False).explained == 1
    assert pysmdl.open_store(tmp_path / "u")["#0"].values().tolist() == [6, -2]


@pytest.mark.parametrize("many", [list, iter])
def test_texts_that_are_equal_are_told_apart_by_a_number(many, tmp_path):
    texts = ["good", "bad", "good", "good", {"text": "good#2", "target": None}]
    for explained in (5, 0):
        assert jobs.run(many(texts), PRAISE, tmp_path / "s", progress=False).explained == explained
    assert set(pysmdl.open_store(tmp_path / "s").ids) == {"good", "bad", "good#2", "good#3", "good#2#2"}
    twice = [{"image": image(0), "id": "a"}, {"image": image(1), "id": "a"}]
    with pytest.raises(ValueError, match="'a' is there twice: name it once, or give each an id"):
        jobs.run(twice, lambda batch: batch.mean((2, 3)), tmp_path / "t", **SETTINGS)


def test_a_file_is_read_where_the_model_reads_texts_whatever_it_is_called(tmp_path):
    path = written(tmp_path, "story.md", "good good bad")
    assert jobs.run([str(path)], PRAISE, tmp_path / "s", progress=False).explained == 1
    assert pysmdl.open_store(tmp_path / "s")[str(path)].n == 3
    with pytest.raises(ValueError, match="inputs must be paths or an iterable of inputs; got bytes"):
        jobs.run(b"story.md", PRAISE, tmp_path / "t", progress=False)
