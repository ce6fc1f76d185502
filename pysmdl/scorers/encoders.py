"""Scorers of encoders: their features against class prototypes, or against one direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.errors import ScorerError
from pysmdl.inputs.arrays import tensor_of
from pysmdl.inputs.image import InputSpec, Scale
from pysmdl.models.answers import EMBEDDED, Form
from pysmdl.models.base import Forward, Model
from pysmdl.scorers.base import Outputs, Scorer, Wanted, own_rows
from pysmdl.scorers.classes import ClassScorer
from pysmdl.targets import Features
from pysmdl.types import Floats, Reading

ENCODED = Form("the encoder", 2, EMBEDDED)


class Encoder(ClassScorer):
    """Features against class prototypes. See :func:`encoder`."""

    has_features = True
    has_prototypes = True

    def __init__(
        self,
        forward: Forward | Model,
        prototypes: Any,
        input: InputSpec,
        device: str | torch.device | None = None,
        batch: int | None = None,
        head: Any = None,
    ) -> None:
        super().__init__(forward, input, device, batch)
        self.read_by(head)
        self.prototypes = prototype_rows(prototypes).to(self.device)
        self.classes = len(self.prototypes)

    def ready(self) -> None:
        super().ready()
        self.prototypes = self.prototypes.to(self.device)

    def score(self, batch: Tensor, targets: Tensor, wanted: Wanted) -> Outputs:
        if self.input.mask_at == "image":
            batch = self.input.into_model(batch)
        features = self.model.tensor(batch, ENCODED)
        if features.shape[1] != self.prototypes.shape[1]:
            raise ScorerError(
                f"the encoder returned {features.shape[1]} features a row, prototypes have {self.prototypes.shape[1]}"
            )
        logits = features.float() @ self.prototypes.T
        shown = None if wanted.features is None else own_rows(features, wanted.features)
        return self.outputs(logits, targets, wanted, shown)


class Similarity(Scorer):
    """Cosine to a target's features, for encoders without classes. See :func:`encoder`."""

    has_features = True
    has_confidence = False
    width: int | None = None  # of the features, once the encoder has shown

    def encode(self, target: Any, trace: Sequence[Any], scale: Scale = (1.0, 1.0)) -> NDArray[Any]:
        if trace:
            raise ValueError("an encoder without prototypes has no classes to trace along")
        if target is None:
            return np.array([np.nan], np.float32)  # the input's own features, still to be seen
        found = target if isinstance(target, Features) else Features(target)
        return np.array(found.vector, np.float32)

    def check(self, targets: NDArray[Any]) -> None:
        if self.width not in (None, targets.shape[1]) and not np.isnan(targets[:, 0]).all():
            raise ValueError(f"target must have {self.width} features, as the encoder's; got {targets.shape[1]}")

    def unresolved(self, target: NDArray[Any]) -> bool:
        return bool(np.isnan(target[0]))

    def resolve(self, target: NDArray[Any], full: Reading, features: Floats | None) -> NDArray[Any]:
        if features is None:
            raise ScorerError("the encoder gave no features for the full input")
        own: NDArray[Any] = features[0]
        return own

    def score(self, batch: Tensor, targets: Tensor, wanted: Wanted) -> Outputs:
        if self.input.mask_at == "image":
            batch = self.input.into_model(batch)
        answer = self.model.tensor(batch, ENCODED)
        features, self.width = answer.float(), answer.shape[1]
        if targets.shape[1] not in (1, self.width):
            raise ValueError(f"target must have {self.width} features, as the encoder's; got {targets.shape[1]}")
        own = targets[:, 0].isnan()  # the full input, whose features become the target
        goal = torch.where(own[:, None], features, targets)
        cosine = torch.where(own, 1, torch.nn.functional.cosine_similarity(features, goal, dim=1))
        nothing = torch.zeros_like(cosine)
        values = torch.stack((nothing, nothing, cosine), dim=1)
        return Outputs(values, None if wanted.features is None else own_rows(answer, wanted.features))

    def read(self, values: Floats, target: NDArray[Any]) -> Reading:
        return Reading(values[:, 2])

    def describe(self, target: NDArray[Any]) -> Any:
        return target.tolist()


def prototype_rows(given: Any) -> Tensor:
    """Class prototypes in float32 and memory of their own. [K, D].

    Raises:
        ValueError: they have another shape, or hold what is no finite number.
    """
    found = tensor_of("prototypes", given)
    if found.dim() != 2 or len(found) < 2:
        raise ValueError(f"prototypes must be [K, D], a row for each of two classes or more; got {list(found.shape)}")
    if not bool(found.isfinite().all()):
        raise ValueError("prototypes must be finite; they hold NaN or infinity")
    return found.detach().to(torch.float32, copy=True)
