"""What a job would take, from a few of its inputs: evaluations, time, size."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from statistics import fmean
from typing import Any

from pysmdl.engine import Item
from pysmdl.errors import described
from pysmdl.explainer import Explainer
from pysmdl.explanation.files import small
from pysmdl.jobs.asked import agrees, asked
from pysmdl.jobs.entries import Choice, Entry
from pysmdl.jobs.job import remaining
from pysmdl.jobs.places import place_of
from pysmdl.jobs.sources import entries_of
from pysmdl.jobs.task import Task

TRIED = 8  # inputs
FIXED, PER_REGION = 900, 26  # bytes of a row beside its label map: notes and names; curves, order and values


@dataclass(frozen=True)
class Estimate:
    """What a job would take.

    Attributes:
        inputs: That are left to explain.
        before: That are done.
        tried: Inputs that were read for it.
        bad: Of these, that cannot be read.
        evaluations: At most, before a memo saves any.
        seconds: For these, by forward passes timed now.
        nbytes: Of the store, without pictures.
        device: Where the model runs.
    """

    inputs: int
    before: int
    tried: int
    bad: int
    evaluations: int
    seconds: float
    nbytes: int
    device: str


def estimate(
    inputs: Any,
    task: Task,
    choice: Choice,
    seconds_a_row: Callable[[Explainer, Item, int], float],
    retry_failed: bool = False,
) -> Estimate:
    """Read eight inputs spread over all, and time the model on them.

    Raises:
        ValueError: none of them can be read.
        StoreError: the store was made with other settings; or as :func:`pysmdl.jobs.run`.
    """
    explainer = task.explainer()
    wanted = asked(explainer, task.target, task.words)
    before, left = _left(inputs, task.keeping.store, choice, wanted, retry_failed)
    entries = list(left)
    tried = list(islice(entries[:: max(1, len(entries) // TRIED)], TRIED))
    wrong: list[str] = []
    items = list(_prepared(tried, explainer, task.target, wrong))
    if tried and not items:
        raise ValueError(f"inputs must be readable; none of {len(tried)} tried is: {tried[0].id!r}, say: {wrong[0]}")
    most = [explainer.most(item) for item in items]
    seconds = [rows * seconds_a_row(explainer, item, rows) for item, rows in zip(items, most, strict=True)]
    nbytes = [_row_bytes(item) for item in items]
    count = len(entries)
    rows, time, size = (count * fmean(values or [0]) for values in (most, seconds, nbytes))
    bad, device = len(tried) - len(items), str(explainer.scorer.device)
    return Estimate(count, before, len(tried), bad, round(rows), time, round(size), device)


def _row_bytes(item: Item) -> int:
    names = sum(len(each.encode()) for each in (*item.regions.names, *item.regions.groups))
    return FIXED + PER_REGION * item.regions.n + names + len(zlib.compress(small(item.regions.labels).tobytes()))


def _left(
    inputs: Any, store: str, choice: Choice, wanted: dict[str, Any], retry_failed: bool
) -> tuple[int, Iterable[Entry]]:
    if not store:
        return 0, choice.of(entries_of(inputs, wanted["explains"]), set())
    place = place_of(store)
    agrees(place, wanted)
    return remaining(inputs, place, choice, wanted["explains"], retry_failed)


def _prepared(entries: Iterable[Entry], explainer: Explainer, target: Any, wrong: list[str]) -> Iterable[Item]:
    for entry in entries:
        try:
            yield explainer.prepare(entry.item(target))
        except Exception as error:  # whatever is wrong with it: it is counted
            wrong.append(described(error))
