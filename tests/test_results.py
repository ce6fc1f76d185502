"""The files that `pysmdl explain` leaves: those of an image together, and none lost to one that is worth less."""

from __future__ import annotations

import io
import json
import os

import pytest
from command_line import ANSWER, call, module, saved
from PIL import Image
from rich.console import Console

import pysmdl
from pysmdl import Explainer
from pysmdl.cli import commands, results

from toys import linear_model

SUFFIXES = {".json", ".npz", ".png"}


def explained(folder, model, images, **settings) -> int | None:
    """commands.explain(); None where Ctrl-C came."""
    items = [{"image": each, "target": 1, "id": each.name} for each in images]
    explainer = Explainer(model, regions="grid:16", objective="lima", search="bidirectional", **settings)
    try:
        return commands.explain(explainer, items, None, folder, Console(file=io.StringIO()))
    except KeyboardInterrupt:
        return None


def orders(folder) -> list[int]:
    return [len(pysmdl.load(path).order) for path in sorted(folder.glob("*.npz"))]


def sets(folder) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in folder.iterdir():
        found.setdefault(path.stem, set()).add(path.suffix)
    return found


class Counting:
    """A model that is stopped, or fails, when it has seen so many rows."""

    def __init__(self, most: float, error=KeyboardInterrupt) -> None:
        self.rows, self.most, self.error, self.forward = 0, most, error, linear_model()

    def __call__(self, batch):
        self.rows += len(batch)
        if self.rows > self.most:
            raise self.error("now")
        return self.forward(batch)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_was_cut_short_takes_no_whole_ones_place(error, tmp_path, caplog):
    images = [saved(tmp_path / f"{seed}.png", seed) for seed in range(3)]
    out = tmp_path / "out"
    assert explained(out, linear_model(), images) == 3
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    explained(out, Counting(250, error), images, batch_size=8)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert "0.npz is a whole explanation, and stays; this one was cut short" in caplog.text


def test_what_was_cut_short_is_written_where_nothing_whole_is_and_does_not_count(tmp_path):
    images = [saved(tmp_path / f"{seed}.png", seed) for seed in range(3)]
    out = tmp_path / "out"
    out.mkdir()
    (out / "1.npz").write_bytes(b"damaged")
    assert explained(out, Counting(250, RuntimeError), images, batch_size=8) == 0
    found = sets(out)
    assert {"0", "1"} <= set(found)
    assert all(each == SUFFIXES for each in found.values())
    assert max(orders(out)) < 16
    assert explained(out, linear_model(), images) == 3
    assert orders(out) == [16] * 3


@pytest.mark.parametrize("times", [1, 2, 100])
def test_ctrl_c_in_a_drawing_loses_nothing_that_was_settled(times, tmp_path, monkeypatch):
    images = [saved(tmp_path / f"{seed}.png", seed) for seed in range(6)]
    real, drawn = results.figure, []

    def figure(*given, **rest):
        drawn.append(given)
        if len(drawn) <= times:
            raise KeyboardInterrupt
        return real(*given, **rest)

    monkeypatch.setattr(results, "figure", figure)
    assert explained(tmp_path / "out", linear_model(), images, batch_size=64) is None
    found = sets(tmp_path / "out")
    assert len(found) >= 5
    assert set(map(frozenset, found.values())) == {frozenset(SUFFIXES if times == 1 else SUFFIXES - {".png"})}
    assert max(orders(tmp_path / "out")) == 16
    assert min(orders(tmp_path / "out")) < 16


def test_an_explanation_that_cannot_be_drawn_is_kept_without_a_picture(tmp_path, monkeypatch, caplog):
    images = [saved(tmp_path / f"{seed}.png", seed) for seed in range(2)]
    real = results.figure
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "0.png").write_bytes(b"of another explanation")

    def figure(found, **rest):
        if found.index == 0:
            raise RuntimeError("no font")
        return real(found, **rest)

    monkeypatch.setattr(results, "figure", figure)
    assert explained(tmp_path / "out", linear_model(), images) == 2
    assert sets(tmp_path / "out") == {"0": SUFFIXES - {".png"}, "1": SUFFIXES}
    assert "input '0.png' has no picture: RuntimeError: no font" in caplog.text


def test_files_that_cannot_be_written_cost_no_other_image(tmp_path, monkeypatch):
    images = [saved(tmp_path / f"{seed}.png", seed) for seed in range(2)]
    (tmp_path / "out" / "0.json").mkdir(parents=True)
    model = module(tmp_path, monkeypatch, ANSWER)
    code, output = call("explain", *images, "--model", model, "--regions", "grid:4", "--out", tmp_path / "out")
    assert code == 1
    assert "is explained, but not written: IsADirectoryError" in output
    assert "1 explained" in output
    assert sets(tmp_path / "out") == {"0": {".json"}, "1": SUFFIXES}


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_is_not_ours_is_an_error_before_anything_runs(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir(mode=0o555)
    model = module(tmp_path, monkeypatch, "    raise SystemExit(99)\n")
    code, output = call("explain", saved(tmp_path / "x.png"), "--model", model, "--out", tmp_path / "out")
    assert code == 2
    assert f"Permission denied: '{tmp_path / 'out'}'" in output


@pytest.mark.parametrize("command", ["explain", "eval", "profile", "demo"])
def test_a_folder_that_is_a_file_is_an_error_before_anything_runs(command, tmp_path, monkeypatch):
    (tmp_path / "out").write_text("")
    model = module(tmp_path, monkeypatch, "    raise SystemExit(99)\n")
    given = [] if command == "demo" else [saved(tmp_path / "x.png"), "--model", model, "--target", "0"]
    code, output = call(command, *given, "--out", tmp_path / "out")
    assert code == 2
    assert str(tmp_path / "out") in output


def test_the_files_say_the_same(tmp_path):
    assert explained(tmp_path / "out", linear_model(), [saved(tmp_path / "x.png")]) == 1
    found = pysmdl.load(tmp_path / "out" / "x.npz")
    text = (tmp_path / "out" / "x.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["order"] == found.order.tolist()
    assert text.endswith("}\n")
    with Image.open(tmp_path / "out" / "x.png") as picture:
        assert picture.size[0] > 3 * picture.size[1]
