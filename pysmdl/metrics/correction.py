"""What corrects an answer: EAGLE's AMCR and CSR@10%, of explanations of the counter word.

The counter word is the right answer that the model did not give. Of the full picture regions are taken away, those that
matter least to it first, until it is what the model says. Of an explanation, that is its top class, or its top tokens
after the explained answer, along the curve; :func:`pysmdl.studies.correction` has the model answer anew, as EAGLE does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pysmdl.explanation import Explanation
from pysmdl.metrics.answers import answers_of, share_within
from pysmdl.metrics.checks import KEPT, REMOVED, ROUNDING, listed


@dataclass(frozen=True)
class Correction:
    """A walk back from the full input, each step's answer generated anew.

    Attributes:
        area: Share of the area that was taken away at the first right answer, 0 to 1; None where there was none.
        answers: To each step, the full input first.
    """

    area: float | None
    answers: tuple[str, ...]


Corrected = Explanation | Correction


def correction_region(explanation: Explanation) -> float:
    """Share of the area taken away, least important regions first, when the answer is the explained one (EAGLE).

        for j = k, k - 1, ... 1: the answer with the first j regions kept
        1 - area[j] of the first that equals the target's

    The target should be the counter word: the answer that would have been right.

    Args:
        explanation: Of a class or of tokens; of a search that was cut short, the points it measured count.

    Returns:
        0 (right with everything shown) to 1; 1 also where no view gives the answer.

    Raises:
        ValueError: the explanation has no answers to compare.
    """
    return min(_corrected(explanation), 1.0)


def amcr(explanations: Corrected | Iterable[Corrected]) -> float:
    """Average minimal correction region (EAGLE, hallucination diagnosis): the mean of :func:`correction_region`.

    An answer that is never corrected counts as 1, the whole area. Lower is better.

    Args:
        explanations: One or several, each of its counter word; or what :func:`pysmdl.studies.correction` gave of them.

    Raises:
        ValueError: as :func:`correction_region`; no explanation.
    """
    return float(np.mean([min(area, 1.0) for area in _areas(explanations)]))


def csr(explanations: Corrected | Iterable[Corrected], budget: float = 0.1) -> float:
    """Correction success rate (EAGLE's CSR@10% with the default budget): the share of :func:`correction_region` within.

    Answers that are never corrected are failures, whatever the budget. EAGLE's evaluator leaves them out of the count,
    so its numbers are higher.

    Args:
        explanations: One or several, each of its counter word; or what :func:`pysmdl.studies.correction` gave of them.
        budget: Share of the area that may be taken away; above 0, at most 1.

    Raises:
        ValueError: as :func:`amcr`; a budget out of range.
    """
    return share_within(budget, _areas(explanations))


def _areas(given: Corrected | Iterable[Corrected]) -> list[float]:
    """Area taken away of each; infinity where nothing corrected it."""
    return [
        _corrected(each) if isinstance(each, Explanation) else math.inf if each.area is None else each.area
        for each in listed(given, Correction)
    ]


def _corrected(explanation: Explanation) -> float:
    """Area taken away at the first right answer, from the full input backwards; infinity where there is none."""
    answers, target = answers_of(explanation)
    path, removed = answers[KEPT, :0:-1], 1 - explanation.area[:0:-1].astype(np.float64)
    if explanation.area[-1] < 1 - ROUNDING:  # an order that was cut: what is missing at its end is the full input
        path, removed = np.concatenate((answers[REMOVED, :1], path)), np.append(0, removed)
    right = (path >= 0).all(1) & (path == target).all(1)
    return float(removed[right.argmax()]) if right.any() else math.inf
