"""The examples run from any folder, write to the folder they are given alone, and show what they say."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SCENES = "172598674"  # the digit on each
SHOWN = {  # what each prints, and the files that it writes
    "black_box": (["it says red", "1. (2, 6)"], []),
    "classifier": (["scene3_5.png: ", "how sure the model is of 5", "regions are enough"], ["classifier.png"]),
    "clip": (["<Encoder: CLIPModel, 3 prompts, 64 x 64 (shorter side 72, centre crop)", "a cat: 0."], ["clip.png"]),
    "detector": (["1.00 on the whole image", "1.00 with its first 4 of 64 regions alone, 0.00"], ["detector.png"]),
    "endpoint": (["first run: ", " views, 0 asked, ", "region 6 decides"], []),
    "every_input": (
        ["of 20 segments, 20 % of the time, alone give 0.94", 'Most is added by "age" (3.00), "weight"', '"sound: 2"'],
        ["row.png", "several.png", "sound.png"],
    ),
    "mllm": (
        ["what it answers to 'What is in the picture?', 64 x 64", "'five': 0.", "without regions ["],
        ["mllm.png"],
    ),
    "own_search": (["exact          lima", "two_at_a_time  log_odds"], []),
    "stream": (
        ["scene0_1.npz: 1 with", "input 9 failed: no such image"],
        [f"scene{number}_{digit}.npz" for number, digit in enumerate(SCENES)],
    ),
}


def test_every_example_is_run():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(SHOWN)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHOWN)
def test_an_example_shows_what_it_says(name, tmp_path, monkeypatch, capsys):
    elsewhere, given = tmp_path / "elsewhere", tmp_path / "given"
    elsewhere.mkdir()
    given.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", str(given)])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    printed = capsys.readouterr().out
    lines, files = SHOWN[name]
    for line in lines:
        assert line in printed
    assert sorted(path.name for path in given.iterdir()) == files
    assert not list(elsewhere.iterdir())
