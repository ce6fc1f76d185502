"""Jobs in tests: many small pictures, a model that answers at once, and stores of what is made up."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from command_line import ANSWER, saved

import pysmdl
from pysmdl import jobs
from pysmdl.cli import main

from toys import image, linear_model, made

SETTINGS = {"regions": "grid:9", "search": "exact", "progress": False}
MODEL = linear_model()
LOADED = multiprocessing.get_context("forkserver")


def items(count: int, start: int = 0) -> list[dict]:
    return [{"image": image(seed), "target": seed % 4, "id": str(seed)} for seed in range(start, start + count)]


def job(inputs, store, **settings) -> jobs.Outcome:
    return jobs.run(inputs, MODEL, store, **{**SETTINGS, **settings})


def pictures(folder: Path, count: int) -> list[Path]:
    return [saved(folder / "pictures" / f"{seed}.png", seed) for seed in range(count)]


def started(folder: Path, *options: str, model: str = ANSWER, inputs: str = "pictures") -> subprocess.Popen:
    """`pysmdl run` on a folder's pictures into its store, in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "pysmdl", *_command(folder, model, inputs), *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
    )


class Forked:
    """The same in a process that was forked where torch and pysmdl are loaded, which takes seconds less."""

    def __init__(self, folder: Path, *options: str, model: str = ANSWER) -> None:
        self._said = folder / f"said-{time.monotonic_ns()}"
        command = [*_command(folder, model, "pictures"), *options]
        LOADED.set_forkserver_preload(["torch", "pysmdl.cli", "pysmdl.jobs", "pyarrow.parquet", "pandas"])
        self._process = LOADED.Process(target=_run, args=(folder, command, self._said))
        self._process.start()
        self.kill = self._process.kill

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: int) -> None:
        os.kill(self._process.pid, number)

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        return self.returncode

    def communicate(self) -> tuple[str, None]:
        self.wait()
        return self._said.read_text() if self._said.exists() else "", None


def _run(folder: Path, command: list[str], said: Path) -> None:
    os.chdir(folder)
    file = os.open(said, os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(file, stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    sys.argv, sys.path = ["pysmdl", *command], ["", *sys.path]
    main()


def _command(folder: Path, model: str, inputs: str) -> list[str]:
    (folder / "brightness.py").write_text(f"import os\nimport time\nimport torch\n\n\ndef model(batch):\n{model}")
    return [
        "run", inputs, "--store", "store", "--model", "brightness:model", "--regions", "grid:9", "--search", "exact",
        "--batch-size", "32",
    ]  # fmt: skip


def equal(first: pysmdl.Explanation, second: pysmdl.Explanation) -> bool:
    """Orders equal, curves to 1e-6."""
    return np.array_equal(first.order, second.order) and all(
        np.allclose(getattr(first, name), getattr(second, name), atol=1e-6)
        for name in ("insertion", "deletion", "score")
    )


__all__ = ["MODEL", "SETTINGS", "Forked", "equal", "items", "job", "made", "pictures", "started"]


def write_manifest(kind, folder, rows):
    path = folder / f"manifest.{kind}"
    if kind == "csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    elif kind == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return path
