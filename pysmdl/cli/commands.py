"""What the commands do: run, save as results come, print a table."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from pysmdl import disk
from pysmdl.cli.console import printable, tell
from pysmdl.cli.profile_table import table as profile_table
from pysmdl.cli.results import Results, paths_of
from pysmdl.engine import Item
from pysmdl.errors import described
from pysmdl.explainer import Explainer
from pysmdl.explanation import Explanation
from pysmdl.explanation.files import plain
from pysmdl.explanation.text_sheets import is_text, terminal
from pysmdl.profiling import Profile
from pysmdl.progress import reporting
from pysmdl.scorers import Scorer, Wanted

log = logging.getLogger("pysmdl")


def explain(
    explainer: Explainer,
    items: Sequence[Mapping[str, Any]],
    names: Sequence[str] | None,
    folder: Path,
    out: Console,
    kind: str = "row",
) -> int:
    """Explain; write PNG, npz and JSON as each is done; print a table. Returns how many were explained.

    Ctrl-C, wherever it comes, loses nothing that was settled: what is being written is written, and so is what the
    engine hands over of the inputs in flight.
    """
    results = Results(paths_of(items), names, folder, kind)

    def skip(number: int, error: Exception) -> None:
        partial = getattr(error, "partial", ())
        kept = "; what was settled is kept" if partial else ""
        log.error("input %r skipped: %s%s", items[number]["id"], described(error), kept)  # as text: see Engine._fail
        for found in partial:
            results.keep(found)

    def keep(found: Explanation) -> None:
        results.keep(found)
        for each in found.each:
            if is_text(each):
                out.print(terminal(each), soft_wrap=True)

    try:
        with reporting(True, lines=True) as report:
            _hand_over(explainer.run(items, report or False, on_error=skip), keep)
    finally:
        results.summary(out, results.whole)
    return results.whole


def _hand_over(run: Any, keep: Callable[[Explanation], None]) -> None:
    """Keep all that a run yields. Ctrl-C meanwhile goes to the run, which then yields what is settled of the rest."""
    proceed: Callable[[], Explanation] = partial(next, run)
    stopped = False
    while True:
        try:
            found = proceed()
        except StopIteration:
            return
        proceed = partial(next, run)
        stopped |= found.notes.get("stopped") == "interrupted"
        try:
            keep(found)
        except KeyboardInterrupt as stop:
            if not stopped:  # else it is handing over already, and would end
                proceed, stopped = partial(run.throw, stop), True


def estimate(explainer: Explainer, items: Sequence[Mapping[str, Any]], out: Console) -> None:
    """Evaluations by the search's own count, time by forward passes of each image's shape.

    Raises:
        ValueError: the model failed, or the budget does not pay for the curves.
    """
    table = Table("input", "regions", "evaluations at most", "about")
    total = 0.0
    for given in items:
        item = explainer.prepare(given)
        most = explainer.most(item)
        try:
            about = most * seconds_a_row(explainer, item, most)
        except Exception as error:
            raise ValueError(f"the model failed on {given['id']!r}: {described(error)}") from error
        total += about
        table.add_row(Path(given["id"]).name, str(item.regions.n), str(most), f"{about:.1f} s")
    tell(table, out)
    device = explainer.scorer.device
    out.print(f"about {total:.0f} s in all on {device}, less where a search asks for a subset twice")


def profile(
    explainer: Explainer, items: Sequence[Mapping[str, Any]], repeat: int, folder: Path | None, out: Console
) -> Profile:
    """Explain all items `repeat` times; print the report of the run of median time, write it and its Chrome trace."""
    if folder is not None:
        disk.ready(folder)
    runs = []
    for _ in range(repeat):
        recorded = Profile()
        for _found in explainer.run(items, profile=recorded):
            pass
        runs.append(recorded)
    runs.sort(key=lambda run: run.seconds)
    chosen = runs[(repeat - 1) // 2]
    report = {**chosen.report(), "images": len(items), "run_seconds": [run.seconds for run in runs]}
    out.print(profile_table(report))
    if repeat > 1:
        spread = f"{runs[0].seconds:.3f} to {runs[-1].seconds:.3f} s"
        out.print(f"the run of median time of {repeat}, which took {spread}")
    if folder is not None:
        chosen.write_trace(folder / "trace.json")
        text = json.dumps(plain(report), indent=1, allow_nan=False)
        disk.write(folder / "profile.json", text.encode() + b"\n")
        out.print(f"{printable(folder)}/trace.json and profile.json are written", soft_wrap=True)
    return chosen


def _seconds_whole(explainer: Explainer, item: Item) -> float:
    """Time of a row of an input with nothing left out."""
    began = time.perf_counter()
    explainer.scores(item, np.ones((1, item.regions.n), bool))
    return time.perf_counter() - began


def seconds_a_row(explainer: Explainer, item: Item, most: int) -> float:
    """Time of an evaluation of an input that takes so many at most: of a text, or of several inputs at once, with
    nothing left out; of what else it is in a small batch.
    """
    if item.modality in ("text", "several"):
        return _seconds_whole(explainer, item) / explainer.plan.draws
    return _seconds_of_batch(explainer.scorer, item.x, item.target, most) / explainer.scorer.repeats


def _seconds_of_batch(scorer: Scorer, x: torch.Tensor, target: Any, most: int) -> float:
    """Time of a forward pass of a small batch, after one that warms up."""
    given = x.to(scorer.device, scorer.dtype) if x.is_floating_point() else x.to(scorer.device)
    batch = given.expand(min(8, most), *x.shape).contiguous()
    targets = torch.from_numpy(target).to(scorer.device).expand(len(batch), -1).contiguous()
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        with torch.no_grad():
            scorer.score(batch, targets, Wanted()).values.cpu()
        seconds.append(time.perf_counter() - began)
    return seconds[-1] / len(batch)
