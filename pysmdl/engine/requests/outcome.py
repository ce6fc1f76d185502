"""What a request hands over in the end: an order, read off what is known, as an explanation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.engine.item import Item
from pysmdl.engine.plan import Plan
from pysmdl.engine.requests.gains import violations
from pysmdl.engine.requests.subset_values import SubsetValues
from pysmdl.explanation import Explanation
from pysmdl.explanation.values import Frame
from pysmdl.search.vocabulary import Ask
from pysmdl.types import Floats, Ints, Reading


def explanation_of(
    order: Ints,
    values: SubsetValues,
    asks: Sequence[tuple[Ask, Floats]],
    item: Item,
    plan: Plan,
    notes: Mapping[str, Any],
    **counts: Any,
) -> Explanation:
    """The order with its curves, scores and terms; points that were never measured are NaN.

    Args:
        asks: Those of the search along its front, with what they found.
        notes: To be added to the plan's.
        **counts: Fields of the explanation that only the request knows: asked, seconds, index.
    """
    found, kept, removed = values.along(order)
    grown, compared, largest = violations(asks, float(found.total[0]) if len(found.total) else np.nan)
    areas = item.regions.areas()
    target = plan.scorer.describe(values.target) if item.described is None else item.described
    traced, predicted = _traced(values.target, kept, removed), _predicted(kept, removed)
    return Explanation(
        order=order.astype(np.int64),
        score=found.total[1:],
        terms={name: each[1:] for name, each in found.terms.items()},
        insertion=kept.score,
        deletion=removed.score,
        area=(np.append(0, areas[order].cumsum()) / areas.sum()).astype(np.float32),
        labels=item.regions.labels,
        target=target,
        traced=traced,
        predicted=predicted,
        evaluations=values.evaluations * plan.draws,
        violations=grown,
        notes={
            **plan.notes,
            "gains_compared": compared,
            "largest_growth": largest,
            **plan.removal.counted(item.resident),
            **notes,
        },
        id=item.id,
        pixels=item.pixels,
        size=None if item.pixels is None else (item.pixels.shape[0], item.pixels.shape[1]),
        frame=_shares(item),
        names=_named(plan.names, target, traced, predicted),
        provenance={**plan.provenance, **item.provenance},
        players=item.regions.names,
        groups=item.regions.groups,
        covers=item.regions.covers,
        cover=item.regions.cover,
        modality=item.modality,
        shown=item.shown,
        rate=item.rate,
        inputs=dict(item.inputs),
        reading={name: np.stack((kept[name], removed[name])) for name in kept.others},
        **counts,
    )


def _traced(target: NDArray[Any], kept: Reading, removed: Reading) -> dict[int, Floats]:
    """Curves of the classes traced along, by class. [2, k + 1] each."""
    if kept.traced is None or removed.traced is None:
        return {}
    count = kept.traced.shape[1]
    return {int(target[t]): np.stack((kept.traced[:, t], removed.traced[:, t])) for t in range(1, count)}


def _predicted(kept: Reading, removed: Reading) -> NDArray[np.int64] | None:
    if kept.top is None or removed.top is None:
        return None
    return np.nan_to_num(np.stack((kept.top, removed.top)), nan=-1).astype(np.int64)


def _shares(item: Item) -> Frame | None:
    """Where the grid lies in the picture, as shares of its width and height."""
    if item.frame is None or item.pixels is None:
        return None
    height, width = item.pixels.shape[:2]
    x0, y0, x1, y1 = item.frame
    return x0 / width, y0 / height, x1 / width, y1 / height


def _named(
    names: Mapping[int, str] | None, target: Any, traced: Mapping[int, Floats], predicted: NDArray[np.int64] | None
) -> dict[int, str]:
    """Names of the classes that a result speaks of."""
    if names is None:
        return {}
    labels = target.get("labels", ()) if isinstance(target, dict) else [target] if isinstance(target, int) else []
    said = [] if predicted is None else np.unique(predicted).tolist()
    return {index: names[index] for index in dict.fromkeys([*labels, *traced, *said]) if index in names}
