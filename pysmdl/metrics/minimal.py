"""The least that changes an answer, or that carries it by itself; EAGLE's AMCR is in :mod:`pysmdl.metrics.correction`.

With its first regions removed an answer *flips* where it is no longer the expected one (any of the tokens differs);
with only these kept they *suffice* where it is. Expected is the target, or under ``expected="initial"`` what the model
says of the full input: for wrong predictions, which are to stop being what they were.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from pysmdl.errors import one_of
from pysmdl.explanation import Explanation
from pysmdl.metrics.answers import answers_of, share_within
from pysmdl.metrics.checks import KEPT, REMOVED, listed

EXPECTED = ("target", "initial")
VIEWS = {"kept": KEPT, "removed": REMOVED}


def minimal_correction(explanation: Explanation, expected: str = "target") -> float:
    """Share of the area up to the first point of the deletion curve where the answer flips.

    Args:
        explanation: Of a class or of tokens.
        expected: "target" or "initial"; see the module.

    Returns:
        0 (the answer is not the expected one to begin with) to 1; 1 also where it never flips. Points that were never
        measured flip nothing.

    Raises:
        ValueError: the explanation has no answers to compare, or expected is no such name.
    """
    return min(_first(explanation, "removed", expected), 1.0)


def minimal_sufficient(explanation: Explanation, expected: str = "target") -> float:
    """Share of the area up to the first point of the insertion curve that gives the expected answer by itself.

    Arguments, range and errors as in :func:`minimal_correction`; 1 also where no prefix suffices, 0 where the empty
    view does.
    """
    return min(_first(explanation, "kept", expected), 1.0)


def mean_minimal_region(
    explanations: Explanation | Iterable[Explanation], expected: str = "target", view: str = "removed"
) -> float:
    """The mean of :func:`minimal_correction` (view "removed") or :func:`minimal_sufficient` ("kept"). Lower is better.

    An answer that never flips, or that nothing gives, counts as 1, the whole area.

    Args:
        explanations: One or several.
        expected: "target" or "initial".
        view: "removed" or "kept".

    Raises:
        ValueError: as :func:`minimal_correction`; no explanation; no such view.
    """
    return float(np.mean([min(_first(each, view, expected), 1.0) for each in listed(explanations)]))


def minimal_region_rate(
    explanations: Explanation | Iterable[Explanation],
    budget: float = 0.1,
    expected: str = "target",
    view: str = "removed",
) -> float:
    """The share of answers that flip ("removed") or are given ("kept") within the budget; those that never do are not.

    Args:
        explanations: One or several.
        budget: Share of the area that may be removed or kept; above 0, at most 1.
        expected, view: As in :func:`mean_minimal_region`.

    Raises:
        ValueError: as :func:`mean_minimal_region`; a budget out of range.
    """
    return share_within(budget, [_first(each, view, expected) for each in listed(explanations)])


def _first(explanation: Explanation, view: str, expected: str) -> float:
    """Area at the first point that flips (removed) or suffices (kept); infinity where there is none."""
    if view not in VIEWS:
        raise one_of("view", view, VIEWS)
    if expected not in EXPECTED:
        raise one_of("expected", expected, EXPECTED)
    answers, target = answers_of(explanation)
    wanted = target if expected == "target" else answers[REMOVED, 0]  # nothing removed: the full input
    known = (answers[VIEWS[view]] >= 0).all(1) & (wanted >= 0).all()
    same = (answers[VIEWS[view]] == wanted).all(1)
    met = known & (same if view == "kept" else ~same)
    return float(explanation.area[met.argmax()]) if met.any() else math.inf
