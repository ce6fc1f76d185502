"""How good is each search, and what does it cost? Four models, coarse and fine regions, held-out scenes.

    python benchmarks/search_study.py run [--model NAME ...] [--regions 36 116]     # hours; resumes where it stopped
    python benchmarks/search_study.py report                                        # docs/searches.md's tables and plot

One row an explanation goes to benchmarks/results/search_study.csv. Searches and methods that take a budget get what
guided takes.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

import pysmdl
from pysmdl import methods, search
from pysmdl.regions import slico

import share_tables
from labels import label
from recording import append, commit, rows
from study_data import StudyScene
from study_models import MODELS, StudyModel
from tables import fill

HOME = Path(__file__).parent
RESULTS = HOME / "results" / "search_study.csv"
PAGE = HOME.parent / "docs" / "searches.md"
PLOT = HOME.parent / "docs" / "searches.png"
IMAGES = {36: 24, 116: 12}
SEARCHES = ("exact", "backward", "bidirectional", "scoped", "lazy", "stochastic", "phase_window", "guided")
METHODS = ("rise", "lime", "kernel_shap", "sobol", "hsic", "occlusion")
FIELDS = (
    "model", "regions", "scene", "n", "search", "evaluations", "insertion_auc", "deletion_auc", "difference",
    "violations", "first_region_in_box", "commit",
)  # fmt: skip


def named(name: str) -> search.Search:
    return (search.SEARCHES | methods.METHODS)[name]()


def searches_of(model: StudyModel) -> tuple[str, ...]:
    own = {"detector": ("forward_backward", "drise")}.get(model.name, ())
    return (*SEARCHES, *METHODS, *own)


def budget(name: str, n: int) -> int | None:
    """What guided takes, for the methods that take what they are given."""
    return search.guided().budget(n) if name in methods.METHODS and name != "occlusion" else None


def run(models: list[str], regions: list[int]) -> None:
    done = {(row["model"], row["regions"], row["scene"], row["search"]) for row in rows(RESULTS)}
    for wanted in regions:
        for model in (MODELS[name] for name in models):
            scenes = model.scenes(IMAGES[wanted])
            for i, scene in enumerate(scenes):
                divided, scorer = slico(scene.image, wanted), model.scorer()
                for name in searches_of(model):
                    if (model.name, str(wanted), str(i), name) in done:
                        continue
                    row = {"model": model.name, "regions": wanted, "scene": i, "search": name, "commit": commit()}
                    row |= explained(model, scorer, scene, divided, name, seed=i)
                    append(RESULTS, FIELDS, row)
                print(f"{model.name}, {wanted} regions, scene {i}: done", flush=True)


def explained(
    model: StudyModel, scorer: pysmdl.scorers.Scorer, scene: StudyScene, regions: Any, name: str, seed: int
) -> dict[str, Any]:
    found = pysmdl.explain(
        scene.image, scorer, model.target(scene), regions=regions, objective=model.objective,
        search=named(name), baseline=model.baseline, evaluations=budget(name, regions.n), seed=seed, progress=False,
    )  # fmt: skip
    y, x = np.argwhere(regions.labels == found.order[0]).mean(0) + 0.5
    inside = any(x0 <= x <= x1 and y0 <= y <= y1 for x0, y0, x1, y1 in scene.boxes)
    return {
        "n": found.n, "evaluations": found.evaluations, "insertion_auc": f"{found.insertion_auc:.6f}",
        "deletion_auc": f"{found.deletion_auc:.6f}", "difference": f"{found.insertion_auc - found.deletion_auc:.6f}",
        "violations": found.violations, "first_region_in_box": int(inside),
    }  # fmt: skip


Cells = dict[tuple[str, str], dict[str, list[dict[str, str]]]]


def cells() -> Cells:
    """Rows by (model, regions) and search."""
    found: Cells = defaultdict(lambda: defaultdict(list))
    for row in rows(RESULTS):
        found[row["model"], row["regions"]][row["search"]].append(row)
    return found


def mean(group: list[dict[str, str]], field: str) -> float:
    return float(np.mean([float(row[field]) for row in group]))


def table(regions: str) -> str:
    """Mean insertion minus deletion AUC, its spread over images, and mean evaluations, as Markdown."""
    columns = [name for name in MODELS if (name, regions) in cells()]
    found = cells()
    lines = ["| search | " + " | ".join(f"{name} | evaluations" for name in columns) + " |"]
    lines.append("| --- |" + " --- | --- |" * len(columns))
    names = dict.fromkeys(name for column in columns for name in searches_of(MODELS[column]))
    for name in names:
        entries = []
        for column in columns:
            group = found[column, regions].get(name, [])
            if not group:
                entries += ["", ""]
                continue
            spread = float(np.std([float(row["difference"]) for row in group]))
            partly = "" if len(group) == IMAGES[int(regions)] else f" ({len(group)} scenes)"
            entries += [f"{mean(group, 'difference'):.3f} ± {spread:.3f}{partly}", f"{mean(group, 'evaluations'):.0f}"]
        lines.append(f"| {name} | " + " | ".join(entries) + " |")
    return "\n".join(lines)


def plot() -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6.5))
    axes = figure.subplots(2, 4)
    for across, model in enumerate(MODELS):
        for down, regions in enumerate(map(str, IMAGES)):
            ax = axes[down][across]
            points = []
            for name, group in cells()[model, regions].items():
                x, y = mean(group, "evaluations"), mean(group, "difference")
                colour = "#c8553d" if name == "guided" else "#1b6ca8" if name in search.SEARCHES else "#999999"
                ax.plot(x, y, "o", color=colour, markersize=6 if name == "guided" else 4)
                points.append((name, x, y, colour))
            ax.set_xscale("log")
            label(ax, points)
            ax.set_title(f"{model}, about {regions} regions", fontsize=9)
            ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel("insertion AUC - deletion AUC")
    for ax in axes[1]:
        ax.set_xlabel("evaluations")
    figure.tight_layout()
    figure.savefig(PLOT, dpi=110)


def report() -> None:
    """Write the tables of docs/searches.md, and the plot."""
    fill(PAGE, lambda study, what: share_tables.table(what) if study == "shares" else own_table(what))
    plot()
    share_tables.plot()


def own_table(what: str) -> str:
    return first_regions() if what == "first" else table(what) + "\n"


def first_regions() -> str:
    lines = ["| model, regions | guided | bidirectional | exact |", "| --- | --- | --- | --- |"]
    for (model, regions), searches in cells().items():
        shares = [f"{mean(searches[name], 'first_region_in_box'):.0%}" for name in ("guided", "bidirectional", "exact")]
        lines.append(f"| {model}, {regions} | " + " | ".join(shares) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("--model", nargs="+", choices=list(MODELS), default=list(MODELS))
    running.add_argument("--regions", nargs="+", type=int, choices=list(IMAGES), default=list(IMAGES))
    commands.add_parser("report")
    chosen = parser.parse_args()
    if chosen.command == "run":
        run(chosen.model, chosen.regions)
    else:
        report()


if __name__ == "__main__":
    main()
