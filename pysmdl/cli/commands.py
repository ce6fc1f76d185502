"""What the commands do: run, save as results come, print a table."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from pysmdl.cli.profile_table import table as profile_table
from pysmdl.explainer import Explainer
from pysmdl.explanation import Explanation
from pysmdl.explanation.plotting import NEARLY
from pysmdl.profiling import Profile
from pysmdl.progress import reporting
from pysmdl.scorers import Scorer, Wanted
from pysmdl.studies.evaluation import Comparison, method_by_method
from pysmdl.targets import kind

log = logging.getLogger("pysmdl")

SHOWN = (
    "insertion_auc",
    "deletion_auc",
    "insertion_minus_deletion",
    "highest_confidence_25",
    "minimal_correction",
    "highest_iou_100",
    "mu_fidelity",
)


def explain(
    explainer: Explainer, items: Sequence[Mapping[str, Any]], names: Sequence[str] | None, folder: Path, out: Console
) -> int:
    """Explain; write PNG, npz and JSON as each is done; print a table. Returns how many were explained."""
    folder.mkdir(parents=True, exist_ok=True)
    table = Table("image", "target", "says", "insertion", "deletion", "highest", "best", "rows", title="explanations")
    stems = _stems([item["image"] for item in items], folder)

    def keep(found: Explanation) -> None:
        picture, arrays, text = _files(folder, stems[found.index])
        found.save(arrays)
        text.write_text(found.to_json(indent=1) + "\n")
        found.plot(names=names).savefig(picture, dpi=150)
        table.add_row(*_row(found, names))

    def skip(number: int, error: Exception) -> None:
        partial = getattr(error, "partial", ())
        kept = "; what was settled is kept" if partial else ""
        log.error("input %r skipped: %s%s", items[number]["id"], str(error), kept)  # as text: see Engine._fail
        for found in partial:
            keep(found)

    done = 0
    try:
        with reporting(True) as report:
            for found in explainer.run(items, report or False, on_error=skip):
                keep(found)
                done += 1
    finally:
        if table.rows:
            out.print(table)
            out.print(f"{done} explained; pictures, arrays and JSON are in {folder}", soft_wrap=True)
    return done


def estimate(explainer: Explainer, items: Sequence[Mapping[str, Any]], out: Console) -> None:
    """Evaluations by the search's own count, time by forward passes of each image's shape.

    Raises:
        ValueError: the model failed, or the budget does not pay for the curves.
    """
    table = Table("image", "regions", "evaluations at most", "about")
    total = 0.0
    for given in items:
        item = explainer.prepare(given)
        most = explainer.most(item)
        x = item.x
        try:
            about = most * _seconds_per_row(explainer.scorer, x, item.target, most)
        except Exception as error:
            raise ValueError(f"the model failed on {given['id']!r}: {type(error).__name__}: {error}") from error
        total += about
        table.add_row(Path(given["id"]).name, str(item.regions.n), str(most), f"{about:.1f} s")
    out.print(table)
    device = explainer.scorer.device
    out.print(f"about {total:.0f} s in all on {device}, before the memo saves any")


def evaluate(
    items: Sequence[Mapping[str, Any]],
    scorer: Scorer,
    methods: Mapping[str, Mapping[str, Any]],
    folder: Path,
    out: Console,
    mufidelity: int,
    settings: Mapping[str, Any],
) -> int:
    """Compare methods; write a CSV, of what was finished, and Parquet; print means over the images.

    Returns how many explanations of an image by a method, or their MuFidelity, failed.
    """
    found = Comparison()
    try:
        with reporting(True) as report:
            steps = method_by_method(
                items, scorer, methods, mufidelity=mufidelity, progress=report or False, on_error="skip", **settings
            )
            folder.mkdir(parents=True, exist_ok=True)
            for each in steps:
                found = each
    finally:
        if found.rows:
            found.to_csv(folder / "evaluation.csv")
            out.print(_means(found))
            out.print(f"every metric of every image is in {folder}/evaluation.csv", soft_wrap=True)
    if found.rows:
        found.to_parquet(folder / "evaluation.parquet")
    return len(items) * len(methods) - sum(not mufidelity or "mu_fidelity" in row for row in found.rows)


def _means(found: Comparison) -> Table:
    """Mean and spread of each metric over the images, by method."""
    means = found.means()
    shown = [name for name in SHOWN if any(name in columns for columns in means.values())]
    table = Table("method", *(name.replace("_", " ") for name in shown), "images", "rows", "seconds", "beyond model")
    for method, run in found.runs.items():
        cells = ["{:.3f} ± {:.3f}".format(*means[method][name]) if name in means[method] else "-" for name in shown]
        images = len(found.explanations[method])
        table.add_row(
            method, *cells, str(images), str(run.evaluations), f"{run.seconds:.1f}", f"{run.beyond_model:.0%}"
        )
    return table


def profile(
    explainer: Explainer, items: Sequence[Mapping[str, Any]], repeat: int, folder: Path | None, out: Console
) -> Profile:
    """Explain all items `repeat` times; print the report of the run of median time, write it and its Chrome trace."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
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
        (folder / "profile.json").write_text(json.dumps(report, indent=1) + "\n")
        out.print(f"{folder}/trace.json and {folder}/profile.json are written", soft_wrap=True)
    return chosen


def _row(found: Explanation, names: Sequence[str] | None) -> list[str]:
    def name(index: int) -> str:
        return names[index] if names and 0 <= index < len(names) else str(index)

    target = name(found.target) if kind(found.target) == "class" else kind(found.target)
    said = int(found.predicted[1, 0]) if found.predicted is not None else -1
    return [
        Path(found.id or "").name, target, name(said) if said >= 0 else "-", f"{found.insertion_auc:.3f}",
        f"{found.deletion_auc:.3f}", f"{found.highest_confidence():.3f}", f"{found.best_step(NEARLY)} of {found.n}",
        str(found.evaluations),
    ]  # fmt: skip


def _stems(images: Sequence[Path], folder: Path) -> list[str]:
    """A name for the files of each image: its own, numbered where another has it, and never that of an image given."""
    given = {image.resolve() for image in images}

    def overwrites(stem: str) -> bool:
        return any(file.resolve() in given for file in _files(folder, stem))

    own = [f"{image.stem}-explained" if overwrites(image.stem) else image.stem for image in images]
    found: dict[str, None] = {}  # in their order
    for stem in own:
        numbered = (each for each in (f"{stem}-{number}" for number in count(2)) if each not in own)
        found[next(each for each in chain([stem], numbered) if each not in found and not overwrites(each))] = None
    return list(found)


def _files(folder: Path, stem: str) -> tuple[Path, Path, Path]:
    """Picture, arrays and JSON of an image."""
    return folder / f"{stem}.png", folder / f"{stem}.npz", folder / f"{stem}.json"


def _seconds_per_row(scorer: Scorer, x: torch.Tensor, target: Any, most: int) -> float:
    """Time of a forward pass of a small batch, after one that warms up."""
    batch = x.to(scorer.device, scorer.dtype).expand(min(8, most), *x.shape).contiguous()
    targets = torch.from_numpy(target).to(scorer.device).expand(len(batch), -1).contiguous()
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        with torch.no_grad():
            scorer.score(batch, targets, Wanted()).values.cpu()
        seconds.append(time.perf_counter() - began)
    return seconds[-1] / len(batch)
