"""Processes that are killed, and signals that stop: what is on the disk is whole, and what was settled is there.

PYSMDL_KILLS sets how many times `pysmdl explain` is killed, at random instants.
"""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from command_line import ANSWER, saved
from PIL import Image

import pysmdl

pytestmark = pytest.mark.slow  # processes that are killed and run again
KILLS = int(os.environ.get("PYSMDL_KILLS", "2"))
SUFFIXES = (".json", ".npz", ".png")


def started(command: str, folder: Path, images, *options: str) -> subprocess.Popen:
    """`pysmdl` on images, with a model of the folder's, in a process of its own."""
    (folder / "brightness.py").write_text(f"import torch\n\n\ndef model(batch):\n{ANSWER}")
    names = [str(each) for each in images]
    return subprocess.Popen(
        [sys.executable, "-m", "pysmdl", command, *names, "--model", "brightness:model", "--out", "out", *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        text=True,
        preexec_fn=partial(
            signal.signal, signal.SIGINT, signal.default_int_handler
        ),  # ignored in a job that began with &
    )


def wait_for(there, process: subprocess.Popen) -> None:
    """Until something is there, or the process has ended."""
    while not there() and process.poll() is None:
        time.sleep(0.001)


def sets(folder: Path) -> dict[str, set[str]]:
    """Suffixes of the files there are of each image, all of which can be read."""
    found: dict[str, set[str]] = {}
    for path in folder.iterdir():
        if path.name.startswith(".pysmdl-"):  # what the next run clears away
            continue
        found.setdefault(path.stem, set()).add(path.suffix)
        if path.suffix == ".npz":
            pysmdl.load(path)
        elif path.suffix == ".json":
            json.loads(path.read_text())
        else:
            with Image.open(path) as picture:
                picture.load()
    return found


def test_a_run_that_is_killed_leaves_all_files_of_an_image_or_none(tmp_path):
    images = [saved(tmp_path / f"{seed}.png", seed) for seed in range(14)]
    out, dice = tmp_path / "out", random.Random(0)
    seconds = 4.0  # that writing takes, until a run was seen to end
    for kill in range(KILLS):
        for path in list(out.glob("*")) if kill % 2 else []:  # every other one meets files that are there
            path.unlink() if path.is_file() else path.rmdir()
        process = started("explain", tmp_path, images, "--regions", "grid:4", "--k", "1")
        wait_for(lambda: any(out.glob("*.npz")), process)
        began = time.monotonic()
        time.sleep(dice.uniform(0, seconds))
        if process.poll() is not None:
            seconds = time.monotonic() - began
        process.kill()
        process.communicate()
        assert all(found == set(SUFFIXES) for found in sets(out).values())
    time.sleep(2)  # what was left just now might still be somebody's
    process = started("explain", tmp_path, images, "--regions", "grid:4", "--k", "1")
    assert "14 explained" in process.communicate()[0]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        f"{n}{suffix}" for n in range(14) for suffix in SUFFIXES
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_files_are_written_loses_nothing_that_was_settled(number, code, tmp_path):
    images = [saved(tmp_path / f"{seed}.png", seed) for seed in range(20)]
    process = started("explain", tmp_path, images, "--regions", "grid:9", "--batch-size", "64")
    out = tmp_path / "out"
    wait_for(lambda: any(files for _, _, files in os.walk(out)), process)  # whose folders come and go meanwhile
    process.send_signal(number)
    said = process.communicate()[0]
    assert process.returncode == code, said
    assert "stopped" in said
    found = sets(out)
    assert len(found) > 1, said  # of the other inputs in flight, as far as they had come
    assert all(each == set(SUFFIXES) for each in found.values())
    assert not list(out.glob(".pysmdl-*"))


def test_rows_of_an_eval_that_is_killed_remain(tmp_path):
    images = [saved(tmp_path / f"{seed}.png", seed, size=36) for seed in range(30)]
    process = started("eval", tmp_path, images, "--regions", "grid:36", "--methods", "exact,backward")
    table = tmp_path / "out" / "evaluation.csv"
    wait_for(lambda: table.exists() and len(table.read_text().splitlines()) > 3, process)
    process.kill()
    process.communicate()
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 3
    assert all(float(row["insertion_auc"]) >= 0 for row in rows)


def test_a_kept_eval_that_is_killed_goes_on_with_what_is_left(tmp_path):
    images = [saved(tmp_path / f"{seed}.png", seed, size=36) for seed in range(24)]
    options = ("--regions", "grid:36", "--methods", "exact,backward", "--target", "0")
    kept = tmp_path / "kept"

    def rows() -> list[dict]:
        with (tmp_path / "out" / "evaluation.csv").open(newline="") as file:
            return [{name: each for name, each in row.items() if "seconds" not in name} for row in csv.DictReader(file)]

    parts: set[Path] = set()
    for _ in range(max(1, KILLS // 2)):
        process = started("eval", tmp_path, images, *options, "--store", "kept")
        wait_for(lambda: len(set(kept.glob("*/parts/*.parquet"))) > len(parts), process)  # noqa: B023
        process.kill()
        process.communicate()
        parts = set(kept.glob("*/parts/*.parquet"))
    assert parts
    process = started("eval", tmp_path, images, *options, "--store", "kept")
    said = process.communicate()[0]
    assert process.returncode == 0, said
    assert parts <= set(kept.glob("*/parts/*.parquet"))
    for method in ("exact", "backward"):
        store = pysmdl.open_store(kept / method)
        assert store.verify().problems == ()
        assert sorted(store.ids) == sorted(map(str, images))
    found = rows()
    started("eval", tmp_path, images, *options).communicate()
    assert found == rows()
