"""What commands say, to whom, and how they end: standard streams that are odd, errors, bugs, names that are no text."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from command_line import SCENES, call, module, saved
from rich.console import Console
from rich.table import Table

from pysmdl.cli import commands, console

ODD = os.fsdecode(b"caf\xe9\x1b[31m.png")


class Writer:
    """Neither a terminal nor anything else but written to."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text


def run(*arguments, **settings) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "pysmdl", *map(str, arguments)], check=False, **settings)


@pytest.mark.parametrize("stream", ["None", "closed", "plain"])
def test_streams_that_are_odd_stop_nobody(stream, monkeypatch):
    closed, plain = io.StringIO(), Writer()
    closed.close()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, {"None": None, "closed": closed, "plain": plain}[stream])
    console.console(stderr=True)
    console.out.print("found")
    console.say("error", "lost")
    monkeypatch.undo()
    if stream == "plain":
        assert plain.text == "found\nerror: lost\n"


def test_a_stream_of_another_encoding_gets_escapes(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    console.out.print("0.5 ± 0.1 µs")
    sys.stdout.flush()
    assert written.getvalue() == b"0.5 \\xb1 0.1 \\xb5s\n"


@pytest.mark.parametrize("width", [30, 40, 80])
def test_no_terminal_is_so_narrow_that_a_number_is_cut(width):
    table = Table("input", "insertion auc", "deletion auc", "rows")
    table.add_row("a photograph.png", "0.864 ± 0.133", "0.133 ± 0.001", "630")
    written = io.StringIO()
    console.tell(table, Console(file=written, width=width))
    for whole in ("a photograph.png", "0.864 ± 0.133", "0.133 ± 0.001", "630"):
        assert whole in written.getvalue()
    if width < 80:
        assert written.getvalue().startswith("a photograph.png: insertion auc 0.864 ± 0.133, deletion auc 0.133")


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["1", "2"])
def test_a_process_without_a_stream_does_its_work(closed, tmp_path):
    photo = saved(tmp_path / "x.png")
    command = f"exec {sys.executable} -m pysmdl explain {photo} --regions grid:4 --out {tmp_path}/out {closed}>&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert (tmp_path / "out" / "x.npz").exists()


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_hears_no_complaint():
    read, write = os.pipe()
    os.close(read)
    done = run("env", stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_printed_is_text(tmp_path):
    assert console.printable(ODD) == r"caf\xe9\x1b[31m.png"
    assert console.printable(tmp_path / ODD) == str(tmp_path) + r"/caf\xe9\x1b[31m.png"
    assert console.printable("日本\n\ud800") == "日本\n\\ud800"


@pytest.mark.slow
def test_a_name_that_is_not_utf_8_goes_through(tmp_path):
    photo = saved(tmp_path / ODD)
    done = run(
        "explain", photo, tmp_path / os.fsdecode(b"gone\xff.png"), "--regions", "grid:4",
        "--out", tmp_path / os.fsdecode(b"out\xff"), capture_output=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert rb"caf\xe9\x1b[31m.png" in done.stdout
    assert rb"out\xff" in done.stdout
    assert rb"gone\xff.png" in done.stderr
    stems = {path.stem for path in (tmp_path / os.fsdecode(b"out\xff")).iterdir()}
    assert stems == {ODD.removesuffix(".png")}


def test_a_mistake_is_a_line_and_with_debug_a_traceback():
    arguments = ("explain", SCENES[0], "--regions", "grid:0")
    code, output = call(*arguments)
    assert (code, "Traceback" in output) in ((1, False), (2, False))
    arguments = ("explain", SCENES[0], "--search", "best")
    for before, after in ([], []), (["--debug"], []), ([], ["--debug"]), ([], []):
        code, output = call(*before, *arguments, *after)
        assert code == 2
        assert "error: search must be one of" in output
        assert ("Traceback" in output) == bool(before or after)


@pytest.mark.parametrize("bug", ["1 / 0", "int('x')", "[].index(3)", "None.x", "len(3)", "{}['x']", "int(None)"])
def test_a_bug_is_no_mistake_of_the_users(bug, monkeypatch):
    monkeypatch.setattr(commands, "estimate", lambda *_: eval(bug))
    code, output = call("explain", SCENES[0], "--dry-run")
    assert code == 1
    assert "this is a bug of pysmdl" in output
    assert "--debug" in output
    assert "Traceback" not in output
    assert "Traceback" in call("--debug", "explain", SCENES[0], "--dry-run")[1]


@pytest.mark.parametrize("error", ["OSError(28, 'No space left on device')", "MemoryError()"])
def test_what_the_machine_lacks_is_no_bug(error, monkeypatch):
    def fail(*_):
        raise eval(error)

    monkeypatch.setattr(commands, "estimate", fail)
    code, output = call("explain", SCENES[0], "--dry-run")
    assert code == 2
    assert "error: " in output
    assert "bug" not in output


def test_the_log_says_of_which_type_an_error_is(tmp_path, monkeypatch):
    def load(_):
        raise KeyError("x")

    monkeypatch.setattr("pysmdl.inputs.image_files.load", load)
    for command in ("explain", "eval"):
        _, output = call(command, saved(tmp_path / "x.png"), "--regions", "grid:4", "--out", tmp_path / "out")
        assert "skipped: KeyError: 'x'" in output


def test_names_of_models_are_printed_as_text(tmp_path, monkeypatch):
    model = module(tmp_path, monkeypatch, "    raise ValueError('\\x1b[31m')\n")
    _, output = call("explain", saved(tmp_path / "x.png"), "--model", model, "--regions", "grid:4", "--out", tmp_path)
    assert r"ValueError: \x1b[31m" in output
