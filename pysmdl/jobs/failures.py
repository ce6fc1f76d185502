"""A store's failures: inputs that could not be explained, and as far as they came."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from pysmdl.explanation import Explanation
from pysmdl.jobs import parts, schema
from pysmdl.jobs.places import Place
from pysmdl.jobs.rows import settled


@dataclass(frozen=True)
class Failure:
    """An input that could not be explained.

    Attributes:
        id: Its own.
        source: Where it came from, if that is known.
        error: What went wrong.
        traceback: Where, as text.
        attempts: How often it was tried.
        settled: The explanation as far as it had come when the model failed, or None.
        group: Its input's, where it has one.
    """

    id: str
    source: str | None
    error: str
    traceback: str | None = None
    attempts: int = 1
    settled: Explanation | None = None
    group: str | None = None


def failures_of(place: Place, explained: Collection[str]) -> dict[str, Failure]:
    """Those that were not explained since, by id; of several of one id the last."""
    found: dict[str, Failure] = {}
    for name, table in parts.read_all(place, "failures", schema.failure().names):
        for row in table.to_pylist():
            if row["id"] not in explained:
                before = found.get(row["id"])
                if before is None or before.attempts <= row["attempts"]:
                    found[row["id"]] = Failure(**{**row, "settled": settled(row["settled"], f"{place}/{name}")})
    return found
