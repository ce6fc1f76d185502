"""Methods against each other on the same images, regions and model: every metric, with evaluations and seconds."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from pysmdl.errors import need, one_of, whole
from pysmdl.explainer import Explainer
from pysmdl.explanation import Explanation
from pysmdl.interop.game import Game
from pysmdl.metrics import mu_fidelity, region_values, summary
from pysmdl.preparation import as_dict
from pysmdl.profiling import Profile
from pysmdl.progress import Report

log = logging.getLogger("pysmdl")


@dataclass(frozen=True)
class Run:
    """What one method cost on the images that it explained.

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


def compare(items: Iterable[Any], model: Any, methods: Mapping[str, Mapping[str, Any]], **settings: Any) -> Comparison:
    """Explain each image with each method and measure what each is worth.

    Arguments are those of :func:`method_by_method`.
    """
    found = Comparison()
    for each in method_by_method(items, model, methods, **settings):
        found = each
    return found


def method_by_method(
    items: Iterable[Any],
    model: Any,
    methods: Mapping[str, Mapping[str, Any]],
    *,
    mufidelity: int = 0,
    progress: bool | Report = False,
    on_error: str = "raise",
    **settings: Any,
) -> Iterator[Comparison]:
    """:func:`compare`, one method at a time. The arguments are checked before anything runs.

    Args:
        items: As for :func:`pysmdl.explain_many`. Regions are computed once an image and shared by the methods.
        model: As for :func:`pysmdl.explain`.
        methods: Name to what distinguishes it: search, objective, evaluations ... of :func:`pysmdl.explain`.
        mufidelity: Random subsets for MuFidelity, evaluated on top of the methods' own; 0 leaves it out.
        progress: As for :func:`pysmdl.explain`, a bar for each method.
        on_error: "raise", or "skip": an image that fails is logged and left out of that method's rows.
        **settings: Common to all methods.

    Yields:
        The comparison, after each method: one object, that grows.

    Raises:
        ValueError: no methods; else as :func:`pysmdl.explain`.
    """
    if not methods:
        raise ValueError("methods must name at least one")
    if mufidelity != 0:
        mufidelity = whole("mufidelity, where it is not 0,", mufidelity, 2)
    if on_error not in ("raise", "skip"):
        raise one_of("on_error", on_error, ("raise", "skip"))
    common = Explainer(model, **settings)
    explainers = {name: Explainer(model, **{**settings, **own}) for name, own in methods.items()}

    def measure(explanation: Explanation, item: Mapping[str, Any]) -> float:
        game = Game(item["image"], model, item.get("target"), regions=item["regions"], **_of_game(settings))
        return mu_fidelity(game, region_values(explanation), samples=mufidelity)

    def run() -> Iterator[Comparison]:
        found = Comparison()
        shared = _with_regions(items, common, on_error)
        for name, explainer in explainers.items():
            explanations, cost = _run(explainer, shared, progress, on_error)
            rows = [_row(name, each) for each in explanations]
            for row, explanation in zip(rows, explanations if mufidelity else (), strict=False):
                with _tolerating(on_error, f"MuFidelity of {row['image']} by {name} left out"):
                    row["mu_fidelity"] = measure(explanation, shared[explanation.index])
            found.rows += rows
            found.runs[name], found.explanations[name] = cost, explanations
            yield found

    return run()


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


def _with_regions(items: Iterable[Any], explainer: Explainer, on_error: str) -> dict[int, dict[str, Any]]:
    """The items by number, with their label maps, so that every method divides them alike."""
    shared = {}
    for number, item in enumerate(items):
        name = item.get("id", number) if isinstance(item, Mapping) else number
        with _tolerating(on_error, f"input {name!r} skipped"):
            named = as_dict(item)
            prepared = explainer.prepare(named)
            shared[number] = {**named, "regions": prepared.regions}
    return shared


def _run(
    explainer: Explainer, shared: Mapping[int, Any], progress: bool | Report, on_error: str
) -> tuple[list[Explanation], Run]:
    """One method on all images: those of its explanations that came about, in the order of the images."""
    with Profile() as profile:
        found = sorted(explainer.run(shared.values(), progress, on_error), key=lambda each: each.index)
    numbers = list(shared)
    for each in found:
        each.index = numbers[each.index]  # among all items, those left out included
    total = sum(each.evaluations for each in found)
    return found, Run(total, profile.seconds, profile.stages()["model"])


def _row(method: str, explanation: Explanation) -> dict[str, Any]:
    return {
        "method": method,
        "image": explanation.id or str(explanation.index),
        "target": str(explanation.target),
        "evaluations": explanation.evaluations,
        **summary(explanation),
        "insertion_minus_deletion": explanation.insertion_auc - explanation.deletion_auc,
    }


@contextmanager
def _tolerating(on_error: str, what: str) -> Iterator[None]:
    """Errors inside are logged instead of raised, where that was asked for."""
    try:
        yield
    except Exception as error:
        if on_error == "raise":
            raise
        log.error("%s: %s", what, error)


def _of_game(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of explain()'s settings that say what the set function is."""
    names = ("baseline", "removal", "batch_size", "device", "config")
    return {name: settings[name] for name in names if name in settings}
