"""What a scorer of classes gives where a head is read off its answers in place of the probability."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pysmdl.scorers import reference
from pysmdl.scorers.base import Outputs, Wanted, own_rows
from pysmdl.scorers.head import read_off


def headed_outputs(scorer: Any, answer: Tensor, targets: Tensor, wanted: Wanted, features: Tensor | None) -> Outputs:
    """Answers [B, K] of a ClassScorer to values [B, 2 + t]: confidence and top class as ever, the head's numbers.

    Of a row that is wanted and does not know its full input, which it then is, the answer goes back as its features.
    """
    first = answer.shape[1] != scorer.classes
    if first:
        scorer.look(answer)
    raw, width = answer.float(), scorer.kept_width
    classes, whole, known = targets, raw, None
    if scorer.refers:
        classes, whole, known = reference.on_device(targets, raw, width)
    if first:
        scorer.check_classes(classes.cpu().numpy())
    values = scorer.probabilities(answer, classes.clamp(min=-1), wanted)
    for column in range(classes.shape[1]):
        which = torch.where(classes[:, column] < 0, values[:, 1].long(), classes[:, column].long())
        values[:, 2 + column] = read_off(scorer.head, raw, whole, which, scorer.gives)
    if wanted.features is None or known is None or not width:
        return Outputs(values, features)
    return Outputs(values, _seen(own_rows(raw, wanted.features), features, known[wanted.features]))


def _seen(answers: Tensor, features: Tensor | None, known: Tensor) -> Tensor:
    """Of rows that know their full input features [f, D], of the others, which are one, answers [f, K]."""
    if features is None:
        return answers
    wide = max(answers.shape[1], features.shape[1])
    answers, features = (torch.nn.functional.pad(each, (0, wide - each.shape[1])) for each in (answers, features))
    return torch.where(known[:, None], features, answers)
