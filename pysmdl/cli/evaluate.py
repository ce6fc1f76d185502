"""`pysmdl eval`: methods against each other; the table is on the disk while it grows."""

from __future__ import annotations

import errno
import importlib.util
import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pysmdl import disk
from pysmdl.cli.console import printable, tell
from pysmdl.cli.stopping import held
from pysmdl.jobs.store import open_store
from pysmdl.progress import reporting
from pysmdl.scorers import Scorer
from pysmdl.studies.comparison import Comparison
from pysmdl.studies.evaluation import method_by_method
from pysmdl.studies.keeping import Kept

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


def evaluate(
    items: Sequence[Mapping[str, Any]],
    scorer: Scorer,
    methods: Mapping[str, Mapping[str, Any]],
    folder: Path,
    out: Console,
    mufidelity: int,
    settings: Mapping[str, Any],
    store: Kept | None = None,
) -> int:
    """Compare methods; write a CSV, of what is finished, and Parquet in the end; print means over the images. With a
    store what is finished is there next time.

    Returns how many explanations of an image by a method, or their MuFidelity, failed.
    """
    with reporting(True, lines=True) as report:
        told: dict[str, Any] = {"progress": report or False, "on_error": "skip", "store": store}
        steps = method_by_method(items, scorer, methods, mufidelity=mufidelity, **told, **settings)
        tables = Tables(folder)
        try:
            for found in steps:
                tables.grow(found)
            tables.finish()
        finally:
            tables.save()
            if tables.found.rows:
                tell(_means(tables.found), out)
                out.print(f"every metric of every image is in {printable(tables.csv)}", soft_wrap=True)
    rows = tables.found.rows
    return len(items) * len(methods) - sum(not mufidelity or "mu_fidelity" in row for row in rows)


def evaluate_stores(stores: Sequence[str], folder: Path, out: Console) -> None:
    """Compare what stores hold, by their stored curves: nothing is evaluated again.

    Raises:
        ValueError: two of them have one name.
    """
    named = {Path(store).name: store for store in stores}
    if len(named) < len(stores):
        raise ValueError(f"stores must have names of their own, by which they are told apart; got {', '.join(stores)}")
    tables = Tables(folder)
    for name, store in named.items():
        tables.found.read(name, open_store(store))
    tables.finish()
    tell(_means(tables.found), out)
    out.print(f"every metric of every image is in {printable(tables.csv)}", soft_wrap=True)


class Tables:
    """The tables in a folder. While they grow there is a CSV, under a name of its own where an older one stands.

    Attributes:
        found: What there is so far.
        csv: Where it is.

    Raises:
        OSError: one of the tables cannot be written there.
    """

    def __init__(self, folder: Path) -> None:
        self._whole, self._parquet = folder / "evaluation.csv", folder / "evaluation.parquet"
        disk.ready(folder)
        for path in (self._whole, self._parquet):
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        self.csv = folder / "evaluation-unfinished.csv" if self._whole.exists() else self._whole
        self.found = Comparison()
        self._saved, self._took = 0.0, 0.0

    def grow(self, found: Comparison) -> None:
        """Take what is found in, and write it where that takes at most a tenth of the time."""
        self.found = found
        if time.perf_counter() - self._saved > 10 * self._took:
            self.save()

    def save(self) -> None:
        """Write the rows that there are."""
        if not self.found.rows:
            return
        began = time.perf_counter()
        with held():
            self.found.to_csv(self.csv)
        self._saved = time.perf_counter()
        self._took = self._saved - began

    def finish(self) -> None:
        """The rows are all there: they take the place of older ones, and there is a Parquet file as well."""
        if not self.found.rows:
            return
        with held():
            self.found.to_csv(self._whole)
            if self.csv != self._whole:
                self.csv.unlink(missing_ok=True)
                self.csv = self._whole
            if importlib.util.find_spec("pyarrow") is None:
                log.warning("no Parquet file is written, which needs pyarrow: pip install 'pysmdl[jobs]'")
            else:
                self.found.to_parquet(self._parquet)


def _means(found: Comparison) -> Table:
    """Mean and spread of each metric over the images, by method."""
    means = found.means()
    shown = [name for name in SHOWN if any(name in columns for columns in means.values())]
    table = Table("method", *(name.replace("_", " ") for name in shown), "images", "rows", "seconds", "beyond model")
    for method, run in found.runs.items():
        images = sum(row["method"] == method for row in found.rows)
        form = "{:.3f} ± {:.3f}" if images > 1 else "{:.3f}"
        cells = [form.format(*means[method][name]) if name in means[method] else "-" for name in shown]
        times = ["-", "-"] if math.isnan(run.seconds) else [f"{run.seconds:.1f}", f"{run.beyond_model:.0%}"]
        table.add_row(method, *cells, str(images), str(run.evaluations), *times)
    return table
