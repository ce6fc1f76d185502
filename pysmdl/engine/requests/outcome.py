"""What a request hands over in the end: an order, read off what is known, as an explanation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.engine.plan import Item, Plan
from pysmdl.engine.requests.gains import GainRecord
from pysmdl.engine.requests.known import Known
from pysmdl.explanation import Explanation
from pysmdl.types import Ints, Reading

OWN = ("score", "traced", "decided", "confidence", "top")  # readings that an explanation has under other names


def explanation_of(
    order: Ints, known: Known, gains: GainRecord, item: Item, plan: Plan, notes: Mapping[str, Any], **counts: Any
) -> Explanation:
    """The order with its curves, scores and terms; points that were never measured are NaN.

    Args:
        notes: To be added to the plan's.
        **counts: Fields of the explanation that only the request knows: asked, seconds, index.
    """
    found, kept, removed = known.along(order)
    grown, compared, largest = gains.violations(float(found.total[0]) if len(found.total) else np.nan)
    shown = item.shown or item.regions
    areas = shown.areas()
    return Explanation(
        order=order.astype(np.int64),
        score=found.total[1:],
        terms={name: values[1:] for name, values in found.terms.items()},
        insertion=kept["score"],
        deletion=removed["score"],
        area=(np.append(0, areas[order].cumsum()) / areas.sum()).astype(np.float32),
        labels=shown.labels,
        target=plan.scorer.describe(known.target) if item.described is None else item.described,
        traced={
            int(known.target[t]): np.stack((kept["traced"][:, t], removed["traced"][:, t]))
            for t in range(1, kept["traced"].shape[1])
        },
        predicted=_predicted(kept, removed),
        evaluations=known.evaluations,
        violations=grown,
        notes={**plan.notes, "gains_compared": compared, "largest_growth": largest, **notes},
        id=item.id,
        pixels=item.pixels,
        reading={name: np.stack((kept[name], removed[name])) for name in kept if name not in OWN},
        **counts,
    )


def _predicted(kept: Reading, removed: Reading) -> NDArray[np.int64] | None:
    if "top" not in kept:
        return None
    return np.nan_to_num(np.stack((kept["top"], removed["top"])), nan=-1).astype(np.int64)
