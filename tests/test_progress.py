"""The bar on standard error: where there is none, where it breaks in the middle of a run, and two at once."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

import pysmdl

from toys import explain, image, linear_model, same


class Plain:
    """All that a stream needs for print()."""

    def write(self, text):
        pass


class Angry(io.StringIO):
    def isatty(self):
        raise OSError("who knows")


class Terminal(io.StringIO):
    """A terminal that is gone after so many writes."""

    def __init__(self, error=None, writes=0):
        super().__init__()
        self.error, self.left = error, writes

    def isatty(self):
        return True

    def write(self, text):
        if self.error is not None:
            if self.left == 0:
                raise self.error
            self.left -= 1
        return super().write(text)

    @property
    def shown(self) -> str:
        return self.getvalue()


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("pysmdl.progress.bar.INTERVAL", 0)  # drawn after each batch


@pytest.mark.parametrize("stream", [None, closed(), Plain(), Angry()], ids=["none", "closed", "plain", "raises"])
def test_without_a_terminal_there_is_no_bar_and_the_explanation(stream, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream)
    alone = explain(linear_model(), progress=True)
    (streamed,) = pysmdl.explain_many([(image(), 1)], linear_model(), regions="grid:16")
    steps = list(pysmdl.explain_steps(image(), linear_model(), 1, regions="grid:16", progress=True))
    assert same(alone, streamed)
    assert same(alone, steps[-1].explanation)
    if isinstance(stream, Angry):
        assert stream.getvalue() == ""


def test_a_terminal_shows_how_far_it_is(monkeypatch):
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    found = explain(linear_model(), progress=True, batch_size=8)
    assert sys.stderr is shown
    assert f"{found.evaluations}/" in shown.shown
    assert "1/1 explained" in shown.shown


GONE = [
    BrokenPipeError(),
    OSError("Input/output error"),
    ValueError("closed"),
    UnicodeEncodeError("ascii", "━", 0, 1, ""),
]


@pytest.mark.parametrize("error", GONE, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("writes", [0, 1, 2, 3, 5, 8])
def test_a_terminal_that_goes_away_takes_no_explanation_along(error, writes, monkeypatch):
    shown, out = Terminal(error, writes), Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr(sys, "stdout", out)
    found = explain(linear_model(), progress=True, batch_size=4)
    assert sys.stderr is shown
    assert sys.stdout is out
    assert same(found, explain(linear_model(), batch_size=4))


def test_what_is_printed_meanwhile_goes_where_it_should(monkeypatch):
    printed = io.StringIO()
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(sys, "stdout", printed)
    for found in pysmdl.explain_many([(image(), 1)], linear_model(), regions="grid:4"):
        print(found.n)  # noqa: T201
    assert printed.getvalue() == "4\n"


def test_a_run_inside_another_shows_no_second_bar(monkeypatch):
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    stream = pysmdl.explain_many([(image(seed), 1) for seed in range(2)], linear_model(), regions="grid:9")
    next(stream)
    before = shown.shown
    explain(linear_model(), progress=True)
    assert shown.shown == before
    list(stream)
    explain(linear_model(), progress=True)
    assert "1/1 explained" in shown.shown


@pytest.mark.slow
def test_a_log_nobody_can_read_ends_no_run():
    code = (
        "import io, sys, numpy as np, pysmdl\n"
        "sys.stderr = io.StringIO(); sys.stderr.close()\n"
        "image, limit = np.ones((8, 8, 3), np.uint8), 4\n"
        "def model(batch):\n"
        "    if len(batch) > limit: raise MemoryError\n"
        "    return batch.mean((2, 3))\n"
        "items = [(image, 1), (image, 7), (image, 2)]\n"
        "found = pysmdl.explain_many(items, model, regions='grid:4', batch_size=8, on_error='skip')\n"
        "print([each.index for each in found])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "[0, 2]", ran
