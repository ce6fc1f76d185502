"""EAGLE's correction by its own protocol: what a model answers anew as the least important regions are taken away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pysmdl.explanation import Explanation
from pysmdl.metrics.correction import Correction
from pysmdl.removal import Removal, resolve
from pysmdl.removal.of_text import OfText, Sheet
from pysmdl.scorers.answers import AnswerScorer
from pysmdl.scorers.language import LanguageScorer
from pysmdl.types import Regions


def correction(
    explanation: Explanation,
    given: Any,
    scorer: Any,
    label: str | Callable[[str], bool],
    *,
    removal: str | Removal | None = None,
    baseline: Any = None,
) -> Correction:
    """Walk an order back from the full input, least important regions first, until the model gives the right answer
    (Chen et al., EAGLE, CVPR 2026, hallucination diagnosis).

        for j = n, n - 1, ... 1: the answer that is generated to the input with the first j regions of the order
        1 - area[j] of the first that equals the label

    The explanation should be of the counter word, the right answer that the model did not give; the model is asked to
    speak at each step, and not only whether it would say that word. :func:`pysmdl.metrics.amcr` and
    :func:`pysmdl.metrics.csr` take what this gives. At most k + 1 answers are generated.

    Args:
        explanation: Of a picture's answer, or of a text's.
        given: The picture, text or chat that was explained.
        scorer: Of :func:`pysmdl.scorers.language_model`, or of a model that answers a picture.
        label: The right answer: the same words, in letters of any case and between any punctuation. Or a function of
            an answer that tells whether it is right.
        removal: Of a text, as it was explained; None: what the explanation's notes say.
        baseline: Of a picture, as in the scorer's ``answer``.

    Raises:
        ValueError: the scorer generates no answers; the explanation is of other regions than `given` has.
    """
    right = label if callable(label) else _same_as(label)
    if isinstance(scorer, LanguageScorer):
        answer = _of_text(explanation, given, scorer, explanation.notes.get("removal") if removal is None else removal)
    elif isinstance(scorer, AnswerScorer):

        def answer(kept: NDArray[np.bool_]) -> str:
            shown = np.append(kept, True)[explanation.labels]
            return scorer.answer(given, kept=shown, baseline=baseline)

    else:
        raise ValueError(
            "scorer must answer in words, as language_model and models that answer a picture do; got "
            f"{type(scorer).__name__}"
        )
    answers: list[str] = []
    for kept, area in _steps(explanation):
        answers.append(answer(kept))
        if right(answers[-1]):
            return Correction(float(1 - area), tuple(answers))
    return Correction(None, tuple(answers))


def _steps(explanation: Explanation) -> list[tuple[NDArray[np.bool_], float]]:
    """What is kept, and how much that is, from the full input on."""
    k, full = len(explanation.order), np.ones(explanation.n, bool)
    found = [(full, 1.0)]
    for j in range(k - (k == explanation.n), 0, -1):
        found.append((np.isin(np.arange(explanation.n), explanation.order[:j]), float(explanation.area[j])))
    return found


def _of_text(explanation: Explanation, given: Any, scorer: LanguageScorer, removal: Any) -> Any:
    """From the players that are kept to what the model says after the rest of a text."""
    removal = resolve(removal) if isinstance(removal, str) else removal
    if not isinstance(removal, OfText):
        raise ValueError(f"removal must be one of texts; got {removal!r}")
    scorer.ready()
    read = scorer.reader.read(given, scorer.input, True)
    if read.x.numel() != explanation.labels.size:
        raise ValueError(
            f"given must be the text that was explained, of {explanation.labels.size} characters; got {read.x.numel()}"
        )
    regions = Regions(explanation.labels.reshape(-1), explanation.n)
    resident = removal.resident_of(given, read.x, regions, None, scorer)
    sheet: Sheet = resident.host.known

    def answer(kept: NDArray[np.bool_]) -> str:
        with torch.no_grad():
            return scorer.said_after(replace(removal.rows(kept[None], sheet), tally=sheet.tally))

    return answer


def _same_as(label: str) -> Callable[[str], bool]:
    wanted = _words(label)
    if not wanted:
        raise ValueError(f"label must be an answer in words, or a function of one; got {label!r}")
    return lambda answer: _words(answer) == wanted


def _words(text: str) -> list[str]:
    return "".join(each if each.isalnum() else " " for each in text.casefold()).split()
