"""What a store costs: time over explain_many, size of a row, the scan before a resume, memory of a long job.

python benchmarks/bench_jobs.py overhead | scan | memory INPUTS | sleeping COUNT | cores COUNT | idle COUNT INPUTS
"""

from __future__ import annotations

import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import pysmdl
from pysmdl import builtin, jobs
from pysmdl.jobs.job import ids
from pysmdl.jobs.parts import content_of, named
from pysmdl.jobs.places import place_of
from pysmdl.jobs.ray_driver import RayWorkers
from pysmdl.jobs.rows import row_of
from pysmdl.jobs.schema import part
from pysmdl.jobs.sources import entries_of
from pysmdl.jobs.state import State
from pysmdl.jobs.stopping import Stop
from pysmdl.jobs.task import Factory, Keeping, RayOptions, Task

SETTINGS: dict[str, Any] = {"regions": "grid:16", "progress": False}


def scenes(count: int) -> Iterator[dict[str, Any]]:
    """Noise on a photograph: no two alike, made when they are wanted."""
    from PIL import Image

    photograph = np.asarray(Image.open(builtin.images()[0]["path"]).convert("RGB").resize((64, 64)))
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 40, photograph.shape, dtype=np.uint8)
        yield {"image": np.minimum(photograph, 215) + noise, "id": str(number)}


def overhead(pairs: int = 5, count: int = 30) -> None:
    """A job over explain_many on the same inputs: wall time, and that of the processor, which other work on the machine
    changes less. Each pair is four runs, first and last of one kind, so that a machine that grows faster or slower
    meanwhile favours neither; both have run once before.
    """
    scorer = builtin.load("digits")
    both = (explain_all, explain_stored)
    for work in both:
        work(list(scenes(16)), scorer)
    walls, processors = [], []
    for pair in range(pairs):
        given, times = list(scenes(count)), np.zeros((2, 2))
        for kind in (0, 1, 1, 0) if pair % 2 else (1, 0, 0, 1):
            times[kind] += timed(partial(both[kind], given, scorer))
        wall, processor = times[1] / times[0]
        walls.append(wall)
        processors.append(processor)
        print(f"{times[0, 0]:.2f} s, {wall:.3f}, of the processor's {processor:.3f}", flush=True)
    print(f"median of {pairs} pairs: {median(walls):.3f}, of the processor's {median(processors):.3f}")


def explain_stored(given: list[dict[str, Any]], scorer: Any) -> None:
    """With one."""
    with tempfile.TemporaryDirectory() as folder:
        jobs.run(given, scorer, Path(folder) / "store", **SETTINGS)


def explain_all(given: list[dict[str, Any]], scorer: Any) -> None:
    """Without a store."""
    for _ in pysmdl.explain_many(given, scorer, **SETTINGS):
        pass


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds on the wall and of the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def scan(rows: int = 50_000, each: int = 256) -> None:
    """Seconds until all ids of a store are known."""
    found = pysmdl.explain(next(scenes(1))["image"], builtin.load("digits"), **SETTINGS)
    with tempfile.TemporaryDirectory() as folder:
        place = place_of(folder)
        place.ready()
        for start in range(0, rows, each):
            count = min(each, rows - start)
            part_rows = [row_of(found, f"photographs/{start + number:08d}.jpg") for number in range(count)]
            content = content_of(part_rows, part())
            place.write(named("parts", content), content)
        began = time.perf_counter()
        count = len(ids(place, "parts"))
        print(f"{count} ids of {len(place.names('parts'))} parts in {time.perf_counter() - began:.2f} s")


def memory(count: int) -> None:
    """Peak memory of a job of so many inputs."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {**SETTINGS, "regions": "grid:4", "search": "exact", "k": 1}
        jobs.run(scenes(count), builtin.load("digits"), Path(folder) / "store", **settings)
    print(f"{count} inputs: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB at most")


class Sleeping:
    """A model that takes its time and no processor: two milliseconds a row."""

    def __call__(self, batch: Any) -> Any:
        time.sleep(0.002 * len(batch))
        return batch.mean((2, 3))


class Unequal:
    """Likewise, up to 120 milliseconds a row, as bright as its first pixel."""

    def __call__(self, batch: Any) -> Any:
        time.sleep(0.12 * float(batch[:, 0, 0, 0].sum()))
        return batch.mean((2, 3))


def sleeping(count: int, each: int = 40) -> float:
    """Evaluations a second of so many workers of Ray's on a model that sleeps."""
    sizes = (4, 9, 16, 25, 36)  # regions: the dearest takes a hundred times as long as the cheapest
    dice = np.random.default_rng(0)
    given = [{**one, "regions": f"grid:{dice.choice(sizes)}"} for one in scenes(each * count)]
    return watch(count, given, Sleeping, RayOptions(cpus=2 / count), 0.1, 0.9)


def cores(count: int, each: int = 40) -> float:
    """Likewise of workers that have a core each, on a model that wants it: the built-in one."""
    given = [{**one, "regions": "grid:25"} for one in scenes(each * count)]
    return watch(count, given, partial(builtin.load, "digits"), RayOptions(), 0.1, 0.9)


def over_one(work: Callable[[int], float], count: int, pairs: int = 5) -> None:
    """So many workers over one, pair after pair, the order turned each time."""
    ratios = []
    for pair in range(pairs):
        rates = {workers: work(workers) for workers in ((1, count) if pair % 2 else (count, 1))}
        ratios.append(rates[count] / rates[1])
        print(f"{count} workers over one: {ratios[-1]:.3f}", flush=True)
    print(f"median of {pairs} pairs: {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


def idle(count: int, inputs: int) -> None:
    """Likewise on inputs whose costs are log-normal, from when all workers have begun until the last 1 %."""
    dice = np.random.default_rng(0)
    given = []
    for number in range(inputs):
        picture = dice.integers(1, 255, (16, 16, 3), dtype=np.uint8)
        picture[:8, :8] = np.clip(20 * dice.lognormal(0, 1), 1, 255)
        given.append({"image": picture, "regions": "grid:4", "id": str(number)})
    watch(count, given, Unequal, RayOptions(cpus=2 / count), 0.0, 0.99)


def watch(count: int, given: list[dict[str, Any]], model: Any, options: RayOptions, first: float, last: float) -> float:
    """Run a job on workers and say what they did while between two shares of the inputs were done; how many evaluations
    a second that was.
    """
    inputs = len(given)
    with tempfile.TemporaryDirectory() as folder:
        keeping = Keeping(str(Path(folder) / "store"), "1-of-1", 64, 2.0, 60.0, False)
        settings = {"search": "exact", "batch_size": 32, "config": pysmdl.EngineConfig(max_searches=8)}
        task = Task(Factory(model), settings, None, keeping)
        state, seen = State(total=inputs), []
        place_of(keeping.store).ready()
        with RayWorkers(task, count, options, Stop()) as made:
            made.asked()
            thread = threading.Thread(target=made.work, args=(entries_of(given), state))
            thread.start()
            while thread.is_alive():
                all_there = sum(" done" in each for each in state.workers) == count
                empty = sum("0 in hand" in each.split(", ") for each in state.workers)
                model_time = state.model_seconds or 0.0
                seen.append((time.perf_counter(), state.done, model_time, all_there, empty, state.evaluations))
                time.sleep(0.1)
    inside = [each for each in seen if each[3] and inputs * first <= each[1] <= inputs * last]
    (began, done, model_before, *_, before), (ended, done_after, model_after, *_, after) = inside[0], inside[-1]
    seconds = ended - began
    rate = (after - before) / seconds
    share = (model_after - model_before) / seconds  # of one worker: model_seconds is their mean
    empty = np.mean([each[4] for each in inside]) / count
    print(f"{count} workers, {done} to {done_after} of {inputs}: {rate:.0f} evaluations a second")
    print(f"the model has {share:.1%} of their time; they have nothing in hand {empty:.2%} of it", flush=True)
    return rate


if __name__ == "__main__":
    which = sys.argv[1] if len(sys.argv) > 1 else "overhead"
    if which == "memory":
        memory(int(sys.argv[2]))
    elif which in ("sleeping", "cores"):
        over_one({"sleeping": sleeping, "cores": cores}[which], int(sys.argv[2]))
    elif which == "idle":
        idle(int(sys.argv[2]), int(sys.argv[3]))
    else:
        {"overhead": overhead, "scan": scan}[which]()
