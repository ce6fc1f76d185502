"""What a scorer is: a model behind one call, a batch in, a few numbers per row out, nothing remembered between rows."""

from __future__ import annotations

import copy
import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pysmdl import images
from pysmdl.errors import ScorerError, one_of
from pysmdl.images import Pixels
from pysmdl.profiling import stage
from pysmdl.types import Floats, Reading

Forward = Callable[[Tensor], Any]
Scale = tuple[float, float]


@dataclass(frozen=True)
class InputSpec:
    """How an image becomes the model's input, and on which side of the resize regions are masked.

    Attributes:
        mean, std: Per channel, in the model's channel order, on pixel / 255. None: 0 and 1.
        size: (height, width) the model takes; None: the image's own.
        channel_order: "rgb" or "bgr".
        mask_at: "model": resize, then mask (regions live on the model's grid; the papers' way). "image": mask at the
            image's own resolution, resize each masked image on its way into the model.
        interpolation: "bilinear", "bicubic" or "nearest".
        dtype: Of the model's input; None: the model's own parameters', else float32.
    """

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    size: tuple[int, int] | None = None
    channel_order: str = "rgb"
    mask_at: str = "model"
    interpolation: str = "bilinear"
    dtype: torch.dtype | None = None

    def __post_init__(self) -> None:
        if self.channel_order not in ("rgb", "bgr"):
            raise one_of("channel_order", self.channel_order, ("rgb", "bgr"))
        if self.mask_at not in ("model", "image"):
            raise one_of("mask_at", self.mask_at, ("model", "image"))
        if self.interpolation not in ("bilinear", "bicubic", "nearest"):
            raise one_of("interpolation", self.interpolation, ("bilinear", "bicubic", "nearest"))
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise ValueError(f"size must be (height, width) of at least 1; got {self.size}")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError(f"std must be above 0 in every channel; got {self.std}")

    def grid(self, pixels: Pixels) -> Pixels:
        """The image on the grid where regions are masked."""
        at_model = self.size is not None and self.mask_at == "model"
        return images.resize(pixels, self.size, self.interpolation) if at_model and self.size else pixels

    def normalise(self, pixels: Pixels) -> Tensor:
        """uint8 [H, W, 3] RGB to model space, float32 [3, H, W]."""
        ordered = pixels[:, :, ::-1] if self.channel_order == "bgr" else pixels
        levels = (torch.arange(256).float() / 255 - self._column(self.mean, 0.0)) / self._column(self.std, 1.0)
        table = levels[:, 0].expand(3, 256).numpy()  # looked up: one pass over the image
        return torch.from_numpy(np.stack([table[c][ordered[:, :, c]] for c in range(3)]))

    def denormalise(self, x: Tensor) -> Pixels:
        """Model space back to pixels, for the regions and the pictures of inputs given as tensors."""
        rgb = x.detach().float().cpu() * self._column(self.std, 1.0) + self._column(self.mean, 0.0)
        array = (rgb * 255).round().clamp(0, 255).byte().numpy().transpose(1, 2, 0)
        if array.shape[2] == 1:
            array = np.repeat(array, 3, axis=2)
        return np.ascontiguousarray(array[:, :, ::-1] if self.channel_order == "bgr" else array)

    def scale(self, pixels: Pixels) -> Scale:
        """Width and height of the model's input over the image's."""
        height, width = self.size or pixels.shape[:2]
        return width / pixels.shape[1], height / pixels.shape[0]

    def black(self) -> Tensor:
        """Pixel value 0 before normalisation, in model space. [C or 1, 1, 1]."""
        return (0 - self._column(self.mean, 0.0)) / self._column(self.std, 1.0)

    def into_model(self, batch: Tensor) -> Tensor:
        """The composed batch as the model takes it: resized where regions were masked before the resize."""
        if self.mask_at == "model" or self.size is None or batch.shape[2:] == self.size:
            return batch
        nearest = self.interpolation == "nearest"
        return nn.functional.interpolate(
            batch, list(self.size), mode=self.interpolation, antialias=not nearest, align_corners=None
        )

    @staticmethod
    def _column(values: Sequence[float] | None, otherwise: float) -> Tensor:
        return torch.tensor(values if values is not None else (otherwise,), dtype=torch.float32).view(-1, 1, 1)


def input_spec(
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    size: int | tuple[int, int] | None = None,
    **rest: Any,
) -> InputSpec:
    """An InputSpec from what people write: one number for all channels or both sides."""

    def channels(values: float | Sequence[float] | None) -> tuple[float, ...] | None:
        if values is None:
            return None
        return (float(values),) if isinstance(values, (int, float)) else tuple(float(value) for value in values)

    return InputSpec(channels(mean), channels(std), (size, size) if isinstance(size, int) else size, **rest)


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a batch beyond the target scores: only that is computed.

    Attributes:
        confidence: "entropy", "evidential" or None.
        features: Rows whose features are wanted: what a tensor can be indexed with, a slice (which copies nothing) or
            an index tensor on the batch's device; None: of no row.
    """

    confidence: str | None = None
    features: Tensor | slice | None = None


@dataclass(frozen=True)
class Outputs:
    """What a scorer gives for a batch, on the model's device.

    Attributes:
        values: A few numbers a row. [B, V], float32.
        features: Of the rows that were wanted. [f, D], float32, or None.
    """

    values: Tensor
    features: Tensor | None = None


class Scorer(ABC):
    """A model adapted to the engine.

    Attributes:
        target: "class", "box" or "tokens": which objectives it serves.
        input: How images become its input.
        has_features: Whether it can give features for the effectiveness term.
        has_evidence: Whether it can give evidential confidence.
        graph_safe: Whether its forward may be captured in a CUDA graph: no host reads, no shapes that depend on data.
            Set it on a scorer whose model is so: small batches then cost what their kernels cost, not their launches.
        channels_last: Whether the model's convolutions are laid out with channels last, so that inputs should be too.
    """

    target: str = "class"
    has_features: bool = False
    has_evidence: bool = False
    graph_safe: bool = False

    def __init__(self, forward: Forward, input: InputSpec, device: str | torch.device | None = None) -> None:
        if not callable(forward):
            raise TypeError(f"forward must be callable; got {type(forward).__name__}")
        refuse_training(forward)
        self.forward = forward
        self.input = input
        self.device = device_of(forward, device)
        self.dtype = input.dtype or dtype_of(forward)
        self.channels_last = likes_channels_last(forward)

    @abstractmethod
    def encode(self, target: Any, trace: Sequence[Any], scale: Scale = (1.0, 1.0)) -> NDArray[Any]:
        """A target, and others traced along, as one row of numbers [t] that travels with the batch.

        `scale`: width and height of the model's input over those of the given image.
        """

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

    def addresses(self) -> int:
        """A number that changes when the model's weights move in memory: a captured graph reads them where they lay."""
        functions = (getattr(self, name, None) for name in ("forward", "features", "evidence"))
        modules = [module for function in functions if callable(function) for module in modules_of(function)]
        return hash(tuple(w.data_ptr() for module in modules for w in (*module.parameters(), *module.buffers())))

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
        with stage("model"):
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


def modules_of(function: Any) -> list[nn.Module]:
    """The modules a callable runs, as far as they can be seen: itself, its owner, or what its code refers to."""
    if isinstance(function, nn.Module):
        return [function]
    if isinstance(function, functools.partial):
        return modules_of(function.func)
    owner = getattr(function, "__self__", None)
    if isinstance(owner, nn.Module):
        return [owner]
    if inspect.isfunction(function):
        seen = inspect.getclosurevars(function)
        return [value for value in (*seen.nonlocals.values(), *seen.globals.values()) if isinstance(value, nn.Module)]
    return []


def refuse_training(function: Any) -> None:
    """Raise ValueError where a model is in training mode: dropout and batch statistics would change every answer."""
    for module in modules_of(function):
        for name, part in module.named_modules():
            if part.training:
                where = f"{type(module).__name__}" + (f".{name}" if name else "")
                raise ValueError(f"the model is in training mode ({where}); call model.eval() first")


def device_of(function: Any, device: str | torch.device | None) -> torch.device:
    """Where the batch must be: the model's own device.

    Raises:
        ValueError: `device` was given and the model lives elsewhere.
    """
    found = {p.device for module in modules_of(function) for p in (*module.parameters(), *module.buffers())}
    own = next(iter(found)) if len(found) == 1 else None
    if device is None:
        return own or torch.device("cpu")
    wanted = torch.device(device)
    if str(device) == "cuda":  # the current one
        wanted = torch.device("cuda", torch.cuda.current_device())
    if own is not None and own != wanted:
        raise ValueError(f"device is {wanted}, but the model's parameters are on {own}; move the model or drop device=")
    return wanted


def likes_channels_last(function: Any) -> bool:
    """Whether the model's convolution weights are in channels-last order (``model.to(memory_format=...)``)."""
    weights = [
        p for module in modules_of(function) for p in module.parameters() if p.dim() == 4 and min(p.shape[1:]) > 1
    ]
    last = torch.channels_last
    return bool(weights) and all(w.is_contiguous(memory_format=last) and not w.is_contiguous() for w in weights)


def dtype_of(function: Any) -> torch.dtype:
    """The type of the model's parameters where they agree on one, else float32."""
    found = {p.dtype for module in modules_of(function) for p in module.parameters() if p.is_floating_point()}
    return next(iter(found)) if len(found) == 1 else torch.float32
