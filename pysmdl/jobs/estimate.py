"""What a job would take, from a few of its inputs: evaluations, time, size."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from statistics import fmean
from typing import Any

from pysmdl.engine import Item
from pysmdl.explainer import Explainer
from pysmdl.explanation.files import small
from pysmdl.jobs.asked import explains
from pysmdl.jobs.entries import Choice, Entry
from pysmdl.jobs.job import remaining
from pysmdl.jobs.places import place_of
from pysmdl.jobs.sources import entries_of

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
    explainer: Explainer,
    store: str | None,
    choice: tuple[int | None, int | None, tuple[int, int]],
    target: Any,
    seconds_a_row: Callable[[Explainer, Item, int], float],
) -> Estimate:
    """Read eight inputs spread over all, and time the model on them.

    Raises:
        ValueError: none of them can be read; or as :func:`pysmdl.jobs.run`.
    """
    chosen = Choice(*choice)
    kind = explains(explainer.scorer)
    place = place_of(store) if store else None
    before, left = remaining(inputs, place, chosen, kind) if place else (0, chosen.of(entries_of(inputs, kind), set()))
    entries = list(left)
    tried = list(islice(entries[:: max(1, len(entries) // TRIED)], TRIED))
    items = list(_prepared(tried, explainer, target))
    if tried and not items:
        raise ValueError(f"inputs must be readable; none of {len(tried)} tried is: {tried[0].id!r}, say")
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


def _prepared(entries: Iterable[Entry], explainer: Explainer, target: Any) -> Iterable[Item]:
    for entry in entries:
        with suppress(Exception):  # whatever is wrong with it: it is counted
            yield explainer.prepare(entry.item(target))
