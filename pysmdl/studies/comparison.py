"""What a comparison of methods found: every metric of every image, with evaluations and seconds, as tables."""

from __future__ import annotations

import csv
import io
import itertools
from bisect import bisect
from collections.abc import Iterable
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np

from pysmdl import disk
from pysmdl.errors import need, storable
from pysmdl.explanation import Explanation
from pysmdl.metrics import summary

NAMES = ("method", "image", "target")  # columns that are text


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
        rows: One for each explanation, by method, then image: method, image, evaluations, and each metric by name.
        runs: One for each method that is through with the images so far.
        explanations: By method, in the order of the images.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    runs: dict[str, Run] = field(default_factory=dict)
    explanations: dict[str, list[Explanation]] = field(default_factory=dict)

    def add(self, method: str, explanation: Explanation) -> dict[str, Any]:
        """Take an explanation in, at its place; returns its row."""
        own = self.explanations.setdefault(method, [])
        place = bisect([each.index for each in own], explanation.index)
        own.insert(place, explanation)
        before = itertools.takewhile(lambda name: name != method, self.explanations)
        row = _row(method, explanation)
        self.rows.insert(sum(len(self.explanations[name]) for name in before) + place, row)
        return row

    def read(self, method: str, explanations: Iterable[Explanation]) -> None:
        """Take in the rows of explanations that were made before; they themselves are not kept."""
        evaluations = 0
        for each in explanations:
            self.rows.append(_row(method, each))
            evaluations += each.evaluations
        self.runs[method] = Run(evaluations, float("nan"), float("nan"))

    def metrics(self) -> list[str]:
        """Names of the metrics, in the order of the rows."""
        named = dict.fromkeys(name for row in self.rows for name in row)
        return [name for name in named if name not in NAMES]

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
        """Write the rows as CSV, whole or not at all. UTF-8; bytes of an image's name that are not, as escapes."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, [*NAMES, *self.metrics()], restval="")
        writer.writeheader()
        writer.writerows(self.rows)
        disk.write(path, storable(text.getvalue()).encode())

    def to_parquet(self, path: str | PathLike[str]) -> None:
        """Write the rows as Parquet, whole or not at all; names of images as in :meth:`to_csv`.

        Raises:
            MissingPackageError: pyarrow is not installed.
        """
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise need("pyarrow", "a Parquet file", "pysmdl[jobs]") from None
        columns = {name: [storable(str(row[name])) for row in self.rows] for name in NAMES}
        numbers = {name: [row.get(name) for row in self.rows] for name in self.metrics()}
        with disk.written(path) as file:
            pyarrow.parquet.write_table(pyarrow.table({**columns, **numbers}), file)


def _row(method: str, explanation: Explanation) -> dict[str, Any]:
    kept = {"mu_fidelity": explanation.notes["mu_fidelity"]} if "mu_fidelity" in explanation.notes else {}
    return {
        "method": method,
        "image": explanation.id or str(explanation.index),
        "target": str(explanation.target),
        "evaluations": explanation.evaluations,
        **summary(explanation),
        "insertion_minus_deletion": explanation.insertion_auc - explanation.deletion_auc,
        **kept,
    }
