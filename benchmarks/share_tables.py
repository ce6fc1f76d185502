"""The tables and the plot of share_study.py's rows, for docs/searches.md: ``python benchmarks/search_study.py report``.

Exact greedy, LiMA, SMDL and the bidirectional search on EfficientNet-Lite0 are photo_study.py's rows, of the same
photographs and regions; their seconds are their evaluations times what a row takes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from labels import label
from recording import rows

RESULTS = Path(__file__).parent / "results"
PLOT = RESULTS.parents[1] / "docs" / "shares.png"
WINDOW = "phase_window"  # as a share: the rows that it took on the same input
SHARES = {"0.05": "5 %", "0.1": "10 %", "0.2": "20 %", "0.38": "38 %", "1.0": "100 %"}
BUDGETED = ("guided", "rise", "lime", "kernel_shap", "sobol", "hsic")
SMALL = ("classifier", "detector", "two tokens", "transformer")
LITE0 = "EfficientNet-Lite0"
FROM_PHOTOS = {"exact": "exact", "bidirectional": "bidirectional", "LiMA": "lima", "SMDL": "smdl"}
Row = dict[str, str]
Key = tuple[str, ...]


def latest() -> dict[Key, Row]:
    """The last row of each model, regions, input, search and share."""
    found = {}
    for row in rows(RESULTS / "photo_study.csv"):
        if row["images"] == "photos" and row["method"] in FROM_PHOTOS:
            found[LITE0, "49", row["image"], FROM_PHOTOS[row["method"]], ""] = row
    for row in rows(RESULTS / "share_study.csv"):
        found[tuple(row[name] for name in ("model", "regions", "input", "search", "share"))] = row
    return found


class Group:
    """The rows of a model, a number of regions, a search and a share, one an input."""

    def __init__(self, found: dict[str, Row]) -> None:
        self.found = found

    def values(self, field: str, inputs: list[str] | None = None) -> list[float]:
        return [float(self.found[each][field]) for each in inputs or self.found]

    def share(self) -> float:
        """Of n (n + 1) rows, exact greedy's."""
        n = np.array(self.values("n"))
        return float(np.mean(np.array(self.values("evaluations")) / (n * (n + 1))))

    def seconds(self, row: float) -> float:
        """Of one core, for an explanation, where a row of the model takes so long."""
        own = [float(each.get("own_seconds") or 0) for each in self.found.values()]
        return float(np.mean(own) + np.mean(self.values("evaluations")) * row)


def groups(model: str, regions: str) -> dict[tuple[str, str], Group]:
    found: dict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
    for (name, count, each, search, share), row in latest().items():
        if (name, count) == (model, regions):
            found[search, share][each] = row
    return {key: Group(of) for key, of in found.items()}


def small() -> Iterator[str]:
    """By share of exact greedy's rows: the mean over scenes and models, and the worst scene."""
    found = [groups(model, "36") for model in SMALL]
    columns = [*list(SHARES)[1:], ""]
    yield "| search | " + " | ".join([*(SHARES[share] for share in columns[:-1]), "its own rows"]) + " |"
    yield "|" + " --- |" * (len(columns) + 1)
    for name in dict.fromkeys(name for of in found for name, _ in of):
        cells = [cell([of[name, share] for of in found if (name, share) in of], share) for share in columns]
        yield f"| {name} | " + " | ".join(cells) + " |"


def cell(of: list[Group], share: str) -> str:
    """Of the groups of all small models; empty where one is missing."""
    if len(of) < len(SMALL):
        return ""
    values = np.concatenate([group.values("difference") for group in of])
    rows = np.mean(np.concatenate([group.values("evaluations") for group in of]))
    return f"{values.mean():.3f} ({values.min():.2f})" + ("" if share else f", {rows:.0f} rows")


def window() -> Iterator[str]:
    """Guided and the methods with PhaseWin's own rows, on the same inputs and regions."""
    yield "| model, regions, inputs | phase_window | rows | guided | rows | ahead on | rise | lime | kernel_shap |"
    yield "|" + " --- |" * 9
    for model, regions in dict.fromkeys(key[:2] for key in latest()):
        of = groups(model, regions)
        if (WINDOW, "") not in of or ("guided", WINDOW) not in of:
            continue
        theirs, ours = of[WINDOW, ""], of["guided", WINDOW]
        shared = [each for each in theirs.found if each in ours.found]
        a, b = (np.array(group.values("difference", shared)) for group in (theirs, ours))
        others = [of.get((name, WINDOW)) for name in ("rise", "lime", "kernel_shap")]
        cells = [f"{np.mean(other.values('difference')):.3f}" if other else "" for other in others]
        rows = [np.mean(group.values("evaluations", shared)) for group in (theirs, ours)]
        n = np.mean(theirs.values("n", shared))
        yield (f"| {model}, {n:.0f}, {len(shared)} | {a.mean():.3f} ({a.min():.2f}) | {rows[0]:.0f} | "
               f"{b.mean():.3f} ({b.min():.2f}) | {rows[1]:.0f} | {(b > a).sum()} | "
               + " | ".join(cells) + " |")  # fmt: skip


def real() -> Iterator[str]:
    """The real models, each search with its own rows or a budget: mean, spread, worst and seconds of one core."""
    yield "| model, regions | search | inputs | rows | of exact's | ins - del | spread | worst | seconds |"
    yield "|" + " --- |" * 9
    for model, regions in dict.fromkeys(key[:2] for key in latest() if key[0] not in SMALL):
        of = groups(model, regions)
        costs = [float(row["row_seconds"]) for group in of.values() for row in group.found.values()
                 if row.get("row_seconds")]  # fmt: skip
        for (name, share), group in sorted(of.items(), key=lambda each: (each[0][0], float(each[1].share()))):
            if (share and name not in BUDGETED) or (share == WINDOW and name != "guided"):
                continue  # a greedy search cut short
            values = np.array(group.values("difference"))
            n, spent = np.mean(group.values("n")), np.mean(group.values("evaluations"))
            yield (f"| {model}, {n:.0f} | {name} | {len(values)} | {spent:.0f} | "
                   f"{group.share():.0%} | {values.mean():.3f} | {values.std():.3f} | {values.min():.3f} | "
                   f"{group.seconds(float(np.median(costs or [np.nan]))):.2g} |")  # fmt: skip


TABLES = {"small": small, "window": window, "real": real}


def table(what: str) -> str:
    """A table of docs/searches.md, by the second word of its mark."""
    return "\n".join(TABLES[what]()) + "\n"


def plot() -> None:
    from matplotlib.figure import Figure

    shown = [(name, "36") for name in SMALL]
    budgets = {key[:2] for key in latest() if key[0] not in SMALL and key[3] == "guided" and key[4] in SHARES}
    shown += sorted(budgets)
    columns = (len(shown) + 1) // 2
    figure = Figure(figsize=(3.25 * columns, 6.5))
    for ax in list(figure.subplots(2, columns).flat)[len(shown) :]:
        ax.remove()
    for ax, (model, regions) in zip(figure.axes, shown, strict=True):
        of, ends = groups(model, regions), []
        for name in dict.fromkeys(name for name, _ in of):
            points = [of[name, share] for share in ("", *SHARES) if (name, share) in of]
            points = [point for point in points if name in BUDGETED or point is of.get((name, ""))]
            x, y = [point.share() for point in points], [np.mean(point.values("difference")) for point in points]
            colour = "#c8553d" if name == "guided" else "#999999" if name in BUDGETED else "#1b6ca8"
            ax.plot(x, y, "o-", color=colour, markersize=3, linewidth=1.5 if name == "guided" else 0.7)
            if points:
                ends.append((name, x[-1], y[-1], colour))
        ax.set_xscale("log")
        label(ax, ends)
        ax.set_xticks([float(share) for share in SHARES], SHARES.values(), fontsize=7)
        ax.set_xticks([], minor=True)
        ax.tick_params(axis="y", labelsize=7)
        ax.set_title(f"{model}, about {regions} regions", fontsize=7.5, loc="left")
        ax.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("share of exact greedy's rows", fontsize=9)
    figure.supylabel("insertion AUC - deletion AUC", fontsize=9)
    figure.tight_layout(rect=(0.015, 0, 1, 1))
    figure.savefig(PLOT, dpi=110)
