"""Any pixel-level saliency map on the engine: insertion and deletion in equal pixel steps."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from pysmdl.api import explain
from pysmdl.explanation import Explanation
from pysmdl.metrics.steps import pixel_steps
from pysmdl.search import fixed


def saliency_curves(
    image: Any, model: Any, target: Any, saliency: NDArray[Any], steps: int = 10, **settings: Any
) -> Explanation:
    """Measure the insertion and deletion curves of any saliency map, in 2 * steps evaluations on the engine.

    ``pysmdl.metrics.insertion_auc(found, "steps")`` is then Xplique's number (with the baseline set as there,
    ``baseline="zero"``).

    Args:
        image, model, target: As in :func:`pysmdl.explain`.
        saliency: [H, W] on the grid where regions live: the model's input, or the image under mask_at="image".
        steps: As in :func:`pysmdl.metrics.pixel_steps`.
        **settings: Others of :func:`pysmdl.explain`. An objective with an effectiveness term costs `steps` more
            evaluations; ``pysmdl.lima(effectiveness=0)`` saves them where the scorer has features.

    Raises:
        ValueError: as :func:`pysmdl.metrics.pixel_steps`, and as :func:`pysmdl.explain`; RegionError for a map on
            another grid.
    """
    labels, order = pixel_steps(saliency, steps)
    given: Any = {"progress": False, **settings}
    found: Explanation = explain(image, model, target, regions=labels, search=fixed(order), **given)
    return found
