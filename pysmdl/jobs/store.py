"""Store: the explanations of a job, in parts that are written once. There is no index that could disagree."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from os import PathLike
from statistics import fmean
from typing import TYPE_CHECKING, Any

from pysmdl.errors import StoreError, need
from pysmdl.explanation import Explanation
from pysmdl.jobs import parts, schema
from pysmdl.jobs.failures import Failure, failures_of
from pysmdl.jobs.job_json import job_of
from pysmdl.jobs.places import Place, place_of
from pysmdl.jobs.rows import explanation_of
from pysmdl.jobs.upkeep import Verified, compact, verify

if TYPE_CHECKING:
    import pandas

BATCH = 64  # rows that are made explanations at once
ARRAYS = (
    "order", "score", "insertion", "deletion", "area", "terms", "values", "predicted", "traced", "attribution",
    "labels", "labels_shape", "labels_bytes", "reading", "picture", "shown",
)  # fmt: skip


class Store:
    """What :func:`open_store` gives: a mapping of ids to explanations, in the order in which they were stored. What a
    running job adds after the first look is seen by whoever opens it anew.

    Args:
        path: A folder, or an address of fsspec's ("s3://...").
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._place: Place = place_of(path)
        self._at: tuple[str, Any] = ("", None)  # the part that was read last

    @cached_property
    def job(self) -> dict[str, Any]:
        """What was asked: settings, model, versions."""
        return job_of(self._place) or {}

    @cached_property
    def _rows(self) -> dict[str, tuple[str, int]]:
        """Part and row of each id; of two of one id, as a killed compact() leaves them, the first."""
        found: dict[str, tuple[str, int]] = {}
        for name, table in parts.read_all(self._place, "parts", ["id"]):
            for number, id in enumerate(table.column("id").to_pylist()):
                found.setdefault(id, (name, number))
        return found

    @property
    def ids(self) -> list[str]:
        """All that are explained."""
        return list(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, id: object) -> bool:
        return id in self._rows

    def __getitem__(self, id: str) -> Explanation:
        """The explanation of an input.

        Raises:
            KeyError: there is none.
            StoreError: its part is damaged.
        """
        name, number = self._rows[id]
        return explanation_of(self._part(name).slice(number, 1).to_pylist()[0], f"{self._place}/{name}")

    def __iter__(self) -> Iterator[Explanation]:
        """All explanations, part by part: no more than one part is in memory."""
        for name in dict.fromkeys(name for name, _ in self._rows.values()):
            number = 0
            for batch in self._part(name).to_batches(BATCH):
                for row in batch.to_pylist():
                    if self._rows[row["id"]] == (name, number):
                        yield explanation_of(row, f"{self._place}/{name}")
                    number += 1

    def __repr__(self) -> str:
        return f"Store({self._place}: {len(self)} explanations, {len(self.failures)} failures)"

    def frame(self) -> pandas.DataFrame:
        """The columns without arrays, a row an explanation.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        try:
            import pandas  # noqa: F401
        except ImportError:
            raise need("pandas", "A store's frame()", "pandas") from None
        return self.table().to_pandas()

    def table(self) -> Any:
        """Likewise as a pyarrow.Table."""
        arrow = schema.arrow()
        columns = [name for name in schema.part().names if name not in ARRAYS]
        found = []
        for name, table in parts.read_all(self._place, "parts", columns):
            first = [self._rows.get(id) == (name, at) for at, id in enumerate(table["id"].to_pylist())]
            found.append(table.filter(arrow.array(first, type=arrow.bool_())))
        empty = arrow.schema([schema.part().field(name) for name in columns]).empty_table()
        return arrow.concat_tables([empty, *found])

    def metrics(self) -> Iterator[dict[str, Any]]:
        """Every metric of each explanation (:func:`pysmdl.metrics.summary`), read off the stored curves."""
        from pysmdl.metrics import summary

        for found in self:
            yield {"id": found.id, **summary(found)}

    @cached_property
    def failures(self) -> dict[str, Failure]:
        """Inputs that failed and were not explained since, by id."""
        return failures_of(self._place, self._rows)

    def compact(self) -> int:
        """Make few large parts of many small ones. Returns how many parts there are then. What is read meanwhile may
        miss a part: open the store anew.

        Raises:
            StoreError: a part is damaged.
        """
        remain = compact(self._place)
        vars(self).pop("_rows", None)
        vars(self).pop("failures", None)
        self._at = ("", None)
        return remain

    def verify(self) -> Verified:
        """Read everything: each page's checksum, the columns, that each id is there once, each explanation's fields."""
        return verify(self._place)

    def _part(self, name: str) -> Any:
        if self._at[0] != name:
            try:
                self._at = (name, parts.read(self._place, name))
            except FileNotFoundError:
                raise StoreError(f"{self._place}/{name} is gone: what was compacted meanwhile is opened anew") from None
        return self._at[1]


def open_store(path: str | PathLike[str]) -> Store:
    """Open what :func:`pysmdl.jobs.run` wrote; nothing is read before it is asked for.

    Args:
        path: A folder, or an address of fsspec's ("s3://...", `pip install s3fs`).

    Raises:
        StoreError: there is no store.
        MissingPackageError: pyarrow, or fsspec for an address, is not installed.
    """
    schema.arrow()
    found = Store(path)
    if job_of(found._place) is None:
        raise StoreError(f"{path} is no store: it has no job.json")
    return found


def means(store: Store) -> dict[str, float]:
    """The mean of each metric over the explanations that have it."""
    found: dict[str, list[float]] = {}
    for row in store.metrics():
        for name, each in row.items():
            if isinstance(each, (int, float)) and math.isfinite(each):
                found.setdefault(name, []).append(float(each))
    return {name: fmean(values) for name, values in found.items()}
