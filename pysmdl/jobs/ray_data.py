"""Explaining inside a pipeline of Ray Data's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pysmdl.errors import described
from pysmdl.inputs.items import ALIASES, NAMES
from pysmdl.jobs import schema
from pysmdl.jobs.entries import Entry
from pysmdl.jobs.rows import row_of
from pysmdl.jobs.sources import entries_of
from pysmdl.jobs.task import Task


class RayExplain:
    """For `data.map_batches(RayExplain, fn_constructor_args=(model, settings), batch_size=64, concurrency=4)`.

    A batch has a column image (uint8 [H, W, 3], or paths), text or row, and may have target (or label),
    id, group, regions. It becomes a pyarrow.Table with the columns of a store's parts, and error: null, or why an input
    failed.

    Args:
        model: As :func:`pysmdl.explain` takes it, or a :class:`pysmdl.jobs.Factory`.
        settings: As explain has them.
        target: Of rows that name none.
    """

    def __init__(self, model: Any, settings: Mapping[str, Any] | None = None, target: Any = None) -> None:
        self._explainer, self._target = Task(model, settings or {}).explainer(), target

    def __call__(self, batch: Any) -> Any:
        """A batch of columns, NumPy's or pyarrow's, as a pyarrow.Table."""
        columns = batch.to_pydict() if hasattr(batch, "to_pydict") else batch
        known = {name: columns[name] for name in (*NAMES, *ALIASES, "group") if name in columns}
        items = [dict(zip(known, values, strict=True)) for values in zip(*known.values(), strict=True)]
        entries: list[Entry] = list(entries_of(items))
        rows: list[dict[str, Any]] = [
            {"id": entry.id, "source": entry.source, "group": entry.group} for entry in entries
        ]

        def failed(number: int, error: Exception) -> None:
            rows[number]["error"] = described(error)

        given = [entry.item(self._target) for entry in entries]
        for found in self._explainer.run(given, on_error=failed):
            entry = entries[found.index]
            rows[found.index] = row_of(found, entry.id, entry.source, entry.group)
        return schema.arrow().Table.from_pylist(rows, schema=_columns())


def _columns() -> Any:
    """Those of a part, all of which may be null here, and error."""
    arrow = schema.arrow()
    return arrow.schema([*(each.with_nullable(True) for each in schema.part()), ("error", arrow.string())])
