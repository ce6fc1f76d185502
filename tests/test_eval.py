"""pysmdl eval and compare(): methods against each other on the same images."""

from __future__ import annotations

import copy
import csv
import importlib.util
import os

import numpy as np
import pytest
import torch
from command_line import ANSWER, SCENES, call, module, saved
from PIL import Image

import pysmdl
from pysmdl.studies import evaluation
from pysmdl.studies.evaluation import compare

from toys import image, linear_model, same


@pytest.mark.slow
def test_eval_compares_methods(tmp_path):
    import pyarrow.parquet

    code, output = call(
        "eval",
        *SCENES[:2],
        "--methods",
        "exact,lime:200",
        "--regions",
        "grid:9",
        "--mufidelity",
        "10",
        "--out",
        tmp_path,
    )
    assert code == 0, output
    rows = list(csv.DictReader((tmp_path / "evaluation.csv").read_text().splitlines()))
    assert [row["method"] for row in rows] == ["exact", "exact", "lime:200", "lime:200"]
    for row in rows:
        assert float(row["insertion_minus_deletion"]) == pytest.approx(
            float(row["insertion_auc"]) - float(row["deletion_auc"])
        )
        assert -1 <= float(row["mu_fidelity"]) <= 1
        assert int(row["evaluations"]) <= 200
    table = pyarrow.parquet.read_table(tmp_path / "evaluation.parquet")
    assert table.num_rows == 4
    assert "beyond model" in output
    code, output = call("eval", SCENES[0], "--methods", "lime:many", "--out", tmp_path)
    assert (code, "NAME:EVALUATIONS" in output) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "exact,typo"], "search must be one of"),
        (["--mufidelity", "-3"], "mufidelity, where it is not 0, must be a whole number of at least 2; got -3"),
        (["--mufidelity", "1"], "at least 2; got 1"),
    ],
)
def test_eval_checks_everything_before_anything_runs(arguments, message, tmp_path, monkeypatch):
    model = module(tmp_path, monkeypatch, "    raise SystemExit(99)\n")
    code, output = call(
        "eval", saved(tmp_path / "x.png"), "--model", model, "--target", "0", "--out", tmp_path / "out", *arguments
    )
    assert code == 2
    assert message in output
    assert not (tmp_path / "out").exists()


def test_eval_goes_on_without_an_image_that_fails(tmp_path):
    images = [tmp_path / "gone.png", saved(tmp_path / "a.png"), saved(tmp_path / "b.png", 1)]
    code, output = call(
        "eval", *images, "--methods", "exact,backward", "--regions", "grid:4", "--mufidelity", "4", "--out", tmp_path
    )
    assert code == 1
    assert f"input {str(images[0])!r} skipped: no such image" in output
    rows = list(csv.DictReader((tmp_path / "evaluation.csv").read_text().splitlines()))
    assert [(row["method"], row["image"]) for row in rows] == [
        (method, str(each)) for method in ("exact", "backward") for each in images[1:]
    ]


@pytest.mark.parametrize(("error", "code"), [("KeyboardInterrupt", 130), ("RuntimeError", 1)])
def test_eval_keeps_the_methods_that_were_finished(error, code, tmp_path, monkeypatch):
    body = (  # each method asks for the full image once
        "    seen.extend(row for row in batch if row.min() > 0)\n"
        f"    if len(seen) > 1:\n        raise {error}\n{ANSWER}"
    )
    found, output = call(
        "eval", saved(tmp_path / "x.png"), "--model", module(tmp_path, monkeypatch, body), "--target", "0",
        "--methods", "exact,backward", "--regions", "grid:4", "--out", tmp_path,
    )  # fmt: skip
    assert found == code, output
    rows = list(csv.DictReader((tmp_path / "evaluation.csv").read_text().splitlines()))
    assert [row["method"] for row in rows] == ["exact"]
    assert "insertion auc" in output


def test_compare_matches_explanations_to_images_by_their_index(caplog):
    bad = torch.from_numpy(image(1).transpose(2, 0, 1)) / 255

    def model(batch):
        if any(torch.equal(row, bad) for row in batch):
            raise RuntimeError("cannot look at this")
        return linear_model()(batch)

    items = [{"image": image(seed), "target": 1} for seed in range(3)]
    settings = {"regions": "grid:4", "mufidelity": 4}
    found = compare(items, model, {"exact": {"search": "exact"}}, on_error="skip", **settings)
    assert [row["image"] for row in found.rows] == ["0", "2"]
    assert [each.index for each in found.explanations["exact"]] == [0, 2]
    assert "cannot look at this" in caplog.text
    alone = compare(items[2:], model, {"exact": {"search": "exact"}}, **settings)
    assert {**alone.rows[0], "image": "2"} == found.rows[1]
    with pytest.raises(pysmdl.PysmdlError, match="cannot look at this"):
        compare(items, model, {"exact": {"search": "exact"}}, **settings)
    with pytest.raises(ValueError, match="on_error must be one of 'raise', 'skip'; got 'stop'"):
        compare(items, model, {"exact": {}}, on_error="stop")


def frames(copied: bool, kind: str):
    """A reader that fills one buffer anew for each image."""
    buffer = torch.empty(3, 12, 12) if kind == "tensors" else np.empty((12, 12, 3), np.uint8)
    baseline, labels = np.empty(3, np.float32), np.empty((12, 12), np.int64)
    for seed in range(3):
        pixels = image(seed)
        buffer[:] = torch.from_numpy(pixels).permute(2, 0, 1) / 255 if kind == "tensors" else pixels
        baseline[:] = seed / 3
        labels[:] = np.arange(144).reshape(12, 12) // 36 if seed else np.arange(144).reshape(12, 12) // 72
        given = {"image": buffer, "target": torch.tensor(1), "baseline": baseline, "regions": labels}
        yield {name: copy.deepcopy(value) for name, value in given.items()} if copied else given


@pytest.mark.parametrize("kind", ["arrays", "tensors"])
def test_compare_reads_its_items_once_and_keeps_copies(kind):
    methods = {"exact": {"search": "exact"}, "backward": {"search": "backward"}}
    right, found = (compare(frames(copied, kind), linear_model(), methods, mufidelity=8) for copied in (True, False))
    for row, other in zip(right.rows, found.rows, strict=True):
        assert row == other
    assert [each.n for each in found.explanations["backward"]] == [2, 4, 4]
    for name in methods:
        for first, second in zip(right.explanations[name], found.explanations[name], strict=True):
            assert same(first, second)
            np.testing.assert_array_equal(first.pixels, second.pixels)
    assert found.explanations["exact"][0].pixels is found.explanations["backward"][0].pixels


def test_compare_takes_pillows_images_whose_file_is_closed_meanwhile(tmp_path):
    saved(tmp_path / "x.png")

    def opened():
        with Image.open(tmp_path / "x.png") as each:
            yield {"image": each, "target": 1}

    found = compare(opened(), linear_model(), {"exact": {}, "backward": {}}, regions="grid:4")
    assert len(found.rows) == 2


def test_compare_explains_images_by_the_batch_and_keeps_their_order(monkeypatch):
    """Of some images all methods, then of the next: what is kept of a stream is bounded."""
    monkeypatch.setattr(evaluation, "AT_ONCE", 2)
    read, seen = [], []

    def stream():
        for seed in range(5):
            read.append(seed)
            yield {"image": image(seed), "target": 1, "id": str(seed)}

    steps = evaluation.method_by_method(stream(), linear_model(), {"exact": {}, "backward": {}}, regions="grid:4")
    for found in steps:
        seen.append((len(read), len(found.rows)))
    assert seen == [(2, 1), (2, 2), (2, 3), (2, 4), (4, 5), (4, 6), (4, 7), (4, 8), (5, 9), (5, 10)]
    assert [(row["method"], row["image"]) for row in found.rows] == [
        (method, str(seed)) for method in ("exact", "backward") for seed in range(5)
    ]
    assert [each.index for each in found.explanations["backward"]] == [0, 1, 2, 3, 4]
    assert found.runs["exact"].evaluations == sum(row["evaluations"] for row in found.rows[:5])


def test_eval_tries_its_folder_before_it_computes(tmp_path, monkeypatch):
    model = module(tmp_path, monkeypatch, "    raise SystemExit(99)\n")
    (tmp_path / "out" / "evaluation.csv").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    options = ["--model", model, "--target", "0", "--regions", "grid:4", "--out"]
    for out in ("out", "file"):
        code, output = call("eval", saved(tmp_path / "x.png"), *options, tmp_path / out)
        assert code == 2
        assert str(tmp_path / out) in output


def test_an_unfinished_table_takes_no_whole_ones_place(tmp_path, monkeypatch):
    photo, out = saved(tmp_path / "x.png"), tmp_path / "out"
    call("eval", photo, "--methods", "exact,backward", "--regions", "grid:4", "--out", out)
    whole = (out / "evaluation.csv").read_text()
    body = f"    seen.append(1)\n    if len(seen) > 7:\n        raise KeyboardInterrupt\n{ANSWER}"
    model = module(tmp_path, monkeypatch, body)
    options = ["--regions", "grid:4", "--batch-size", "4", "--out", out]
    code, output = call("eval", photo, "--methods", "exact,backward", "--model", model, "--target", "0", *options)
    assert code == 130
    assert (out / "evaluation.csv").read_text() == whole
    rows = list(csv.DictReader((out / "evaluation-unfinished.csv").read_text().splitlines()))
    assert [row["method"] for row in rows] == ["exact"]
    assert "evaluation-unfinished.csv" in output
    call("eval", photo, "--methods", "exact", "--regions", "grid:4", "--out", out)
    assert len((out / "evaluation.csv").read_text().splitlines()) == 2
    assert {path.name for path in out.iterdir()} == {"evaluation.csv", "evaluation.parquet"}


def test_names_that_are_not_utf_8_are_in_every_table(tmp_path):
    import pyarrow.parquet

    photo = saved(tmp_path / os.fsdecode(b"b\xff.png"))
    code, output = call("eval", photo, "--methods", "exact", "--regions", "grid:4", "--out", tmp_path / "out")
    assert code == 0, output
    (row,) = csv.DictReader((tmp_path / "out" / "evaluation.csv").read_text(encoding="utf-8").splitlines())
    assert row["image"] == rf"{tmp_path}/b\xff.png"
    table = pyarrow.parquet.read_table(tmp_path / "out" / "evaluation.parquet")
    assert table["image"].to_pylist() == [row["image"]]
    found = compare([{"image": image(), "target": 1, "id": "b\udcff"}], linear_model(), {"exact": {}}, regions="grid:4")
    found.to_csv(tmp_path / "x.csv")
    found.to_parquet(tmp_path / "x.parquet")
    assert r"b\xff" in (tmp_path / "x.csv").read_text(encoding="utf-8")


def test_without_pyarrow_there_is_the_csv_and_a_word(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "pyarrow" else find(name))
    options = ["--methods", "exact", "--regions", "grid:4", "--out", tmp_path / "out"]
    code, output = call("eval", saved(tmp_path / "x.png"), *options)
    assert code == 0
    assert "no Parquet file is written, which needs pyarrow: pip install 'pysmdl[jobs]'" in output
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["evaluation.csv"]


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path):
    found = compare([(image(), 1)], linear_model(), {"exact": {}}, regions="grid:4")
    for write, name in ((found.to_csv, "x.csv"), (found.to_parquet, "x.parquet")):
        (tmp_path / name).write_bytes(b"old")
        found.rows[0]["insertion_auc"] = Torn()
        with pytest.raises(Exception, match=r"torn|Torn"):
            write(tmp_path / name)
        assert (tmp_path / name).read_bytes() == b"old"
    assert {path.name for path in tmp_path.iterdir()} == {"x.csv", "x.parquet"}


class Torn:
    """A value that no table takes."""

    def __str__(self):
        raise RuntimeError("torn")

    __repr__ = __float__ = __str__


def test_a_comparison_that_is_kept_is_not_made_twice(tmp_path, monkeypatch):
    photos, store = [saved(tmp_path / f"{seed}.png", seed) for seed in range(3)], tmp_path / "kept"
    options = ["--regions", "grid:4", "--mufidelity", "4", "--store", store, "--out", tmp_path / "out", "--target", "0"]
    model = ["--model", module(tmp_path, monkeypatch, ANSWER)]
    code, output = call("eval", *photos[:2], "--methods", "exact", *options, *model)
    assert code == 0, output
    first = list(csv.DictReader((tmp_path / "out" / "evaluation.csv").read_text().splitlines()))
    code, output = call("eval", *photos, "--methods", "exact,backward", *options, *model)
    assert code == 0, output
    rows = list(csv.DictReader((tmp_path / "out" / "evaluation.csv").read_text().splitlines()))
    assert [row["method"] for row in rows] == ["exact"] * 3 + ["backward"] * 3
    assert rows[:2] == first
    assert all(-1 <= float(row["mu_fidelity"]) <= 1 for row in rows)
    assert [len(pysmdl.open_store(store / method)) for method in ("exact", "backward")] == [3, 3]
    code, output = call("eval", store / "exact", store / "backward", "--out", tmp_path / "read")
    assert code == 0, output
    read = list(csv.DictReader((tmp_path / "read" / "evaluation.csv").read_text().splitlines()))
    assert {row["mu_fidelity"] for row in read} == {row["mu_fidelity"] for row in rows}
    code, output = call("eval", *photos, "--methods", "exact", *options, *model, "--mufidelity", "5")
    assert code != 0
    assert "was made with other settings: mufidelity 4, now 5" in output


def test_rows_texts_and_several_inputs_are_compared(tmp_path):
    pandas = pytest.importorskip("pandas")
    methods = {"exact": {"search": "exact"}, "occlusion": {"search": "occlusion"}}
    rows = pandas.DataFrame({"b": [1.0, 2], "a": [3.0, 1]})
    weighed = pysmdl.scorers.table(lambda given: given @ np.array([1.0, 2]), ["a", "b"])
    found = compare(rows, weighed, methods, mufidelity=4)
    assert [each.insertion[-1] for each in found.explanations["exact"]] == [5, 5]
    assert all(row["mu_fidelity"] == pytest.approx(1) for row in found.rows)
    both = pysmdl.scorers.scalar(lambda given: given["x"].sum(1) + given["y"].sum(1))
    pairs = [{"image": {"x": torch.tensor([1.0, 3]), "y": torch.tensor([2.0])}, "players": {"y": ["two"]}}] * 2
    for items in (pairs, [{"image": each["image"]} for each in pairs]):
        found = compare(items, both, methods, mufidelity=4)
        assert [each.order.tolist() for each in found.explanations["exact"]] == [[1, 2, 0]] * 2
    texts = ["one \ud83d", "two words"]
    scorer = pysmdl.scorers.string(lambda given: [float(len(text)) for text in given])
    for _ in range(2):
        found = compare(texts, scorer, methods, store=tmp_path / "kept")
        assert {each.id for each in found.explanations["exact"]} == {"one \\ud83d", "two words"}
    assert pysmdl.open_store(tmp_path / "kept" / "exact").verify().problems == ()


def test_what_a_store_has_costs_no_evaluation(tmp_path):
    seen = []

    def model(batch):
        seen.append(len(batch))
        return linear_model()(batch)

    items = [{"image": image(seed), "target": 1} for seed in range(3)]
    settings = {"regions": "grid:4", "store": tmp_path / "kept"}
    methods = {"exact": {"search": "exact"}, "backward": {"search": "backward"}}
    first = compare(items, model, methods, **settings)
    seen.clear()
    again = compare(items, model, methods, **settings)
    assert seen == []
    assert again.rows == first.rows
    assert [each.id for each in again.explanations["exact"]] == ["#0", "#1", "#2"]
    with pytest.raises(ValueError, match="methods must have names that folders can have"):
        compare(items, model, {"a/b": {}}, **settings)
    with pytest.raises(ValueError, match="ids must be unique; 'a' is there twice"):
        compare([{"image": image(), "id": "a"}] * 2, model, methods, regions="grid:4", store=tmp_path / "twice")


def test_what_failed_is_in_the_store_of_its_method_and_is_tried_again(tmp_path):
    broken = [True]

    def model(batch):
        if broken[0]:
            raise RuntimeError("no such luck")
        return linear_model()(batch)

    settings = {"regions": "grid:4", "store": tmp_path / "kept", "on_error": "skip"}
    items = [{"image": image(), "target": 1, "id": "a"}]
    for attempts in (1, 2):
        assert compare(items, model, {"exact": {}}, **settings).rows == []
        failure = pysmdl.open_store(tmp_path / "kept" / "exact").failures["a"]
        assert (failure.attempts, "no such luck" in failure.error) == (attempts, True)
    broken[0] = False
    assert len(compare(items, model, {"exact": {}}, **settings).rows) == 1
    assert not pysmdl.open_store(tmp_path / "kept" / "exact").failures
