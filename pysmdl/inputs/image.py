"""How an image becomes the model's input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pysmdl.errors import number, one_of, share, whole_number
from pysmdl.inputs import image_files, middle
from pysmdl.inputs.image_files import Frame, Pixels

if TYPE_CHECKING:
    from typing_extensions import Unpack

Scale = tuple[float, float]

# Each as torch calls its own, for masked batches: nearest-exact takes the point at the centre, as Pillow does.
INTERPOLATIONS = {"bilinear": "bilinear", "bicubic": "bicubic", "nearest": "nearest-exact", "cv2-bilinear": "bilinear"}

LAYOUTS, TAKES = ("nchw", "nhwc"), ("torch", "numpy")


class Pipeline(Protocol):
    """A model's own way from a photograph to its input, as a library has it: see :mod:`pysmdl.adapters.pipelines`.

    Attributes:
        runs: Whether inputs are made by it; else an InputSpec makes them, and is checked against it.
    """

    @property
    def runs(self) -> bool: ...

    def __call__(self, pixels: Pixels) -> Tensor:
        """The model's input [C, H, W] of a photograph, float32 on the CPU."""

    def frame(self, image: tuple[int, ...]) -> Frame | None:
        """Where its output lies in a photograph of (height, width); None where that cannot be said."""

    def whole(self, image: tuple[int, ...], content: Pixels) -> tuple[Pixels, NDArray[Any] | None]:
        """What the model sees of a photograph of (height, width), where it is given that in pieces: in one piece, and
        of each point of its input the point there, counted row by row; None: the input is that piece.
        """

    def doubt(self, pixels: Pixels, x: Tensor, spec: InputSpec) -> str | None:
        """What to warn of, at the first photograph, if an input made of it is not what the pipeline gives."""


@dataclass(frozen=True)
class InputSpec:
    """How an image becomes the model's input, and on which side of the resize regions are masked.

    Attributes:
        mean, std: Per channel, in the model's channel order, on pixel / 255. None: 0 and 1.
        size: (height, width) the model takes; None: the image's own.
        channel_order: "rgb" or "bgr".
        mask_at: "model": resize, then mask (regions live on the model's grid; the papers' way). "image": mask at the
            image's own resolution, resize each masked image on its way into the model.
        interpolation: "bilinear" or "bicubic" (Pillow's, antialiased), "nearest", or "cv2-bilinear": OpenCV's, without
            antialiasing, as the published scripts resize. For their numbers: 83 to 92 % of the pixels differ.
        dtype: Of the model's input; None: the model's own parameters', else float32.
        crop: Side of the square in the middle that the model sees, over the image's shorter side, above 0 and at most
            1; it is cut out and resized to size at once ("cv2-bilinear": cut out at whole pixels). None: all of the
            image, squashed. Regions live on what is cut out.
        resize: What the image is resized to before `size` is cut out of its middle at whole pixels, as the libraries'
            own pipelines do: a number is the shorter side, (height, width) squashes. None: to size itself.
        cut: How a middle between two pixels is rounded then: "round", half to even, as torchvision, timm and open_clip
            do; "floor", as Hugging Face does.
        pipeline: The model's own way from a photograph to its input, which either makes inputs in place of all this or
            is what they are checked against. Set by :func:`pysmdl.adapt`.
        layout: "nchw", or "nhwc": the model is given batches [B, H, W, C], as Keras and most of JAX take them. All else
            here, regions and baselines among it, stays [C, H, W].
        takes: "torch", or "numpy": the model is given NumPy arrays in place of tensors. What it answers may be of any
            library either way.
        rate: Samples a second that the model takes of a sound; None: the file's own.
        frames: Of a clip, how many the model takes, evenly spaced; None: all that there are.
    """

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    size: tuple[int, int] | None = None
    channel_order: str = "rgb"
    mask_at: str = "model"
    interpolation: str = "bilinear"
    dtype: torch.dtype | None = None
    crop: float | None = None
    resize: int | tuple[int, int] | None = None
    cut: str = "round"
    pipeline: Pipeline | None = None
    layout: str = "nchw"
    takes: str = "torch"
    rate: int | None = None
    frames: int | None = None

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise one_of("layout", self.layout, LAYOUTS)
        if self.takes not in TAKES:
            raise one_of("takes", self.takes, TAKES)
        for name, count in (("rate", self.rate), ("frames", self.frames)):
            if count is not None:
                whole_number(name, count, 1)
        if self.channel_order not in ("rgb", "bgr"):
            raise one_of("channel_order", self.channel_order, ("rgb", "bgr"))
        if self.mask_at not in ("model", "image"):
            raise one_of("mask_at", self.mask_at, ("model", "image"))
        if self.interpolation not in INTERPOLATIONS:
            raise one_of("interpolation", self.interpolation, INTERPOLATIONS)
        if self.size is not None:
            object.__setattr__(self, "size", _size(self.size))
        for name in ("mean", "std"):
            object.__setattr__(self, name, _channels(name, getattr(self, name)))
        lengths = {len(each) for each in (self.mean, self.std) if each is not None} - {1}
        if len(lengths) > 1:
            raise ValueError(f"mean and std must have as many channels; got {self.mean} and {self.std}")
        if self.crop is not None:
            object.__setattr__(self, "crop", _crop(self.crop, self.size, self.mask_at))
        if self.cut not in middle.CUTS:
            raise one_of("cut", self.cut, middle.CUTS)
        if self.resize is not None:
            object.__setattr__(self, "resize", _resize(self))

    def view(self, pixels: Pixels) -> tuple[Tensor, Pixels]:
        """An image as the model sees it, in model space [3, H, W] and as pixels [H, W, 3]."""
        if self.pipeline is not None and self.pipeline.runs:
            x = self.pipeline(pixels)
            return x, self.denormalise(x)
        content = self.grid(pixels)
        return self.normalise(content), content

    def grid(self, pixels: Pixels) -> Pixels:
        """The image on the grid where regions are masked."""
        if self.size is None or self.mask_at != "model":
            return pixels
        if self.resize is not None:
            (height, width), (top, left) = self._middle(pixels.shape[:2])
            resized = image_files.resize(pixels, (height, width), self.interpolation)
            return resized[top : top + self.size[0], left : left + self.size[1]]
        return image_files.resize(pixels, self.size, self.interpolation, self.frame(pixels.shape[:2]))

    def frame(self, image: tuple[int, ...]) -> Frame | None:
        """Where the grid lies in an image of (height, width): x0, y0, x1, y1 in its pixels; None: all of it."""
        if self.pipeline is not None and self.pipeline.runs:
            return self.pipeline.frame(image)
        if self.resize is not None and self.size is not None:
            return middle.frame(image, self.size, *self._middle(image))
        if self.crop is None:
            return None
        height, width = image
        side = self.crop * min(image)
        if self.interpolation == "cv2-bilinear":
            side = max(1, round(side))
            x0, y0 = float((width - side) // 2), float((height - side) // 2)
        else:
            x0, y0 = (width - side) / 2, (height - side) / 2
        return x0, y0, x0 + side, y0 + side

    def _middle(self, image: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
        """(height, width) that an image is resized to, and the (top, left) of what is cut out of that."""
        resized = middle.resized(image, self.resize)
        return resized, middle.corner(resized, self.size or resized, self.cut)

    def normalise(self, pixels: Pixels) -> Tensor:
        """uint8 [H, W, 3] RGB to model space, float32 [3, H, W]."""
        ordered = pixels[:, :, ::-1] if self.channel_order == "bgr" else pixels
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) not in (1, 3):
                raise ValueError(f"{name} must be one number or one for each of an image's 3 channels; got {values}")
        levels = torch.arange(256, device="cpu").float() / 255
        levels = (levels - self._column(self.mean, 0.0)) / self._column(self.std, 1.0)
        table = levels[:, 0].expand(3, 256).numpy()  # looked up: one pass over the image
        return torch.from_numpy(np.stack([table[c][ordered[:, :, c]] for c in range(3)]))

    def denormalise(self, x: Tensor) -> Pixels:
        """Model space [*, C, H, W] back to pixels [*, H, W, 3], for regions and pictures of inputs given as tensors."""
        rgb = x.detach().float().cpu() * self._column(self.std, 1.0) + self._column(self.mean, 0.0)
        pixels = np.moveaxis(rgb.mul_(255).round_().clamp_(0, 255).byte().numpy(), -3, -1)
        if pixels.shape[-1] == 1:
            pixels = np.repeat(pixels, 3, axis=-1)
        return np.ascontiguousarray(pixels[..., ::-1] if self.channel_order == "bgr" else pixels)

    def scale(self, image: tuple[int, int], grid: tuple[int, int] | None = None) -> Scale:
        """Width and height of the model's input over what it shows of an image of (height, width); `grid`: those of
        the input where it is made already.
        """
        height, width = self.size or grid or image
        x0, y0, x1, y1 = self.frame(image) or (0, 0, image[1], image[0])
        return width / (x1 - x0), height / (y1 - y0)

    def black(self) -> Tensor:
        """Pixel value 0 before normalisation, in model space. [C or 1, 1, 1]."""
        return (0 - self._column(self.mean, 0.0)) / self._column(self.std, 1.0)

    def doubt(self, x: Tensor) -> str | None:
        """What to tell whoever gives a tensor that is normalised, it seems, where neither mean nor std is known; None
        where all is well. [C, *grid].
        """
        if self.mean is not None or self.std is not None or x.dim() != 3 or x.shape[0] not in (1, 3):
            return None
        low, high = float(x.min()), float(x.max())
        if low >= -0.02 and high <= 1.02:
            return None
        return (
            f"the tensor has values from {low:.3g} to {high:.3g}, and the scorer neither mean nor std: its regions and "
            'pictures are made as if it were pixel / 255, and baseline="black" is 0, not black. Give mean= and std= to '
            "the scorer, as in pysmdl.scorers.classifier(model, mean=..., std=...)"
        )

    def doubt_levels(self) -> str | None:
        """What to tell whoever gives a picture and a mean beyond all of its levels; None where all is well."""
        if self.mean is None or max(self.mean) <= 1:
            return None
        listed = ", ".join(f"{each:g}" for each in self.mean)
        return f"mean ({listed}) seems to be of pixels up to 255; a picture is pixel / 255: divide mean and std by 255"

    def into_model(self, batch: Any) -> Any:
        """The composed batch, or several by name, as the model takes it: resized where regions were masked before the
        resize.
        """
        if isinstance(batch, Mapping):
            return {name: self.into_model(each) for name, each in batch.items()}
        if not isinstance(batch, Tensor) or batch.dim() < 4:  # what has no height and width
            return batch
        if self.mask_at == "model" or self.size is None or batch.shape[-2:] == self.size:
            return batch
        if batch.dim() == 5:  # a clip's frames, one by one
            frames = self.into_model(batch.transpose(1, 2).flatten(0, 1))
            return frames.unflatten(0, (len(batch), -1)).transpose(1, 2)
        mode = INTERPOLATIONS[self.interpolation]
        antialias = self.interpolation in ("bilinear", "bicubic")
        return nn.functional.interpolate(batch, list(self.size), mode=mode, antialias=antialias)

    @staticmethod
    def _column(values: Sequence[float] | None, otherwise: float) -> Tensor:
        given = values if values is not None else (otherwise,)
        return torch.tensor(given, dtype=torch.float32, device="cpu").view(-1, 1, 1)


class InputSettings(TypedDict, total=False):
    """How an image becomes the model's input, as people write it: see :class:`InputSpec`."""

    mean: float | Sequence[float] | None
    std: float | Sequence[float] | None
    size: int | tuple[int, int] | None
    channel_order: str
    mask_at: str
    interpolation: str
    dtype: torch.dtype | None
    crop: float | None
    resize: int | tuple[int, int] | None
    cut: str
    layout: str
    takes: str
    rate: int | None
    frames: int | None


def input_spec(**settings: Unpack[InputSettings]) -> InputSpec:
    """An InputSpec from what people write: one number for all channels or both sides.

    Raises:
        TypeError: there is no such setting.
    """
    if unknown := settings.keys() - InputSettings.__annotations__.keys():
        known = ", ".join(InputSettings.__annotations__)
        raise TypeError(f"there is no setting {', '.join(sorted(unknown))} of a scorer's input; there are {known}")
    return InputSpec(**settings)  # type: ignore[arg-type]  # which it reads


def _channels(name: str, values: Any) -> tuple[float, ...] | None:
    """One number for all channels or one for each, finite, those of std above 0."""
    if values is None:
        return None
    given = values.tolist() if hasattr(values, "tolist") else values
    listed = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
    if not listed:
        raise ValueError(f"{name} must be a number, or one for each channel; got {values!r}")
    try:
        return tuple(number(name, each, above=0 if name == "std" else None) for each in listed)
    except ValueError:
        words = "finite and above 0" if name == "std" else "finite"
        raise ValueError(f"{name} must be {words} in every channel; got {values!r}") from None


def _size(size: Any, name: str = "size") -> tuple[int, int]:
    """One number for both sides, or (height, width)."""
    if not isinstance(size, (tuple, list)):
        size = size, size
    if len(size) != 2:
        raise ValueError(f"{name} must be a number or (height, width); got {size!r}")
    return whole_number(name, size[0], 1), whole_number(name, size[1], 1)


def _resize(spec: InputSpec) -> int | tuple[int, int]:
    """A shorter side or (height, width), in which the size that is cut out has room."""
    resize: Any = spec.resize
    sides = _size(resize, "resize")
    if spec.size is None or spec.mask_at != "model" or spec.crop is not None:
        raise ValueError(
            'resize needs size, which is cut out of the middle then, mask_at="model", and no crop; got '
            f"resize={resize!r} with size={spec.size!r}, mask_at={spec.mask_at!r}, crop={spec.crop!r}"
        )
    if sides[0] < spec.size[0] or sides[1] < spec.size[1]:
        raise ValueError(f"resize must be at least size, which is cut out of it; got {resize!r} and size={spec.size!r}")
    return sides if isinstance(resize, (tuple, list)) else sides[0]


def _crop(crop: Any, size: Any, mask_at: str) -> float:
    """A share of the image's shorter side, where there is a size that it is resized to before it is masked."""
    found = share("crop", crop, ", a share of the image's shorter side")
    if size is None:
        raise ValueError(f"crop needs size, which the square in the middle is resized to; got crop={crop!r} without it")
    if mask_at != "model":
        raise ValueError(f'crop works with mask_at="model", which crops, resizes, then masks; got mask_at={mask_at!r}')
    return found
