"""The command line, in processes of its own where that matters, else through Typer's runner."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import pysmdl
from pysmdl import builtin
from pysmdl.cli import app
from pysmdl.loading import load_model

from toys import image

SCENES = [scene["path"] for scene in builtin.images()]


def call(*arguments) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "200", "NO_COLOR": "1"})
    return result.exit_code, result.output


def test_explain_saves_picture_arrays_and_json(tmp_path):
    code, output = call("explain", *SCENES[:2], "--regions", "grid:16", "--out", tmp_path)
    assert code == 0, output
    for scene in SCENES[:2]:
        stem = tmp_path / scene.rsplit("/", 1)[-1].removesuffix(".png")
        with Image.open(stem.with_suffix(".png")) as picture:
            assert picture.size[0] > 1000
        loaded = pysmdl.load(stem.with_suffix(".npz"))
        assert json.loads(stem.with_suffix(".json").read_text())["order"] == loaded.order.tolist()
        assert loaded.notes["left_out"] == []
    assert "2 explained" in output


def test_explain_is_the_api(tmp_path):
    call(
        "explain",
        SCENES[0],
        "--regions",
        "grid:9",
        "--search",
        "exact",
        "--objective",
        "smdl",
        "--target",
        "3",
        "--k",
        "4",
        "--out",
        tmp_path,
    )
    (file,) = tmp_path.glob("*.npz")
    mine = pysmdl.explain(
        SCENES[0], builtin.load("digits"), 3, regions="grid:9", search="exact", objective="smdl", k=4, progress=False
    )
    found = pysmdl.load(file)
    np.testing.assert_array_equal(found.order, mine.order)
    np.testing.assert_array_equal(found.score, mine.score)


def test_dry_run_counts_and_runs_nothing(tmp_path):
    code, output = call("explain", *SCENES[:2], "--regions", "grid:49", "--dry-run", "--out", tmp_path / "none")
    assert code == 0, output
    assert output.count("1610") == 2
    assert re.search(r"about \d+ s in all on cpu", output)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "builtin:cats"], "model must be one of 'builtin:digits', 'builtin:haar-face'; got 'builtin:cats'"),
        (
            ["--model", "nowhere"],
            "model must be builtin:NAME, package.module:attribute or a file that exists; got 'nowhere'",
        ),
        (["--model", "no.such.module:model"], "cannot import no.such.module"),
        (["--model", "torch.nn:nothing"], "torch.nn has no nothing"),
        (["--model", "math:pi"], "must be a scorer or callable; got float"),
        (["--mean", "0.5"], "has its own input settings; drop mean"),
        (["--model", "torch:relu", "--mean", "half"], "mean must be numbers separated by commas; got 'half'"),
        (["--model", "torch:relu", "--size", "0x3"], "size must be a number or HEIGHTxWIDTH; got '0x3'"),
        (["--search", "best"], "search must be one of"),
        (["--names", "no.txt"], "no.txt"),
    ],
)
def test_bad_arguments_are_errors_without_a_traceback(arguments, message, tmp_path):
    code, output = call("explain", SCENES[0], "--out", tmp_path, *arguments)
    assert code == 2
    assert message in " ".join(output.split())
    assert "Traceback" not in output


def test_a_bad_image_is_named_and_the_others_are_explained(tmp_path):
    code, output = call("explain", SCENES[0], tmp_path / "gone.png", "--regions", "grid:9", "--out", tmp_path)
    assert code == 1
    assert "no such image" in output
    assert "1 explained" in output


def test_images_of_the_same_name_do_not_overwrite_each_other(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.fromarray(image()).save(tmp_path / folder / "x.png")
    call("explain", tmp_path / "a/x.png", tmp_path / "b/x.png", "--regions", "grid:4", "--out", tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*.npz"))) == 2


def test_a_model_of_your_own_by_name(tmp_path, monkeypatch):
    (tmp_path / "my_model.py").write_text(
        "import torch\n\n"
        "def brightness(batch):\n    return torch.stack((batch.mean((1, 2, 3)), 0 * batch[:, 0, 0, 0]), 1) * 9\n"
    )
    (tmp_path / "names.txt").write_text("bright\ndark\n")
    Image.fromarray(image()).save(tmp_path / "x.png")
    monkeypatch.chdir(tmp_path)
    code, output = call(
        "explain", "x.png", "--model", "my_model:brightness", "--regions", "grid:9", "--names", "names.txt"
    )
    assert code == 0, output
    assert "bright" in output
    assert (tmp_path / "explanations" / "x.png").exists()


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(432, 4)

    def forward(self, x):
        return self.layer(x.flatten(1))


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("kind", ["torchscript", "exported", "exported for one batch size"])
def test_models_in_files(kind, tmp_path):
    torch.manual_seed(0)
    net, example = Net().eval(), (torch.rand(2, 3, 12, 12),)
    if kind == "torchscript":
        file = tmp_path / "net.pt"
        torch.jit.trace(net, example).save(file)
    else:
        file = tmp_path / "net.pt2"
        batch = {0: torch.export.Dim("batch")} if kind == "exported" else None
        torch.export.save(torch.export.export(net, example, dynamic_shapes=None if batch is None else (batch,)), file)
    settings = {"regions": "grid:9", "progress": False}
    found = pysmdl.explain(image(), load_model(str(file)), 1, **settings)
    own = pysmdl.explain(image(), net, 1, **settings)
    np.testing.assert_allclose(found.insertion, own.insertion, atol=1e-6)
    assert found.order.tolist() == own.order.tolist()


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "x.pt").write_text("no")
    with pytest.raises(ValueError, match="is no TorchScript file"):
        load_model(str(tmp_path / "x.pt"))


def test_env_prints_what_a_bug_report_needs():
    done = subprocess.run([sys.executable, "-m", "pysmdl", "env"], capture_output=True, text=True, check=True)
    for word in (
        "python:",
        "torch:",
        "extension compiler:",
        "extension cuda:",
        "cpu_features",
        "reference on cpu:",
        "devices:",
    ):
        assert word in done.stdout


def test_demo_tells_right_from_wrong(tmp_path):
    code, output = call("demo", "--out", tmp_path)
    assert code == 0, output
    assert len(list(tmp_path.glob("*-smdl.png"))) == len(list(tmp_path.glob("*-lima.png"))) == len(SCENES)
    assert re.search(r"scene\d_\d, (SMDL|LiMA): (read as|no set)", output)
    assert re.search(r"finds the face once [1-5] of 3\d regions are shown", " ".join(output.split()))
    assert (tmp_path / "portrait-vps.png").exists()


def test_a_box_is_explained(tmp_path):
    from pysmdl.builtin.haar import portrait

    Image.fromarray(portrait()).save(tmp_path / "portrait.png")
    code, output = call(
        "explain", tmp_path / "portrait.png", "--model", "builtin:haar-face", "--box", "39,31,90,82", "--label", "0",
        "--regions", "grid:9", "--search", "backward", "--baseline", "mean", "--out", tmp_path / "out",
    )  # fmt: skip
    assert code == 0, output
    found = pysmdl.load(tmp_path / "out" / "portrait.npz")
    assert found.target == {"xyxy": [39, 31, 90, 82], "labels": [0], "mode": "object"}
    assert found.reading["iou"][0, -1] > 0.9
    code, output = call("explain", tmp_path / "portrait.png", "--box", "39,31,90,82")
    assert code == 2
    assert "--box together with --label" in output


def test_eval_compares_methods(tmp_path):
    import csv

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
