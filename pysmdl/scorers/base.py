"""What a scorer is: what is read off a model's answer, a few numbers per row, nothing remembered between rows."""

from __future__ import annotations

import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.errors import ScorerError
from pysmdl.inputs.base import Input
from pysmdl.inputs.image import InputSpec, Scale
from pysmdl.models.base import Forward, Model, ModelError
from pysmdl.models.class_names import Names, names_in, names_of
from pysmdl.models.files import load_file
from pysmdl.session import Copied
from pysmdl.types import Floats, Reading

__all__ = ["BatchRewritten", "Forward", "ModelError", "Outputs", "Scorer", "Wanted", "own_rows"]


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a batch beyond the target scores: only that is computed.

    Attributes:
        confidence: "entropy", "evidential" or None.
        features: Rows whose features are wanted: what a tensor can be indexed with, a slice (which copies nothing) or
            an index tensor on the batch's device; None: of no row.
        backend: Of the ops (:class:`pysmdl.EngineConfig`).
    """

    confidence: str | None = None
    features: Tensor | slice | None = None
    backend: str = "auto"


@dataclass(frozen=True)
class Outputs:
    """What a scorer gives for a batch, on the model's device. It is kept while the batch's memory, and the model's, are
    used anew, so that it must have its own.

    Attributes:
        values: A few numbers a row. [B, V], float32.
        features: Of the rows that were wanted. [f, D], float32, or None.
    """

    values: Tensor
    features: Tensor | None = None


class BatchRewritten(ScorerError):
    """A batch that is of no more use, as the model wrote to it: composed anew, the scorer will take it."""


class Scorer(ABC, Copied):
    """What is read off a model's answer, and how a target is said to the device.

    A scorer of your own implements the abstract methods: :meth:`score` calls ``self.model`` (see
    :meth:`pysmdl.models.base.Model.tensor`) and reads the answer.

    Args:
        forward: A function of a batch [B, C, *grid], a :class:`pysmdl.models.base.Model`, or the path of a file with
            one: TorchScript, .pt2 or .onnx.
        input: How images become the model's input.
        device, batch: As in :class:`pysmdl.models.base.Model`, where a function is given.

    Attributes:
        target: "class", "box" or "tokens": which objectives it serves.
        model: How the network is called.
        input: How images become its input.
        has_features: Whether it can give features for the effectiveness term.
        has_evidence: Whether it can give evidential confidence.
        has_confidence: Whether it gives class probabilities, whose entropy is a confidence.
        has_prototypes: Whether it is CLIP-like, features against class prototypes: the papers weigh these otherwise.
        names: Names of its classes, as explain() takes them, or None.
        removal: Name of the removal that it is made for; None: any that gives batches [B, C, *grid].
        reader: Reads its inputs, a :class:`pysmdl.inputs.Reader`, where these are of a kind of their own; None: images
            and tensors.
        baseline: What an absent region looks like where nobody says.
        baselines: Names of baselines that it has itself: see :meth:`shows`.
        repeats: How many evaluations a row counts as: answers drawn for each, where their mean is the score.
        about: What :func:`pysmdl.adapt` understood of its model, in one line; empty where it was not asked.
    """

    target: str = "class"
    has_features: bool = False
    has_evidence: bool = False
    has_confidence: bool = True
    has_prototypes: bool = False
    names: Any = None
    removal: str | None = None
    reader: Any = None
    baseline: Any = "black"
    baselines: tuple[str, ...] = ()
    repeats: int = 1
    about: str = ""
    made_from: Any = None  # the bare model that a call made it from, for itself alone

    def __init__(
        self,
        forward: Forward | Model | str | os.PathLike[str],
        input: InputSpec,
        device: str | torch.device | None = None,
        batch: int | None = None,
    ) -> None:
        if isinstance(forward, (str, os.PathLike)):
            forward, device = load_file(Path(forward), device), None
        if isinstance(forward, Model):
            if device is not None or batch is not None or input.dtype not in (None, forward.dtype):
                raise ValueError("a pysmdl Model says itself what device, dtype and batch it has; leave these out")
            if (input.layout, input.takes) != ("nchw", "torch"):
                raise ValueError("a pysmdl Model says itself what layout it takes, and what arrays; leave these out")
            self.model = forward
        else:
            how = {"layout": input.layout, "takes": input.takes}
            self.model = Model(forward, device=device, dtype=input.dtype, batch=batch, **how)
        self.input = replace(input, size=self.model.size) if input.size is None and self.model.size else input

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "made_from": None}  # with which only this process keeps anything

    def __repr__(self) -> str:
        kind = getattr(self.forward, "__qualname__", type(self.forward).__qualname__)
        return f"<{type(self).__name__}: {self.about or self.model.name or kind}, {self.device}>"

    # The model, under the names that a scorer's user knows.

    @property
    def forward(self) -> Forward:
        """The model's function."""
        return self.model.function

    @property
    def device(self) -> torch.device:
        """Where the batch must be."""
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the batch."""
        return self.model.dtype

    @property
    def channels_last(self) -> bool:
        """Whether the model's convolutions are laid out with channels last, so that inputs should be too."""
        return self.model.channels_last

    @property
    def graph_safe(self) -> bool:
        """Whether the model may be captured in a CUDA graph: no host reads, no shapes that depend on data.

        Set it on a scorer whose model is so: small batches then cost what their kernels cost, not their launches.
        """
        return self.model.graph_safe

    @graph_safe.setter
    def graph_safe(self, safe: bool) -> None:
        self.model.graph_safe = safe

    @property
    def models(self) -> list[Model]:
        """The model, and those of features and evidence where there are any."""
        return [each for each in vars(self).values() if isinstance(each, Model)]

    def ready(self) -> None:
        """Look at the models again, as they are now. The engine calls it before each run.

        Raises:
            ValueError: one is in training mode, lies elsewhere than was said, or takes a type that is not served.
        """
        for model in self.models:
            model.ready()

    # The target, as a row of numbers that travels with the batch.

    @abstractmethod
    def encode(self, target: Any, trace: Sequence[Any], scale: Scale = (1.0, 1.0)) -> NDArray[Any]:
        """A target, and others traced along, as one row of numbers [t] that travels with the batch.

        `scale`: width and height of the model's input over those of the given image.
        """

    def class_names(self) -> Names | None:
        """Names of its classes: those that it was given, else those that its model carries."""
        return names_of(self.names) or names_in(self.model.modules)

    def named(self, target: Any, names: Mapping[int, str] | None) -> Any:
        """What a caller gave as a target, where it is a name the number that it stands for."""
        return target

    def located(self, target: Any, x: Tensor, read: Input, names: Mapping[int, str] | None) -> Any:
        """What a caller gave as a target, where it is to be looked for in the input what was found there, in the pixels
        of the given image. x: the input [C, *grid] on the device; read: where it lies in the image.
        """
        return target

    def shows(self, baseline: Any) -> Any:
        """What a baseline is in model space, where its name is one of the scorer's own; else as it is."""
        return baseline

    def own(self, values: Floats, target: NDArray[Any]) -> Floats:
        """Of values [a, V] from a batch in company, those of this target: others may have more."""
        return values

    def stack(self, targets: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Targets of several inputs as one array; shorter ones repeat their last entry, which nobody reads."""
        if len(targets) == 1:
            return targets[0][None]
        longest = max(map(len, targets))
        if longest > min(map(len, targets)):
            targets = [np.pad(target, (0, longest - len(target)), mode="edge") for target in targets]
        return np.stack(targets)

    def check(self, targets: NDArray[Any]) -> None:
        """Raise ValueError where targets [B, t] are out of the range that the model's answers have shown."""

    @abstractmethod
    def unresolved(self, target: NDArray[Any]) -> bool:
        """Whether the target is still to be read off the model's answer to the full input."""

    @abstractmethod
    def resolve(self, target: NDArray[Any], full: Reading, features: Floats | None) -> NDArray[Any]:
        """The target, given the reading of the full input."""

    @abstractmethod
    def describe(self, target: NDArray[Any]) -> Any:
        """The target as results show it."""

    # What is read of the answer.

    @abstractmethod
    def score(self, batch: Tensor, targets: Tensor, wanted: Wanted) -> Outputs:
        """A few numbers a row. batch [B, C, *grid]; targets [B, t], rows of :meth:`encode`."""

    def averaged(self, outputs: Sequence[Outputs]) -> Outputs:
        """One answer of several to the same rows, each seen with something else in the place of what is absent."""
        values = torch.stack([each.values for each in outputs]).mean(0)
        given = [each.features for each in outputs if each.features is not None]
        return Outputs(values, torch.stack(given).mean(0) if given else None)

    @abstractmethod
    def read(self, values: Floats, target: NDArray[Any]) -> Reading:
        """What the values [a, V] say of the target."""

    # What the engine keeps with it.

    @property
    def owner(self) -> Any:
        """With what the engine keeps what it has from one call to the next: the scorer itself, or its bare model."""
        return self if self.made_from is None else self.made_from

    def graph_fingerprint(self) -> Any:
        """What differs when a captured graph would be wrong: where the model's weights and this scorer's tensors lie,
        and its numbers. Where a function shows no module it differs each time.
        """
        modules = [model.modules for model in self.models]
        if not all(modules):
            return object()
        weights = [w for each in modules for module in each for w in (*module.parameters(), *module.buffers())]
        own = [each for each in vars(self).values() if isinstance(each, Tensor)]
        numbers = tuple(each for each in vars(self).values() if isinstance(each, float))
        return numbers, tuple(each.data_ptr() for each in (*weights, *own))

    def capturing(self) -> AbstractContextManager[None]:
        """Around the capture of its forward pass in a CUDA graph."""
        return self.model.capturing()

    def compiled(self) -> Scorer:
        """This scorer with the model's functions under torch.compile, which compiles when it sees the first batch."""
        other = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Model):
                setattr(other, name, value.compiled())
        return other


def own_rows(features: Tensor, rows: Tensor | slice) -> Tensor:
    """Some rows of an answer's features, in float32 and in memory of their own. [B, D] to [f, D]."""
    picked = features[rows]
    return picked.to(torch.float32, copy=isinstance(rows, slice))
