"""A scorer of answers where a head is read off each token's logits in place of the probability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.inputs.image import InputSpec, Scale
from pysmdl.models.image_text import ImageText, Rows
from pysmdl.scorers.answer_places import told_of
from pysmdl.scorers.answers import AnswerScorer, Speech
from pysmdl.scorers.base import Outputs, Wanted, own_rows
from pysmdl.scorers.head import bounded, checked, compares, read_off, reduced
from pysmdl.scorers.reference import UNKNOWN
from pysmdl.types import Floats, Reading


class HeadedAnswers(AnswerScorer):
    """A row's values are, in turn, top id and the head's number of each token; its score is what they reduce to.

    A target goes on with what is known of the full input: its score, NaN until it has been evaluated; then, where the
    head compares, its logits at the k explained tokens [k, K].
    """

    _width = 0  # K, once the model has shown it

    def __init__(
        self, model: ImageText, input: InputSpec, speech: Speech, answer: str | None = None, head: Any = None
    ) -> None:
        super().__init__(model, input, speech, answer)
        self.head = checked(head)

    def encode(self, target: Any, trace: Sequence[Any], scale: Scale = (1.0, 1.0)) -> NDArray[Any]:
        return np.append(super().encode(target, trace, scale), UNKNOWN)

    def unresolved(self, target: NDArray[Any]) -> bool:
        return _score_of(target) is None

    def resolve(self, target: NDArray[Any], full: Reading, features: Floats | None) -> NDArray[Any]:
        known = [full.score[:1]]
        if features is not None and compares(self.head):
            known.append(features[0][: self._width * target[0]])
        return np.concatenate((target[: _end(target)], np.concatenate(known).astype(np.float32).view(np.int32)))

    def score(self, batch: Rows, targets: Tensor, wanted: Wanted) -> Outputs:
        told, ids = told_of(targets)
        logits = self.model.next_tokens(self.input.into_model(batch), told).float()  # [B, k, K]
        self._width = logits.shape[2]
        whole = _whole(targets, logits) if compares(self.head) else logits
        numbers = read_off(self.head, logits.flatten(0, 1), whole.flatten(0, 1), ids.flatten().long(), "logits")
        top = logits.argmax(2).float()
        values = torch.stack((top, numbers.reshape(top.shape)), 2).flatten(1)
        seen = wanted.features is not None and compares(self.head)
        return Outputs(values, own_rows(logits.flatten(1), cast(Any, wanted.features)) if seen else None)

    def read(self, values: Floats, target: NDArray[Any]) -> Reading:
        read = super().read(values, target)
        whole = None if bounded(self.head) else _score_of(target)
        return Reading(reduced(self.head, read["tokens"]), read.decided, others=read.others, whole=whole)


def _end(target: NDArray[Any]) -> int:
    """Where in a row what is known of the full input starts."""
    return int(4 + target[0] + target[:4].sum())


def _score_of(target: NDArray[Any]) -> float | None:
    """The full input's score, once it is known."""
    found = float(target[_end(target) :][:1].view(np.float32)[0])
    return None if np.isnan(found) else found


def _whole(targets: Tensor, logits: Tensor) -> Tensor:
    """The full inputs' logits, as these [B, k, K] are; of a row that does not know them its own, as it is the full one.

    Tokens that fill up a row of fewer repeat its last.
    """
    targets = torch.where(targets[:, :1] == 0, targets[:1], targets)
    _, most, width = logits.shape
    start = 4 + targets[:, 0] + targets[:, :4].sum(1)
    numbers = targets.contiguous().view(torch.float32)
    known = ~numbers.gather(1, start[:, None].long()).isnan()
    if targets.shape[1] <= int(start.min()) + 1:
        return logits
    token = torch.minimum(torch.arange(most, device=targets.device)[None], targets[:, :1] - 1)
    place = (start[:, None] + 1 + token * width)[:, :, None] + torch.arange(width, device=targets.device)
    found = numbers.gather(1, place.flatten(1).long().clamp(max=targets.shape[1] - 1)).view_as(logits)
    return torch.where(known[:, :, None], found, logits)
