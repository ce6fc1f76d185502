"""What a scorer is: a model behind one call, a batch in, a few numbers per row out, nothing remembered between rows."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.errors import ScorerError
from pysmdl.inputs.image import InputSpec, Scale
from pysmdl.models.hugging_face import unmasked
from pysmdl.models.inspect import device_of, dtype_of, likes_channels_last, modules_of, refuse_training
from pysmdl.profiling import stage
from pysmdl.types import Floats, Reading

Forward = Callable[[Tensor], Any]
COMPOSED = (torch.float32, torch.float16, torch.bfloat16)


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
    """What a scorer gives for a batch, on the model's device.

    Attributes:
        values: A few numbers a row. [B, V], float32.
        features: Of the rows that were wanted. [f, D], float32, or None.
    """

    values: Tensor
    features: Tensor | None = None


class ModelError(ScorerError):
    """A ValueError of the model's own, which says nothing about the caller's arguments."""


@contextmanager
def of_model() -> Iterator[None]:
    """Around what the model does: a stage of the profile, and its errors are known as its own."""
    try:
        with stage("model"):
            yield
    except ValueError as error:
        raise ModelError(f"{type(error).__name__}: {error}") from error


class Scorer(ABC):
    """A model adapted to the engine.

    Attributes:
        target: "class", "box" or "tokens": which objectives it serves.
        input: How images become its input.
        has_features: Whether it can give features for the effectiveness term.
        has_evidence: Whether it can give evidential confidence.
        has_confidence: Whether it gives class probabilities, whose entropy is a confidence.
        graph_safe: Whether its forward may be captured in a CUDA graph: no host reads, no shapes that depend on data.
            Set it on a scorer whose model is so: small batches then cost what their kernels cost, not their launches.
        removal: Name of the removal that it is made for; None: any that gives batches [B, C, *grid].
        channels_last: Whether the model's convolutions are laid out with channels last, so that inputs should be too.
    """

    target: str = "class"
    has_features: bool = False
    has_evidence: bool = False
    has_confidence: bool = True
    graph_safe: bool = False
    removal: str | None = None
    made_from: Any = None  # the bare model that a call made it from, for itself alone

    def __init__(self, forward: Forward, input: InputSpec, device: str | torch.device | None = None) -> None:
        if not callable(forward):
            raise TypeError(f"forward must be callable; got {type(forward).__name__}")
        refuse_training(forward)
        self.forward = forward
        self.input = input
        self.device = device_of(forward, device)
        self.dtype = input.dtype or dtype_of(forward)
        if self.dtype not in COMPOSED:
            raise ValueError(
                f"the model must take float32, float16 or bfloat16; its weights are {self.dtype}: call model.float(), "
                "or give dtype=torch.float32 and convert in a function of your own"
            )
        self.channels_last = likes_channels_last(forward)

    def ready(self) -> None:
        """Look at the model again, before each run.

        Raises:
            ValueError: it was put in training mode since.
        """
        for name in ("forward", "features", "evidence"):
            if callable(function := getattr(self, name, None)):
                refuse_training(function)

    @abstractmethod
    def encode(self, target: Any, trace: Sequence[Any], scale: Scale = (1.0, 1.0)) -> NDArray[Any]:
        """A target, and others traced along, as one row of numbers [t] that travels with the batch.

        `scale`: width and height of the model's input over those of the given image.
        """

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

    def check(self, targets: NDArray[Any]) -> None:  # noqa: B027
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

    @abstractmethod
    def score(self, batch: Tensor, targets: Tensor, wanted: Wanted) -> Outputs:
        """A few numbers a row. batch [B, C, *grid]; targets [B, t], rows of :meth:`encode`."""

    @abstractmethod
    def read(self, values: Floats, target: NDArray[Any]) -> Reading:
        """Values [a, V] by name: "score" and "decided" at least, "traced" [a, 1 + others]."""

    @property
    def owner(self) -> Any:
        """With what the engine keeps what it has from one call to the next: the scorer itself, or its bare model."""
        return self if self.made_from is None else self.made_from

    def addresses(self) -> Any:
        """What differs when a captured graph would be wrong: where the model's weights and this scorer's tensors lie,
        and its numbers. Where a function shows no module it differs each time.
        """
        functions = [getattr(self, name, None) for name in ("forward", "features", "evidence")]
        modules = [modules_of(function) for function in functions if callable(function)]
        if not all(modules):
            return object()
        weights = [w for each in modules for module in each for w in (*module.parameters(), *module.buffers())]
        own = [each for each in vars(self).values() if isinstance(each, Tensor)]
        numbers = tuple(each for each in vars(self).values() if isinstance(each, float))
        return numbers, tuple(each.data_ptr() for each in (*weights, *own))

    def capturing(self) -> AbstractContextManager[None]:
        """Around the capture of its forward pass in a CUDA graph."""
        return unmasked()

    def compiled(self) -> Scorer:
        """This scorer with the model's functions under torch.compile, which compiles when it sees the first batch."""
        other = copy.copy(self)
        for name in ("forward", "features", "evidence"):
            if callable(function := getattr(self, name, None)):
                setattr(other, name, torch.compile(function))
        return other

    def call(self, function: Forward, batch: Tensor, dims: int, what: str) -> Tensor:
        """Run a model function on the batch; check that it answers each row.

        Raises:
            ScorerError: it returned something else than a tensor of that many dimensions with a row per input.
        """
        with of_model():
            answer = function(self.input.into_model(batch))
        answer = getattr(answer, "logits", answer)
        if isinstance(answer, np.ndarray):
            answer = torch.from_numpy(answer).to(batch.device)
        if not isinstance(answer, Tensor):
            raise ScorerError(f"{what} must return a tensor; got {type(answer).__name__}")
        if answer.dim() != dims:
            raise ScorerError(f"{what} must return {dims} dimensions, rows first; got shape {list(answer.shape)}")
        if answer.shape[0] != batch.shape[0]:
            raise ScorerError(f"{what} was given {batch.shape[0]} rows and returned {answer.shape[0]}")
        return answer
