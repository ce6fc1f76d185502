"""Jobs in tests: many small pictures, a model that answers at once, and stores of what is made up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
from command_line import ANSWER, saved

import pysmdl
from pysmdl import jobs

from toys import image, linear_model, made

SETTINGS = {"regions": "grid:9", "search": "exact", "progress": False}
MODEL = linear_model()


def items(count: int, start: int = 0) -> list[dict]:
    return [{"image": image(seed), "target": seed % 4, "id": str(seed)} for seed in range(start, start + count)]


def job(inputs, store, **settings) -> jobs.Outcome:
    return jobs.run(inputs, MODEL, store, **{**SETTINGS, **settings})


def pictures(folder: Path, count: int) -> list[Path]:
    return [saved(folder / "pictures" / f"{seed}.png", seed) for seed in range(count)]


def started(folder: Path, *options: str, model: str = ANSWER, inputs: str = "pictures") -> subprocess.Popen:
    """`pysmdl run` on a folder's pictures into its store, in a process of its own."""
    (folder / "brightness.py").write_text(f"import os\nimport time\nimport torch\n\n\ndef model(batch):\n{model}")
    command = (
        "run", inputs, "--store", "store", "--model", "brightness:model", "--regions", "grid:9", "--search", "exact",
        "--batch-size", "32",
    )  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "pysmdl", *command, *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
    )


def equal(first: pysmdl.Explanation, second: pysmdl.Explanation) -> bool:
    """Orders equal, curves to 1e-6."""
    return np.array_equal(first.order, second.order) and all(
        np.allclose(getattr(first, name), getattr(second, name), atol=1e-6)
        for name in ("insertion", "deletion", "score")
    )


__all__ = ["MODEL", "SETTINGS", "equal", "items", "job", "made", "pictures", "started"]
