"""What the model answered at each point: the top class, or the top token at each explained position."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pysmdl.errors import share
from pysmdl.explanation import Explanation
from pysmdl.metrics.checks import ROUNDING, of_points


def has_answers(explanation: Explanation) -> bool:
    """Whether the explanation says what the model answered at each point: one of a class or of tokens does."""
    return explanation.predicted is not None or "top_token" in explanation.reading


def answers_of(explanation: Explanation) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The answer at each point, [2, k + 1, T], -1 where unknown, and the target's, [T]. T is 1 for a class.

    Raises:
        ValueError: the explanation has no answers to compare.
    """
    target = explanation.target
    if explanation.predicted is not None and isinstance(target, (int, np.integer)):
        top, wanted = of_points(explanation, "predicted", explanation.predicted)[:, :, None], [target]
    elif "top_token" in explanation.reading and isinstance(target, dict) and "ids" in target:
        top, wanted = of_points(explanation, "top_token", explanation.reading["top_token"]), target["ids"]
    else:
        raise ValueError(
            "explanation must be of a class or of tokens, to tell one answer from another; this one's target is "
            f"{target!r}"
        )
    if top.shape[2:] != (len(wanted),):
        raise ValueError(f"explanation must have an answer for each of {len(wanted)} tokens; got {list(top.shape)}")
    return np.where(np.isfinite(top), top, -1).astype(np.int64), np.array(wanted, np.int64)


def share_within(budget: float, areas: list[float]) -> float:
    """The share of areas that are within the budget.

    Raises:
        ValueError: a budget out of range.
    """
    budget = share("budget", budget, ", a share of the area")
    return float(np.mean([area <= budget + ROUNDING for area in areas]))
