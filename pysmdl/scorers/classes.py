"""Scorers of class probabilities, and that of plain classifiers."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.errors import ScorerError, one_of
from pysmdl.inputs.image import InputSpec, Scale
from pysmdl.kernels import class_scores
from pysmdl.models.answers import EMBEDDED, Form
from pysmdl.models.base import Forward, Model
from pysmdl.models.class_names import class_named
from pysmdl.scorers import reference
from pysmdl.scorers.base import BatchRewritten, Outputs, Scorer, Wanted
from pysmdl.scorers.head import bounded, checked, compares
from pysmdl.scorers.headed import headed_outputs
from pysmdl.targets import Class
from pysmdl.types import Floats, Reading

TOP = -1  # a class still to be read off the full input
PREDICTED = "predicted"  # its name in trace=
ONE_CLASS = {
    "logits": "the model must give a logit for each of two classes or more; with one its softmax is always 1. For a "
    'sigmoid\'s logit give gives="sigmoid", for a number that is no probability pysmdl.scorers.scalar',
    "probabilities": "the model must give a probability for each of two classes or more. For that of one, p, give "
    "torch.cat((1 - p, p), 1)",
}
GIVES = (*ONE_CLASS, "sigmoid")
LOGITS, EVIDENCE, FEATURES = Form("the model", 2), Form("evidence", 2), Form("features", 2, EMBEDDED)

log = logging.getLogger("pysmdl")


class ClassScorer(Scorer):
    """Common to all: a target is a class index; a row's values are confidence, top class, scores.

    Attributes:
        gives: What the model's answers are.
        head: What is read off them; None: the target's probability.
        refers: Whether the head needs to know what the full input gives.
        classes: Their number, once it is known.
    """

    gives: str = "logits"
    head: Any = None
    refers: bool = False
    classes: int | None = None  # known where the model's shape says so
    _looked = False  # at the first answer of a run

    def read_by(self, head: Any) -> None:
        """Have a head's number read off each answer, in place of the probability."""
        self.head = None if head is None else checked(head)
        self.refers = head is not None and (compares(head) or not bounded(head))

    def ready(self) -> None:
        super().ready()
        self._looked = False

    # A row of the target: classes, and what the head must know of the full input.

    @property
    def kept_width(self) -> int:
        """Numbers of the full input's answer that travel with a target."""
        return (self.classes or 0) if compares(self.head) else 0

    def encode(self, target: Any, trace: Sequence[Any], scale: Scale = (1.0, 1.0)) -> NDArray[Any]:
        classes = [_class(target), *map(_traced, trace)]
        return reference.classes_row(classes) if self.refers else np.array(classes, np.int32)

    def named(self, target: Any, names: Mapping[int, str] | None) -> Any:
        return class_named(target, names) if isinstance(target, str) and target != PREDICTED else target

    def own(self, values: Floats, target: NDArray[Any]) -> Floats:
        return values  # all targets of a call trace as many classes

    def stack(self, targets: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return reference.stacked(targets) if self.refers else super().stack(targets)

    def check(self, targets: NDArray[Any]) -> None:
        if self.refers and targets.shape[1] % 2 == 0:
            targets = targets[:, : -reference.room(self.kept_width)]
        self.check_classes(targets)

    def check_classes(self, classes: NDArray[Any]) -> None:
        """Raise ValueError where of the target and what is traced [B, t] one is no class of the model."""
        if self.classes is not None and classes.max() >= self.classes:
            which = "target" if classes[:, 0].max() >= self.classes else "trace"
            raise ValueError(f"{which} must be 0 to {self.classes - 1}, a class of the model; got {classes.max()}")

    def unresolved(self, target: NDArray[Any]) -> bool:
        if self.refers:
            return not reference.has_reference(target)
        return bool((target == TOP).any())

    def resolve(self, target: NDArray[Any], full: Reading, features: Floats | None) -> NDArray[Any]:
        classes = np.where(target == TOP, np.int32(full["top"][0]), target).astype(np.int32)
        if not self.refers:
            return classes
        answer = None if features is None or not self.kept_width else features[0][: self.kept_width]
        return reference.with_reference(classes, float(full.score[0]), answer)

    def read(self, values: Floats, target: NDArray[Any]) -> Reading:
        count, whole = len(target), None
        if self.refers:
            classes, whole = reference.split(target, self.kept_width)
            count = len(classes)
        top, scores = values[:, 1], values[:, 2 : 2 + count]
        if self.gives == "sigmoid":
            return Reading(scores[:, 0], (values[:, 0] > 0.5).astype(np.float32), scores, top=top, whole=whole)
        decided = (top == np.float32(target[0])).astype(np.float32)
        return Reading(scores[:, 0], decided, scores, values[:, 0], top, whole=whole)

    def describe(self, target: NDArray[Any]) -> Any:
        return int(target[0])

    # What is read of an answer.

    def outputs(self, answer: Tensor, targets: Tensor, wanted: Wanted, features: Tensor | None = None) -> Outputs:
        """[B, K] logits, or what else the model gives, to values [B, 2 + t], with features of the rows wanted."""
        if self.head is not None:
            return headed_outputs(self, answer, targets, wanted, features)
        return Outputs(self.probabilities(answer, targets, wanted), features)

    def averaged(self, outputs: Sequence[Outputs]) -> Outputs:
        found = super().averaged(outputs)
        found.values[:, 1] = torch.stack([each.values[:, 1] for each in outputs]).mode(0).values  # no class is a mean
        return found

    def probabilities(self, logits: Tensor, targets: Tensor, wanted: Wanted) -> Tensor:
        """[B, K] logits, or what else the model gives, to values [B, 2 + t]."""
        if not self._looked or logits.shape[1] != self.classes:
            self.look(logits)
            if targets.device.type == "cpu":  # a device is not waited for: the next batch's are checked before it
                self.check_classes(targets.numpy())
        entropy = wanted.confidence == "entropy"
        if self.gives == "probabilities":
            return _as_given(logits, targets, entropy)
        if self.gives == "sigmoid":
            values = _as_given(logits.float().sigmoid(), targets, False)
            values[:, 0] = values[:, 2]  # of the target, by which the decision stands or not
            return values
        return class_scores(logits, targets, entropy=entropy, backend=wanted.backend)

    def look(self, answer: Tensor) -> None:
        """At the first answer of a run, and at one with another number of classes.

        Raises:
            ScorerError: the number of classes changes.
            ValueError: there is only one.
        """
        classes = answer.shape[1]
        if self._looked:
            raise ScorerError(f"the model returned {classes} classes a row, after {self.classes} in batches before")
        if classes < 2 and self.gives != "sigmoid":
            raise ValueError(ONE_CLASS[self.gives])
        self.classes, self._looked = classes, True


class Classifier(ClassScorer):
    """Logits, optionally with features and the outputs of an evidential head. See :func:`classifier`."""

    def __init__(
        self,
        forward: Forward | Model | str | os.PathLike[str],
        input: InputSpec,
        features: Forward | Model | None = None,
        evidence: Forward | Model | None = None,
        device: str | torch.device | None = None,
        gives: str = "logits",
        batch: int | None = None,
        head: Any = None,
    ) -> None:
        super().__init__(forward, input, device, batch)
        if gives not in GIVES:
            raise one_of("gives", gives, GIVES)
        self.gives, self.has_confidence = gives, gives != "sigmoid"
        self.read_by(head)
        self._features, self._evidence = self._beside("features", features), self._beside("evidence", evidence)
        self.has_features, self.has_evidence = features is not None, evidence is not None
        self._examined = False
        self._writes: bool | None = None  # whether the model was seen to write to its batch

    def _beside(self, name: str, function: Forward | Model | None) -> Model | None:
        if function is None or isinstance(function, Model):
            return function
        if not callable(function):
            raise TypeError(f"{name} must be callable; got {type(function).__name__}")
        how = {"layout": self.input.layout, "takes": self.input.takes}
        return Model(function, dtype=self.dtype, batch=self.model.batch, **how)

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
        features = self._features if wanted.features is not None else None
        evidence = self._evidence if wanted.confidence == "evidential" else None
        others = features is not None or evidence is not None
        kept = batch.clone() if others and self._writes is not False else batch
        before = _version(batch)
        answer = self.model.tensor(batch, LOGITS)
        shown = confidence = None
        if others:
            answer = answer.clone()  # they may answer in the same memory
            self._look_at(batch, kept, before)
        if evidence is not None:
            confidence = evidential_confidence(evidence.tensor(kept.clone(), EVIDENCE))
        if features is not None:
            shown = features.tensor(kept[wanted.features], FEATURES).to(torch.float32, copy=True)
        found = self.outputs(answer, targets, wanted, shown)
        if confidence is not None:
            found.values[:, 0] = confidence
        return found

    def _look_at(self, batch: Tensor, kept: Tensor, before: int) -> None:
        """Whether the model writes to its batch, which others are to see: then they have copies, as at the first time.

        Raises:
            BatchRewritten: it does, though it did not at first.
        """
        if kept is not batch:
            self._writes = self._writes or not torch.equal(kept, batch)  # also what was written past torch's eyes
        elif _version(batch) != before:
            self._writes = True
            raise BatchRewritten("the model changes its input in place, which features= and evidence= see")

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


def _version(batch: Tensor) -> int:
    """Counts the writes into a tensor, where torch does."""
    return batch._version if isinstance(batch, Tensor) and not batch.is_inference() else 0


def evidential_confidence(z: Tensor) -> Tensor:
    """1 - C / sum(e + 1), e = exp(clamp(z, -10, 10)), over the outputs of an evidential head. [B, C] to [B]."""
    evidence = z.float().clamp(-10, 10).exp()
    return 1 - z.shape[1] / (evidence + 1).sum(1)


def _as_given(p: Tensor, targets: Tensor, entropy: bool) -> Tensor:
    """[B, K] probabilities to values [B, 2 + t], as class_scores says, but for the softmax."""
    p = p.float()
    top = p.argmax(1, keepdim=True)
    classes = torch.where(targets < 0, top, targets.long()).clamp(max=p.shape[1] - 1)  # check() refuses the rest
    confidence = torch.zeros_like(p[:, :1])
    if entropy:
        confidence = 1 + (p * (p + 1e-7).log()).sum(1, keepdim=True) / np.log(p.shape[1])
    return torch.cat((confidence, top, p.gather(1, classes)), 1)


def _class(target: Any) -> int:
    """A class as a number; TOP where the model's own answer is to say it."""
    if target is None or (isinstance(target, str) and target == PREDICTED):
        return TOP
    return (target if isinstance(target, Class) else Class(target)).index


def _traced(given: Any) -> int:
    try:
        return _class(given)
    except ValueError:
        raise ValueError(
            f'trace must be classes by their index or name, or "predicted", the model\'s own top class; got {given!r}'
        ) from None
