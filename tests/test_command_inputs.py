"""Which images a command line means, and what it shows of them."""

from __future__ import annotations

import io
import re
import sys

import pytest
from command_line import ANSWER, call, module, saved

import pysmdl
from pysmdl.inputs import folders
from pysmdl.progress import Progress, reporting
from pysmdl.progress.lines import line


@pytest.fixture
def folder(tmp_path):
    for name in ("b.png", "a.PNG"):
        saved(tmp_path / "in" / name)
    saved(tmp_path / "in" / "below" / "c.jpg")
    (tmp_path / "in" / "notes.md").write_text("no image")
    return tmp_path / "in"


def names(paths):
    return [path.name for path in paths]


def test_a_folder_is_all_images_in_it(folder):
    assert names(folders.images([str(folder)])) == ["a.PNG", "b.png", "c.jpg"]


def test_a_pattern_is_what_it_matches_and_the_order_is_the_callers(folder):
    assert names(folders.images([f"{folder}/**/*.jpg", f"{folder}/?.png"])) == ["c.jpg", "b.png"]
    saved(folder / "[x].png")
    assert names(folders.images([f"{folder}/[x].png"])) == ["[x].png"]


@pytest.mark.parametrize("what", ["none*.png", "empty"])
def test_what_holds_no_image_is_an_error(what, folder):
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match=f"images must be files, folders or patterns; .*{re.escape(what)}' is not a"):
        folders.images([f"{folder}/{what}"])


@pytest.mark.slow
def test_a_folder_is_explained_with_names_a_preset_and_a_kind_of_picture(folder, tmp_path, monkeypatch):
    (tmp_path / "names.txt").write_text("bright\ndark, gloomy\n")
    code, output = call(
        "explain", folder, "--model", module(tmp_path, monkeypatch, ANSWER), "--names", tmp_path / "names.txt",
        "--target", "gloomy", "--preset", "lima", "--objective", "smdl", "--regions", "grid:4", "--out", tmp_path,
    )  # fmt: skip
    assert code == 2
    assert "preset='lima' says what objective is" in output
    code, output = call(
        "explain", folder, "--model", module(tmp_path, monkeypatch, ANSWER), "--names", tmp_path / "names.txt",
        "--target", "gloomy", "--preset", "lima", "--plot", "steps", "--regions", "grid:4", "--out", tmp_path / "out",
    )  # fmt: skip
    assert code == 0, output
    assert "dark, gloomy" in output
    found = pysmdl.load(tmp_path / "out" / "c.npz")
    assert (found.target, found.notes["search"], found.names[1]) == (1, "bidirectional", "dark, gloomy")
    assert found.provenance["source"].endswith("c.jpg")
    assert sorted(path.suffix for path in (tmp_path / "out").glob("a.*")) == [".json", ".npz", ".png"]


def test_no_picture_is_drawn_where_none_is_wanted(folder, tmp_path, monkeypatch):
    arguments = ("explain", folder, "--model", module(tmp_path, monkeypatch, ANSWER), "--regions", "grid:4")
    assert call(*arguments, "--plot", "none", "--out", tmp_path / "out")[0] == 0
    assert not list((tmp_path / "out").glob("*.png"))
    code, output = call(*arguments, "--plot", "heat", "--out", tmp_path / "out")
    assert code == 2
    assert "plot must be one of" in output


@pytest.mark.slow
def test_open_shows_the_one_picture_or_the_folder(folder, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("typer.launch", shown.append)
    model = module(tmp_path, monkeypatch, ANSWER)
    for given, out in ((folder / "b.png", "one"), (folder, "all")):
        call("explain", given, "--model", model, "--regions", "grid:4", "--open", "--out", tmp_path / out)
    assert shown == [str(tmp_path / "one" / "b.png"), str(tmp_path / "all")]


@pytest.mark.slow
def test_help_begins_with_what_most_people_need():
    _, output = call("explain", "--help")
    lines = output.splitlines()
    assert len(lines) <= 54
    common = next(i for i, text in enumerate(lines) if "Common" in text)
    end = next(i for i, text in enumerate(lines) if "set function" in text)
    assert end < 32
    for option in ("--model", "--target", "--names", "--preset", "--search", "--plot", "--out", "--open"):
        assert any(option in text for text in lines[common:end]), option


def test_a_log_file_gets_a_line_every_so_often(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("pysmdl.progress.lines.Lines.interval", 0.0)
    with reporting(True) as report:
        assert report is None  # but not where nobody asked for lines
    with reporting(True, lines=True) as report:
        report(Progress(evaluations=30, expected=100, finished=1, inputs=4, seconds=10.0))
    (text,) = stream.getvalue().splitlines()
    assert text == "1/4 explained, 30/100 evaluations, 3/s, 0:10 gone, 0:23 left"


def test_a_log_file_that_is_gone_stops_no_run(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("pysmdl.progress.lines.Lines.interval", 0.0)
    monkeypatch.setattr(sys, "stderr", stream)
    with reporting(True, lines=True) as report:
        stream.close()
        report(Progress())
        report(Progress())


def test_a_line_of_hours():
    assert "1:01:05 gone" in line(Progress(seconds=3665.0, evaluations=1))


def test_a_notebook_has_one_line_that_changes(monkeypatch):
    shown = []

    class Handle:
        def update(self, what):
            shown.append(("update", repr(what)))

    def display(what, display_id):
        shown.append(("display", repr(what)))
        return Handle()

    ipython = type(sys)("IPython.display")
    ipython.display = display
    monkeypatch.setitem(sys.modules, "IPython.display", ipython)
    monkeypatch.setitem(sys.modules, "IPython", type(sys)("IPython"))
    monkeypatch.setitem(sys.modules, "ipykernel", type(sys)("ipykernel"))
    monkeypatch.setattr("pysmdl.progress.lines.Notebook.interval", 0.0)
    with reporting(True) as report:
        report(Progress(evaluations=1, expected=2, inputs=1))
        report(Progress(evaluations=2, expected=2, inputs=1))
    assert [kind for kind, _ in shown] == ["display", "update", "update"]
    assert "2/2 evaluations" in shown[-1][1]
