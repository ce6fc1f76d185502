"""Minimal regions that change or carry an answer: AMCR and CSR@10% (EAGLE), and their insertion side.

An answer is the top class, or the top token at each explained position. With its first regions removed it *flips* where
it is no longer the expected one (any of the tokens differs); with only these kept they *suffice* where it is. Expected
is the target, or under ``expected="initial"`` what the model says of the full input: for hallucinations, whose
correction is that the answer stops being what it was, and for wrong predictions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pysmdl.errors import one_of
from pysmdl.explanation import Explanation
from pysmdl.metrics.checks import KEPT, REMOVED, ROUNDING, listed

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


def amcr(explanations: Explanation | Iterable[Explanation], expected: str = "target", view: str = "removed") -> float:
    """Average minimal correction region (EAGLE, hallucination diagnosis): the mean of :func:`minimal_correction`.

    An answer that never flips counts as 1, the whole area. Lower is better.

    Args:
        explanations: One or several.
        expected: "target" or "initial".
        view: "removed"; "kept" for the mean of :func:`minimal_sufficient`.

    Raises:
        ValueError: as :func:`minimal_correction`; no explanation; no such view.
    """
    return float(np.mean([min(_first(each, view, expected), 1.0) for each in listed(explanations)]))


def csr(
    explanations: Explanation | Iterable[Explanation],
    budget: float = 0.1,
    expected: str = "target",
    view: str = "removed",
) -> float:
    """Correction success rate (EAGLE's CSR@10% with the default budget): the share of answers flipped within the area.

    Answers that never flip are failures, whatever the budget. EAGLE's evaluator leaves them out of the count, so its
    numbers are higher.

    Args:
        explanations: One or several.
        budget: Share of the area that may be removed; above 0, at most 1.
        expected, view: As in :func:`amcr`.

    Raises:
        ValueError: as :func:`amcr`; a budget out of range.
    """
    if not 0 < budget <= 1:
        raise ValueError(f"budget must be above 0 and at most 1, a share of the area; got {budget}")
    return float(np.mean([_first(each, view, expected) <= budget + ROUNDING for each in listed(explanations)]))


def has_answers(explanation: Explanation) -> bool:
    """Whether the explanation says what the model answered at each point: one of a class or of tokens does."""
    return explanation.predicted is not None or "top_token" in explanation.reading


def _first(explanation: Explanation, view: str, expected: str) -> float:
    """Area at the first point that flips (removed) or suffices (kept); infinity where there is none."""
    if view not in VIEWS:
        raise one_of("view", view, VIEWS)
    if expected not in EXPECTED:
        raise one_of("expected", expected, EXPECTED)
    answers, target = _answers(explanation)
    wanted = target if expected == "target" else answers[REMOVED, 0]  # nothing removed: the full input
    known = (answers[VIEWS[view]] >= 0).all(1) & (wanted >= 0).all()
    same = (answers[VIEWS[view]] == wanted).all(1)
    met = known & (same if view == "kept" else ~same)
    return float(explanation.area[met.argmax()]) if met.any() else math.inf


def _answers(explanation: Explanation) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The answer at each point, [2, k + 1, T], -1 where unknown, and the target's, [T]. T is 1 for a class."""
    if explanation.predicted is not None:
        return explanation.predicted[:, :, None], np.array([explanation.target], np.int64)
    if "top_token" in explanation.reading:
        tokens = np.nan_to_num(explanation.reading["top_token"], nan=-1).astype(np.int64)
        return tokens, np.array(explanation.target["ids"], np.int64)
    raise ValueError(
        "explanation must be of a class or of tokens, to tell one answer from another; this one's target is "
        f"{explanation.target!r}"
    )
