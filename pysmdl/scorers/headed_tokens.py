"""A token scorer where a head is read off each token's logits in place of the probability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.inputs.image import InputSpec, Scale
from pysmdl.models.base import Forward, Model
from pysmdl.scorers import reference
from pysmdl.scorers.answer_tokens import TOP, TokenScorer
from pysmdl.scorers.base import Outputs, Wanted, own_rows
from pysmdl.scorers.head import bounded, checked, compares, read_off, reduced
from pysmdl.types import Floats, Reading


class HeadedTokens(TokenScorer):
    """A row's values are, in turn, top id and the head's number of each token; its score is what they reduce to.

    A target is positions and ids in turn, and -2, which makes their number odd; then what is known of the full input:
    its score, and where the head compares the T tokens' logits [T, K].
    """

    def __init__(
        self,
        forward: Forward | Model,
        input: InputSpec,
        device: str | torch.device | None = None,
        batch: int | None = None,
        head: Any = None,
    ) -> None:
        super().__init__(forward, input, device, batch)
        self.head = checked(head)

    @property
    def _width(self) -> int:
        """Numbers of the full input's answer that are kept for each token."""
        return self._shape[-1] if compares(self.head) and self._shape else 0

    def _tokens(self, columns: int) -> int:
        """How many tokens a target of so many columns has."""
        return (columns - 1) // 2 if columns % 2 else (columns - 2) // (self._width + 2)

    def _plain(self, target: NDArray[Any]) -> NDArray[Any]:
        """Positions and ids alone, of one target or several."""
        return target[..., : 2 * self._tokens(target.shape[-1])]

    def encode(self, target: Any, trace: Sequence[Any], scale: Scale = (1.0, 1.0)) -> NDArray[Any]:
        return reference.classes_row(super().encode(target, trace, scale).tolist())

    def stack(self, targets: Sequence[NDArray[Any]]) -> NDArray[Any]:
        pairs = super().stack([self._plain(target) for target in targets])
        apart = np.full((len(targets), 1), reference.NONE, np.int32)
        known = [target[2 * self._tokens(len(target)) + 1 :] for target in targets]
        room = reference.room(pairs.shape[1] // 2 * self._width) if any(map(len, known)) else 0
        filled = [np.pad(each, (0, room - len(each)), constant_values=reference.UNKNOWN) for each in known]
        return np.concatenate((pairs, apart, np.stack(filled)), axis=1)

    def own(self, values: Floats, target: NDArray[Any]) -> Floats:
        return super().own(values, self._plain(target))

    def check(self, targets: NDArray[Any]) -> None:
        super().check(self._plain(targets))

    def unresolved(self, target: NDArray[Any]) -> bool:
        return not reference.has_reference(target)

    def resolve(self, target: NDArray[Any], full: Reading, features: Floats | None) -> NDArray[Any]:
        plain = super().resolve(self._plain(target), full, features)
        answer = None if features is None or not self._width else features[0][: len(plain) // 2 * self._width]
        return reference.with_reference(reference.classes_row(plain.tolist()), float(full.score[0]), answer)

    def score(self, batch: Tensor, targets: Tensor, wanted: Wanted) -> Outputs:
        logits = self.logits(batch)
        count = self._tokens(targets.shape[1])
        positions = targets[:, : 2 * count : 2].long().clamp(max=logits.shape[1] - 1)
        chosen = logits[torch.arange(len(logits), device=logits.device)[:, None], positions].float()  # [B, T, K]
        _, whole, _ = reference.on_device(targets, chosen, count * self._width)
        whole = torch.where(whole.isnan(), chosen, whole)  # at positions that fill up a shorter answer
        top = chosen.argmax(2)
        ids = targets[:, 1 : 2 * count : 2].long()
        ids = torch.where(ids == TOP, top, ids)
        numbers = read_off(self.head, chosen.flatten(0, 1), whole.flatten(0, 1), ids.flatten(), "logits")
        values = torch.stack((top.float(), numbers.reshape(top.shape)), 2).flatten(1)
        seen = None if wanted.features is None or not self._width else own_rows(chosen.flatten(1), wanted.features)
        return Outputs(values, seen)

    def read(self, values: Floats, target: NDArray[Any]) -> Reading:
        plain = self._plain(target)
        read = super().read(values, plain)
        whole = None if bounded(self.head) else reference.score_of(target, len(plain) + 1)
        return Reading(reduced(self.head, read["tokens"]), read.decided, others=read.others, whole=whole)

    def describe(self, target: NDArray[Any]) -> Any:
        return super().describe(self._plain(target))
