"""Methods against each other on the same images, regions and model: every metric, with evaluations and seconds."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from pysmdl.errors import need
from pysmdl.explainer import Explainer
from pysmdl.game import Game
from pysmdl.metrics import mu_fidelity, region_values, summary
from pysmdl.profiling import Profile
from pysmdl.progress import Report
from pysmdl.result import Explanation


@dataclass(frozen=True)
class Run:
    """What one method cost on all images.

    Attributes:
        evaluations: Rows the model saw.
        seconds: Wall time of the searches.
        model_seconds: Of these, inside the model.
    """

    evaluations: int
    seconds: float
    model_seconds: float

    @property
    def beyond_model(self) -> float:
        """Time beyond the model's own, as a share of the model's own."""
        return self.seconds / self.model_seconds - 1 if self.model_seconds > 0 else float("inf")


@dataclass
class Comparison:
    """Methods x images.

    Attributes:
        rows: One for each explanation: method, image, evaluations, and each metric by name.
        runs: One for each method.
        explanations: By method, in the order of the images.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    runs: dict[str, Run] = field(default_factory=dict)
    explanations: dict[str, list[Explanation]] = field(default_factory=dict)

    def metrics(self) -> list[str]:
        """Names of the metrics, in the order of the rows."""
        named = dict.fromkeys(name for row in self.rows for name in row)
        return [name for name in named if name not in ("method", "image", "target")]

    def means(self) -> dict[str, dict[str, tuple[float, float]]]:
        """Mean and standard deviation over images, by method and metric."""
        found: dict[str, dict[str, tuple[float, float]]] = {}
        for method in self.runs:
            rows = [row for row in self.rows if row["method"] == method]
            columns = {name: np.array([row.get(name, np.nan) for row in rows], float) for name in self.metrics()}
            found[method] = {
                name: (float(np.nanmean(c)), float(np.nanstd(c))) for name, c in columns.items() if np.isfinite(c).any()
            }
        return found

    def to_csv(self, path: str | PathLike[str]) -> None:
        """Write the rows as CSV."""
        with Path(path).open("w", newline="") as file:
            writer = csv.DictWriter(file, ["method", "image", "target", *self.metrics()], restval="")
            writer.writeheader()
            writer.writerows(self.rows)

    def to_parquet(self, path: str | PathLike[str]) -> None:
        """Write the rows as Parquet.

        Raises:
            MissingPackageError: pyarrow is not installed.
        """
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise need("pyarrow", "a Parquet file", "pysmdl[report]") from None
        names = ["method", "image", "target", *self.metrics()]
        columns = {name: [row.get(name) for row in self.rows] for name in names}
        pyarrow.parquet.write_table(pyarrow.table(columns), path)


def compare(
    items: Iterable[Any],
    model: Any,
    methods: Mapping[str, Mapping[str, Any]],
    *,
    mufidelity: int = 0,
    progress: bool | Report = False,
    **settings: Any,
) -> Comparison:
    """Explain each image with each method and measure what each is worth.

    Args:
        items: As for :func:`pysmdl.explain_many`. Regions are computed once an image and shared by the methods.
        model: As for :func:`pysmdl.explain`.
        methods: Name to what distinguishes it: search, objective, evaluations ... of :func:`pysmdl.explain`.
        mufidelity: Random subsets for MuFidelity, evaluated on top of the methods' own; 0 leaves it out.
        progress: As for :func:`pysmdl.explain`, a bar for each method.
        **settings: Common to all methods.

    Raises:
        ValueError: no methods; else as :func:`pysmdl.explain`.
    """
    if not methods:
        raise ValueError("methods must name at least one")
    shared = _with_regions(items, Explainer(model, **settings))
    found = Comparison()
    for name, own in methods.items():
        explainer = Explainer(model, **{**settings, **own})
        with Profile() as profile:
            explanations = list(explainer.run(shared, progress))
        explanations.sort(key=lambda each: each.index)
        found.explanations[name] = explanations
        total = sum(each.evaluations for each in explanations)
        found.runs[name] = Run(total, profile.seconds, profile.stages()["model"])
        for item, explanation in zip(shared, explanations, strict=True):
            image = explanation.id or str(explanation.index)
            row: dict[str, Any] = {"method": name, "image": image, "target": str(explanation.target)}
            row |= {"evaluations": explanation.evaluations, **summary(explanation)}
            row["insertion_minus_deletion"] = explanation.insertion_auc - explanation.deletion_auc
            if mufidelity:
                game = Game(item["image"], model, item.get("target"), regions=item["regions"], **_of_game(settings))
                row["mu_fidelity"] = mu_fidelity(game, region_values(explanation), samples=mufidelity)
            found.rows.append(row)
    return found


def methods_named(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Methods from text: NAME or NAME:EVALUATIONS, a search or a method each.

    Raises:
        ValueError: an evaluation count that is none.
    """
    found = {}
    for name in names:
        search, colon, count = name.partition(":")
        if colon and not (count.isdigit() and int(count) > 0):
            raise ValueError(f"a method must be NAME or NAME:EVALUATIONS with a whole number; got {name!r}")
        found[name] = {"search": search, **({"evaluations": int(count)} if colon else {})}
    return found


def _with_regions(items: Iterable[Any], explainer: Explainer) -> list[dict[str, Any]]:
    """The items with their label maps, so that every method divides them alike."""
    shared = []
    for item in items:
        named = explainer.as_dict(item)
        prepared = explainer.prepare(named)
        shared.append({**named, "regions": prepared.shown or prepared.regions})
    return shared


def _of_game(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of explain()'s settings that say what the set function is."""
    names = ("baseline", "removal", "batch_size", "device", "config")
    return {name: settings[name] for name in names if name in settings}
