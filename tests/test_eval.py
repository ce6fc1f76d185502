"""pysmdl eval and compare(): methods against each other on the same images."""

from __future__ import annotations

import csv

import pytest
import torch
from command_line import ANSWER, SCENES, call, module, saved

import pysmdl
from pysmdl.studies.evaluation import compare

from toys import image, linear_model


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
