"""What a store costs: time over explain_many, size of a row, the scan before a resume, memory of a long job.

python benchmarks/bench_jobs.py overhead|scan|memory
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import pysmdl
from pysmdl import builtin, jobs
from pysmdl.jobs.job import ids
from pysmdl.jobs.parts import content_of, named
from pysmdl.jobs.places import place_of
from pysmdl.jobs.rows import row_of
from pysmdl.jobs.schema import part

SETTINGS: dict[str, Any] = {"regions": "grid:16", "progress": False}


def scenes(count: int) -> Iterator[dict[str, Any]]:
    """Noise on a photograph: no two alike, made when they are wanted."""
    from PIL import Image

    photograph = np.asarray(Image.open(builtin.images()[0]["path"]).convert("RGB").resize((64, 64)))
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 40, photograph.shape, dtype=np.uint8)
        yield {"image": np.minimum(photograph, 215) + noise, "id": str(number)}


def overhead(pairs: int = 5, count: int = 150) -> None:
    """Seconds of a job over those of explain_many on the same inputs, one after the other."""
    scorer = builtin.load("digits")
    list(pysmdl.explain_many(list(scenes(32)), scorer, **SETTINGS))
    found = []
    for _ in range(pairs):
        given = list(scenes(count))
        began = time.perf_counter()
        list(pysmdl.explain_many(given, scorer, **SETTINGS))
        alone = time.perf_counter() - began
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            jobs.run(given, scorer, Path(folder) / "store", **SETTINGS)
            found.append((time.perf_counter() - began) / alone)
        print(f"explain_many {alone:.2f} s, ratio {found[-1]:.3f}", flush=True)
    print(f"median of {pairs} pairs: {median(found):.3f}")


def scan(rows: int = 50_000, each: int = 256) -> None:
    """Seconds until all ids of a store are known."""
    found = pysmdl.explain(next(scenes(1))["image"], builtin.load("digits"), **SETTINGS)
    with tempfile.TemporaryDirectory() as folder:
        place = place_of(folder)
        place.ready()
        for start in range(0, rows, each):
            count = min(each, rows - start)
            part_rows = [row_of(found, f"photographs/{start + number:08d}.jpg") for number in range(count)]
            place.write(named("parts"), content_of(part_rows, part()))
        began = time.perf_counter()
        count = len(ids(place, "parts"))
        print(f"{count} ids of {len(place.names('parts'))} parts in {time.perf_counter() - began:.2f} s")


def memory(count: int) -> None:
    """Peak memory of a job of so many inputs."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {**SETTINGS, "regions": "grid:4", "search": "exact", "k": 1}
        jobs.run(scenes(count), builtin.load("digits"), Path(folder) / "store", **settings)
    print(f"{count} inputs: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB at most")


if __name__ == "__main__":
    which = sys.argv[1] if len(sys.argv) > 1 else "overhead"
    if which == "memory":
        memory(int(sys.argv[2]))
    else:
        {"overhead": overhead, "scan": scan}[which]()
