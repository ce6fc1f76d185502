"""A scorer of any number a row: what a head reads off any answer, nothing softmaxed, no class needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.errors import ScorerError, number, whole_number
from pysmdl.inputs.image import InputSpec, Scale
from pysmdl.models.answers import Form
from pysmdl.models.base import Forward, Model
from pysmdl.scorers import reference
from pysmdl.scorers.base import Outputs, Scorer, Wanted, own_rows
from pysmdl.scorers.head import bounded, called, checked, compares, kept_of, reduced
from pysmdl.targets import SCORE
from pysmdl.types import Floats, Reading

NO_OUTPUT = -1  # a target that names none; a head is given 0


class Custom(Scorer):
    """A head's number of a raw answer. See :func:`pysmdl.scorers.custom` and :func:`pysmdl.scorers.scalar`."""

    target = "scalar"
    has_confidence = False

    def __init__(
        self,
        forward: Forward | Model,
        head: Any,
        input: InputSpec,
        dims: int = 2,
        decided_at: float | None = None,
        device: str | torch.device | None = None,
        batch: int | None = None,
    ) -> None:
        super().__init__(forward, input, device, batch)
        self.head = checked(head)
        self.decided_at = None if decided_at is None else number("decided_at", decided_at)
        self._form = Form("the model", whole_number("dims", dims, 1))
        self._outputs: int | None = None  # that a target may name, once an answer has shown
        self._numbers = 0  # of an answer that travel with a target

    @property
    def form(self) -> Form:
        """Of the model's answers."""
        return self._form

    def encode(self, target: Any, trace: Sequence[Any], scale: Scale = (1.0, 1.0)) -> NDArray[Any]:
        if trace:
            raise ValueError(f"a scorer of one number has no classes to trace along; got trace={list(trace)!r}")
        return reference.classes_row([NO_OUTPUT if target is None else whole_number("target", target, 0)])

    def stack(self, targets: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return reference.stacked(targets)

    def check(self, targets: NDArray[Any]) -> None:
        highest = int(targets[:, 0].max())
        if self._outputs is not None and highest >= self._outputs:
            raise ValueError(f"target must be 0 to {self._outputs - 1}, an output of the model; got {highest}")

    def unresolved(self, target: NDArray[Any]) -> bool:
        return not reference.has_reference(target)

    def resolve(self, target: NDArray[Any], full: Reading, features: Floats | None) -> NDArray[Any]:
        answer = None if features is None or not self._numbers else features[0]
        return reference.with_reference(target, float(full.score[0]), answer)

    def describe(self, target: NDArray[Any]) -> Any:
        return SCORE if target[0] == NO_OUTPUT else int(target[0])

    def score(self, batch: Tensor, targets: Tensor, wanted: Wanted) -> Outputs:
        if self.input.mask_at == "image":
            batch = self.input.into_model(batch)
        raw = self.model.tensor(batch, self._form).float()
        self._outputs = raw.shape[1] if raw.dim() in (2, 4) else None if raw.dim() > 2 else 1
        classes = targets[:, 0].clamp(min=0).long()
        kept = kept_of(self.head, raw, classes)
        self._numbers = math.prod(kept.shape[1:]) if compares(self.head) else 0
        _, whole, _ = reference.on_device(targets, kept, self._numbers)
        found = called(self.head, raw, whole, classes, "raw")
        if found.dim() > 2:
            raise ScorerError(f"a head must return [B] or [B, T], B = {len(raw)}; got shape {list(found.shape)}")
        seen = None if wanted.features is None or not self._numbers else own_rows(kept.flatten(1), wanted.features)
        return Outputs(found.reshape(len(raw), -1).clone(), seen)

    def read(self, values: Floats, target: NDArray[Any]) -> Reading:
        score = reduced(self.head, values)
        decided = None if self.decided_at is None else (score >= self.decided_at).astype(np.float32)
        others = {"tokens": values} if values.shape[1] > 1 else {}
        whole = None if bounded(self.head) else reference.score_of(target)
        return Reading(score, decided, others=others, whole=whole)
