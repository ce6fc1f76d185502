"""Scorers of class probabilities: plain classifiers, encoders with class prototypes, and bare encoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.errors import ScorerError
from pysmdl.inputs.image import InputSpec, Scale
from pysmdl.kernels import class_scores
from pysmdl.models.inspect import refuse_training
from pysmdl.scorers.base import Forward, Outputs, Scorer, Wanted
from pysmdl.types import Floats, Reading

TOP = -1  # a class still to be read off the full input


class ClassScorer(Scorer):
    """Common to all: a target is a class index; a row's values are confidence, top class, probabilities."""

    classes: int | None = None  # known where the model's shape says so

    def encode(self, target: Any, trace: Sequence[Any], scale: Scale = (1.0, 1.0)) -> NDArray[Any]:
        named = [TOP if each is None or each == "predicted" else self._class(each) for each in (target, *trace)]
        return np.array(named, np.int32)

    def check(self, targets: NDArray[Any]) -> None:
        if self.classes is not None and targets.max() >= self.classes:
            raise ValueError(f"target must be 0 to {self.classes - 1}, a class of the model; got {targets.max()}")

    def unresolved(self, target: NDArray[Any]) -> bool:
        return bool((target == TOP).any())

    def resolve(self, target: NDArray[Any], full: Reading, features: Floats | None) -> NDArray[Any]:
        return np.where(target == TOP, np.int32(full["top"][0]), target).astype(np.int32)

    def read(self, values: Floats, target: NDArray[Any]) -> Reading:
        top = values[:, 1]
        decided = (top == np.float32(target[0])).astype(np.float32)
        return Reading(values[:, 2], decided, values[:, 2:], values[:, 0], top)

    def describe(self, target: NDArray[Any]) -> Any:
        return int(target[0])

    def _class(self, target: Any) -> int:
        if isinstance(target, bool) or not isinstance(target, (int, np.integer)):
            raise ValueError(f"target must be a class index or None for the model's own top class; got {target!r}")
        if target < 0:
            raise ValueError(f"target must be at least 0; got {target}")
        if target >= 1 << 31:
            raise ValueError(f"target must be below 2**31; got {target}")
        return int(target)

    def probabilities(self, logits: Tensor, targets: Tensor, wanted: Wanted) -> Tensor:
        """[B, K] logits to values [B, 2 + t]."""
        self.classes = logits.shape[1]
        if self.classes == 1:
            raise ValueError(
                "the model must give a logit for each of two classes or more; with one its softmax is always 1. For a "
                "sigmoid's logit z give torch.cat((torch.zeros_like(z), z), 1)"
            )
        return class_scores(logits, targets, entropy=wanted.confidence == "entropy", backend=wanted.backend)


class Classifier(ClassScorer):
    """Logits, optionally with features and the outputs of an evidential head. See :func:`classifier`."""

    def __init__(
        self,
        forward: Forward,
        input: InputSpec,
        features: Forward | None = None,
        evidence: Forward | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        super().__init__(forward, input, device)
        for function in (features, evidence):
            if function is not None:
                refuse_training(function)
        self.features, self.evidence = features, evidence
        self.has_features, self.has_evidence = features is not None, evidence is not None

    def score(self, batch: Tensor, targets: Tensor, wanted: Wanted) -> Outputs:
        before = _version(batch)
        logits = self.call(self.forward, batch, 2, "the model")
        if (self.has_features or self.has_evidence) and _version(batch) != before:
            raise ScorerError(
                "the model changes its input in place, and features= or evidence= would see that: let it work on a copy"
            )
        values = self.probabilities(logits, targets, wanted)
        if wanted.confidence == "evidential" and self.evidence is not None:
            z = self.call(self.evidence, batch, 2, "evidence")
            values[:, 0] = evidential_confidence(z)
        features = None
        if wanted.features is not None and self.features is not None:
            features = self.call(self.features, batch[wanted.features], 2, "features").float()
        return Outputs(values, features)


class Encoder(ClassScorer):
    """Features against class prototypes. See :func:`encoder`."""

    has_features = True

    def __init__(
        self, forward: Forward, prototypes: Tensor, input: InputSpec, device: str | torch.device | None = None
    ) -> None:
        super().__init__(forward, input, device)
        prototypes = torch.as_tensor(prototypes)
        if prototypes.dim() != 2:
            raise ValueError(f"prototypes must be [K, D], a row per class; got {list(prototypes.shape)}")
        self.prototypes = prototypes.detach().to(self.device, torch.float32)
        self.classes = prototypes.shape[0]

    def score(self, batch: Tensor, targets: Tensor, wanted: Wanted) -> Outputs:
        features = self.call(self.forward, batch, 2, "the encoder").float()
        if features.shape[1] != self.prototypes.shape[1]:
            raise ScorerError(
                f"the encoder returned {features.shape[1]} features a row, prototypes have {self.prototypes.shape[1]}"
            )
        values = self.probabilities(features @ self.prototypes.T, targets, wanted)
        return Outputs(values, None if wanted.features is None else features[wanted.features])


class Similarity(Scorer):
    """Cosine to a target's features, for encoders without classes. See :func:`encoder`."""

    has_features = True
    has_confidence = False

    def encode(self, target: Any, trace: Sequence[Any], scale: Scale = (1.0, 1.0)) -> NDArray[Any]:
        if trace:
            raise ValueError("an encoder without prototypes has no classes to trace along")
        if target is None:
            return np.array([np.nan], np.float32)  # the input's own features, still to be seen
        vector = np.asarray(target.detach().cpu() if isinstance(target, Tensor) else target, np.float32)
        if vector.ndim != 1:
            raise ValueError(f"target must be features [D] or None for the input's own; got shape {list(vector.shape)}")
        return vector

    def unresolved(self, target: NDArray[Any]) -> bool:
        return bool(np.isnan(target[0]))

    def resolve(self, target: NDArray[Any], full: Reading, features: Floats | None) -> NDArray[Any]:
        if features is None:
            raise ScorerError("the encoder gave no features for the full input")
        own: NDArray[Any] = features[0]
        return own

    def score(self, batch: Tensor, targets: Tensor, wanted: Wanted) -> Outputs:
        features = self.call(self.forward, batch, 2, "the encoder").float()
        own = targets[:, 0].isnan()  # the full input, whose features become the target
        goal = torch.where(own[:, None], features, targets)
        cosine = torch.where(own, 1, torch.nn.functional.cosine_similarity(features, goal, dim=1))
        nothing = torch.zeros_like(cosine)
        values = torch.stack((nothing, nothing, cosine), dim=1)
        return Outputs(values, None if wanted.features is None else features[wanted.features])

    def read(self, values: Floats, target: NDArray[Any]) -> Reading:
        return Reading(values[:, 2])

    def describe(self, target: NDArray[Any]) -> Any:
        return target.tolist()


def _version(batch: Tensor) -> int:
    """Counts the writes into a tensor, where torch does."""
    return 0 if batch.is_inference() else batch._version


def evidential_confidence(z: Tensor) -> Tensor:
    """1 - C / sum(e + 1), e = exp(clamp(z, -10, 10)), over the outputs of an evidential head. [B, C] to [B]."""
    evidence = z.float().clamp(-10, 10).exp()
    return 1 - z.shape[1] / (evidence + 1).sum(1)
