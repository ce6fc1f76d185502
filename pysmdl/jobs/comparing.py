"""Two stores against each other: two models, or two settings, on the same inputs."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from typing import Any

import numpy as np

from pysmdl.explanation import Explanation
from pysmdl.jobs.store import Store, open_store


def diff(a: Store | str | PathLike[str], b: Store | str | PathLike[str]) -> Iterator[dict[str, Any]]:
    """Who changed, and by how much: a dict for each input that either store has.

    Args:
        a, b: Stores, or where they are.

    Yields:
        id; "in": "both", "a" or "b"; and of both: "target" and "said", whether they are the same; "order": Spearman's
        correlation of the regions' places, NaN where the regions differ; "values": Pearson's of what they did;
        "insertion_auc", "deletion_auc", "evaluations", "seconds": b less a.
    """
    first, second = (each if isinstance(each, Store) else open_store(each) for each in (a, b))
    for id in dict.fromkeys((*first.ids, *second.ids)):
        if id in first and id in second:
            yield {"id": id, "in": "both", **_between(first[id], second[id])}
        else:
            yield {"id": id, "in": "a" if id in first else "b"}


def _between(a: Explanation, b: Explanation) -> dict[str, Any]:
    alike = a.labels.shape == b.labels.shape and bool((a.labels == b.labels).all())
    full = alike and len(a.order) == len(b.order) == a.n
    numbers = ("insertion_auc", "deletion_auc", "evaluations", "seconds")
    return {
        "target": a.target == b.target,
        "said": a.said == b.said,
        "order": _correlation(np.argsort(a.order), np.argsort(b.order)) if full else float("nan"),
        "values": _correlation(a.values(), b.values()) if alike else float("nan"),
        **{name: getattr(b, name) - getattr(a, name) for name in numbers},
    }


def _correlation(a: Any, b: Any) -> float:
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])
