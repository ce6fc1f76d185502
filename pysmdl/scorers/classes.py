"""Scorers of class probabilities: plain classifiers, encoders with class prototypes, and bare encoders."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.errors import ScorerError, one_of
from pysmdl.inputs.arrays import tensor_of
from pysmdl.inputs.image import InputSpec, Scale
from pysmdl.kernels import class_scores
from pysmdl.models.answers import EMBEDDED, Form
from pysmdl.models.base import Forward, Model
from pysmdl.scorers.base import Outputs, Scorer, Wanted, own_rows
from pysmdl.targets import Class, Features
from pysmdl.types import Floats, Reading

TOP = -1  # a class still to be read off the full input
GIVES = ("logits", "probabilities")
LOGITS, EVIDENCE = Form("the model", 2), Form("evidence", 2)
FEATURES, ENCODED = Form("features", 2, EMBEDDED), Form("the encoder", 2, EMBEDDED)

log = logging.getLogger("pysmdl")


class ClassScorer(Scorer):
    """Common to all: a target is a class index; a row's values are confidence, top class, probabilities."""

    classes: int | None = None  # known where the model's shape says so
    _looked = False  # at the first answer of a run

    def ready(self) -> None:
        super().ready()
        self._looked = False

    def encode(self, target: Any, trace: Sequence[Any], scale: Scale = (1.0, 1.0)) -> NDArray[Any]:
        return np.array([_class(each) for each in (target, *trace)], np.int32)

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
        return {
            "confidence": values[:, 0],
            "top": top,
            "score": values[:, 2],
            "traced": values[:, 2:],
            "decided": decided,
        }

    def describe(self, target: NDArray[Any]) -> Any:
        return int(target[0])

    def probabilities(self, logits: Tensor, targets: Tensor, entropy: bool) -> Tensor:
        """[B, K] logits to values [B, 2 + t]."""
        if not self._looked or logits.shape[1] != self.classes:
            self.look(logits)
        return class_scores(logits, targets, entropy=entropy)

    def look(self, answer: Tensor) -> None:
        """At the first answer of a run, and at one with another number of classes.

        Raises:
            ScorerError: the number of classes changes.
            ValueError: there is only one.
        """
        classes = answer.shape[1]
        if self._looked:
            raise ScorerError(f"the model returned {classes} classes a row, after {self.classes} in batches before")
        if classes == 1:
            raise ValueError(
                "the model must give a logit for each of two classes or more; with one its softmax is always 1. For a "
                "sigmoid's logit z give torch.cat((torch.zeros_like(z), z), 1)"
            )
        self.classes, self._looked = classes, True


class Classifier(ClassScorer):
    """Logits, optionally with features and the outputs of an evidential head. See :func:`classifier`."""

    def __init__(
        self,
        forward: Forward | Model,
        input: InputSpec,
        features: Forward | Model | None = None,
        evidence: Forward | Model | None = None,
        device: str | torch.device | None = None,
        gives: str = "logits",
        batch: int | None = None,
    ) -> None:
        super().__init__(forward, input, device, batch)
        if gives not in GIVES:
            raise one_of("gives", gives, GIVES)
        self.gives = gives
        self._features, self._evidence = self._beside("features", features), self._beside("evidence", evidence)
        self.has_features, self.has_evidence = features is not None, evidence is not None
        self._examined = False

    def _beside(self, name: str, function: Forward | Model | None) -> Model | None:
        if function is None or isinstance(function, Model):
            return function
        if not callable(function):
            raise TypeError(f"{name} must be callable; got {type(function).__name__}")
        return Model(function, dtype=self.dtype, batch=self.model.batch)

    @property
    def features(self) -> Forward | None:
        """The function of features, as given."""
        return self._features and self._features.function

    @property
    def evidence(self) -> Forward | None:
        """The function of an evidential head's outputs, as given."""
        return self._evidence and self._evidence.function

    def score(self, batch: Tensor, targets: Tensor, wanted: Wanted) -> Outputs:
        if self.input.mask_at == "image":
            batch = self.input.into_model(batch)
        shown = again = features = None
        if wanted.features is not None and self._features is not None:
            shown = batch[wanted.features]  # a copy, as the model may write to its batch
            shown = shown.clone() if isinstance(wanted.features, slice) else shown
        if wanted.confidence == "evidential" and self._evidence is not None:
            again = batch.clone()
        answer = self.model.tensor(batch, LOGITS)
        entropy = wanted.confidence == "entropy"
        if self.gives == "logits":
            values = self.probabilities(answer, targets, entropy)
        else:
            values = self._as_given(answer, targets, entropy)
        if again is not None and self._evidence is not None:
            values[:, 0] = evidential_confidence(self._evidence.tensor(again, EVIDENCE))
        if shown is not None and self._features is not None:
            features = self._features.tensor(shown, FEATURES).to(torch.float32, copy=True)
        return Outputs(values, features)

    def _as_given(self, answer: Tensor, targets: Tensor, entropy: bool) -> Tensor:
        """[B, K] probabilities to values [B, 2 + t], as class_scores says, but for the softmax."""
        if not self._looked or answer.shape[1] != self.classes:
            self.look(answer)
        p = answer.float()
        top = p.argmax(1, keepdim=True)
        classes = torch.where(targets < 0, top, targets.long()).clamp(max=p.shape[1] - 1)  # check() refuses the rest
        confidence = torch.zeros_like(p[:, :1])
        if entropy:
            confidence = 1 + (p * (p + 1e-7).log()).sum(1, keepdim=True) / np.log(p.shape[1])
        return torch.cat((confidence, top, p.gather(1, classes)), 1)

    def look(self, answer: Tensor) -> None:
        """Also, once for a scorer, whether logits look like probabilities, and probabilities are some."""
        super().look(answer)
        if self._examined or (answer.is_cuda and torch.cuda.is_current_stream_capturing()):
            return
        within = bool(((answer >= -1e-3) & (answer <= 1 + 1e-3)).all())
        if self.gives == "logits" and within and bool(((answer.float().sum(1) - 1).abs() < 1e-3).all()):
            log.warning(
                "the model's answers look like probabilities, all in 0..1 with rows that sum to 1, and are taken for "
                'logits: what is explained is their softmax. Give gives="probabilities" to pysmdl.scorers.classifier'
            )
        elif self.gives == "probabilities" and not within and bool(answer.isfinite().all()):
            low, high = float(answer.min()), float(answer.max())
            raise ScorerError(
                f'gives="probabilities" needs answers in 0..1; the model returned {low:.4g} to {high:.4g}: '
                'these may be logits, gives="logits"'
            )
        self._examined = True


class Encoder(ClassScorer):
    """Features against class prototypes. See :func:`encoder`."""

    has_features = True

    def __init__(
        self,
        forward: Forward | Model,
        prototypes: Any,
        input: InputSpec,
        device: str | torch.device | None = None,
        batch: int | None = None,
    ) -> None:
        super().__init__(forward, input, device, batch)
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
        values = self.probabilities(logits, targets, wanted.confidence == "entropy")
        return Outputs(values, None if wanted.features is None else own_rows(features, wanted.features))


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
        return {"score": values[:, 2], "traced": values[:, 2:], "decided": np.zeros(len(values), np.float32)}

    def describe(self, target: NDArray[Any]) -> Any:
        return target.tolist()


def _class(target: Any) -> int:
    """A class as a number; TOP where the model's own answer is to say it."""
    if target is None or (isinstance(target, str) and target == "predicted"):
        return TOP
    return (target if isinstance(target, Class) else Class(target)).index


def prototype_rows(given: Any) -> Tensor:
    """Class prototypes in float32 and memory of their own. [K, D].

    Raises:
        ValueError: they have another shape, or hold what is no finite number.
    """
    found = tensor_of("prototypes", given)
    if found.dim() != 2:
        raise ValueError(f"prototypes must be [K, D], a row per class; got {list(found.shape)}")
    if not bool(found.isfinite().all()):
        raise ValueError("prototypes must be finite; they hold NaN or infinity")
    return found.detach().to(torch.float32, copy=True)


def evidential_confidence(z: Tensor) -> Tensor:
    """1 - C / sum(e + 1), e = exp(clamp(z, -10, 10)), over the outputs of an evidential head. [B, C] to [B]."""
    evidence = z.float().clamp(-10, 10).exp()
    return 1 - z.shape[1] / (evidence + 1).sum(1)
