"""A library's own way from a photograph to its model's input: run, measured, and compared with what was read of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.adapters.cards import CARDS, cards, difference, ends
from pysmdl.errors import described
from pysmdl.inputs.arrays import tensor_of
from pysmdl.inputs.image import InputSpec
from pysmdl.inputs.image_files import Frame, Pixels

TOLERANCE = 1e-4  # of a channel's whole range: a fortieth of a pixel value
ROUNDING = 2.5 / 255  # by which two libraries' resizing to whole pixel values may differ


class OwnPipeline:
    """A library's callable as :class:`pysmdl.inputs.image.Pipeline`: a picture of Pillow's to a tensor [C, H, W].

    Args:
        function: What the library has.
        name: The argument that it came as, for errors.
        runs: Whether inputs are made by it.
    """

    def __init__(self, function: Callable[[Any], Any], name: str, runs: bool = False) -> None:
        self.function, self.name, self.runs = function, name, runs
        self._compared = False
        self._frames: dict[tuple[int, ...], Frame | None] = {}
        self._measured: InputSpec | None = None
        self.said: InputSpec | None = None  # what it says of itself, where only its rounding is another

    def __call__(self, pixels: Pixels) -> Tensor:
        """The model's input of a photograph, float32 on the CPU.

        Raises:
            ValueError: it gives something else than one image [C, H, W] of one or three channels, or fails.
        """
        from PIL import Image

        try:
            found = tensor_of(self.name, self.function(Image.fromarray(pixels)))
        except Exception as error:  # the library's own, of many types
            raise ValueError(f"{self.name} failed on a picture of Pillow's: {described(error)}") from error
        if found.dim() == 4 and len(found) == 1:
            found = found[0]
        if found.dim() != 3 or found.shape[0] not in (1, 3) or not found.is_floating_point():
            got = f"{found.dtype} {list(found.shape)}"
            raise ValueError(f"{self.name} must make floats [C, H, W] of a picture, of 1 or 3 channels; got {got}")
        return found.detach().to("cpu", torch.float32)

    def measured(self) -> InputSpec:
        """Mean, std, channel order and size, by what it makes of a black, a white and a red picture in their middle.

        Raises:
            ValueError: these do not differ as by a mean and a std, one for each channel.
        """
        height, width = CARDS[0]
        card = np.zeros((height, width, 3), np.uint8)
        black = self(card)
        white, red = self(np.full_like(card, 255)), self(card + np.array([255, 0, 0], np.uint8))
        low, high, middle = (each[:, each.shape[1] // 2, each.shape[2] // 2] for each in (black, white, red))
        std = [1 / span if span else math.inf for span in (high - low).tolist()]
        if not all(math.isfinite(each) and each > 0 for each in std):
            raise ValueError(
                f"{self.name} makes {_shown(low)} of black and {_shown(high)} of white, from which no mean and std "
                "follow: regions and pictures need them. Give a transform that only resizes, crops and normalises"
            )
        mean = [_round(-each * scale) for each, scale in zip(low.tolist(), std, strict=True)]
        last = bool(len(std) == 3 and (middle - low)[2] * std[2] > 0.5 > (middle - low)[0] * std[0])
        other = self(np.zeros((height + 50, width, 3), np.uint8))
        size = (black.shape[1], black.shape[2]) if other.shape == black.shape else None
        order = "bgr" if last else "rgb"
        self._measured = InputSpec(tuple(mean), tuple(map(_round, std)), size, order)
        return self._measured

    def making(self, read: InputSpec | None) -> InputSpec:
        """How its inputs are to be understood where it makes each of them, by what it says of itself if that is so.

        Raises:
            ValueError: it gives another input of the same picture each time; or as :meth:`measured`.
        """
        card = cards()[1]
        made = self(card)
        if not torch.equal(made, self(card)):
            raise ValueError(
                f"{self.name} makes another input of the same picture each time, as transforms for training do: give "
                "the one for evaluation"
            )
        self.runs = True
        if read is not None and difference(made, read.view(card)[0], read) <= ROUNDING:
            self.said = read
        return replace(self.said or self.measured(), pipeline=self)

    def frame(self, image: tuple[int, ...]) -> Frame | None:
        """Where its output lies in a photograph of (height, width), as it says, else measured on pictures that grow
        brighter to the right and downwards. None where no upright part of the photograph is seen.
        """
        key = tuple(image[:2])
        if self.said is not None:
            return self.said.frame(key) or (0.0, 0.0, float(key[1]), float(key[0]))
        if key not in self._frames:
            self._frames[key] = self._framed(*key)
        return self._frames[key]

    def _framed(self, height: int, width: int) -> Frame | None:
        spec = self._measured or self.measured()
        card = np.zeros((height, width, 3), np.uint8)
        right = card + ((np.arange(width) + 0.5) * 255 / width).astype(np.uint8)[:, None]
        lower = card + ((np.arange(height) + 0.5) * 255 / height).astype(np.uint8)[:, None, None]
        x, y = (spec.denormalise(self(each)).mean(2) for each in (right, lower))
        across, down = ends(x.mean(0), width), ends(y.mean(1), height)
        return None if across is None or down is None else (across[0], down[0], across[1], down[1])

    def whole(self, image: tuple[int, ...], content: Pixels) -> tuple[Pixels, NDArray[Any] | None]:
        """See :meth:`pysmdl.inputs.image.Pipeline.whole`."""
        return content, None

    def doubt(self, pixels: Pixels, x: Tensor, spec: InputSpec) -> str | None:
        """At the first photograph: by how much an input made of it differs from the pipeline's, or from the pixels that
        regions and pictures are made of, where that is more than the tolerance.
        """
        if self._compared:
            return None
        self._compared = True
        own, wanted = (x, 0.51 / 255) if self.runs else (self(pixels), TOLERANCE)
        other = spec.normalise(spec.denormalise(x)) if self.runs else x
        away = difference(own, other, spec)
        if away <= wanted:
            return None
        what = "what its regions and pictures are made of" if self.runs else f"what {self.name} itself gives"
        return (
            f"what the model sees differs from {what} by up to {away:.3g} of a channel's range, more than "
            f"{wanted:.2g}: give transform=, a function of a picture of Pillow's that makes the model's input"
        )


class BarePixels:
    """A library's model that was given without a word of its input: pictures go in as pixel / 255 at their own size.

    Args:
        name: Of the model's class.
    """

    runs = False

    def __init__(self, name: str) -> None:
        self.name, self._said = name, False

    def __call__(self, pixels: Pixels) -> Tensor:
        """Pixel / 255, [3, H, W]."""
        return InputSpec().normalise(pixels)

    def frame(self, image: tuple[int, ...]) -> Frame | None:
        """All of a photograph."""
        return 0.0, 0.0, float(image[1]), float(image[0])

    def whole(self, image: tuple[int, ...], content: Pixels) -> tuple[Pixels, NDArray[Any] | None]:
        """The same: it is one piece."""
        return content, None

    def doubt(self, pixels: Pixels, x: Tensor, spec: InputSpec) -> str | None:
        """At the first photograph: that the model was hardly made for such an input."""
        if self._said:
            return None
        self._said = True
        return (
            f"{self.name} is given pictures as pixel / 255 at their own size, as nothing says what its input is: give "
            "processor=, or transform= (see pysmdl.adapt), or a scorer of pysmdl.scorers"
        )


def agreed(read: InputSpec | None, pipeline: OwnPipeline) -> InputSpec:
    """What was read of a pipeline where it gives what the pipeline gives, on two pictures, to the tolerance; else the
    pipeline itself, which then makes each input.
    """
    if read is not None and all(difference(pipeline(card), read.view(card)[0], read) <= TOLERANCE for card in cards()):
        return replace(read, pipeline=pipeline)
    return pipeline.making(read)


def _round(value: float) -> float:
    return float(f"{value:.6g}") + 0.0  # no -0.0


def _shown(values: Tensor) -> str:
    return "(" + ", ".join(f"{each + 0.0:.3g}" for each in values.tolist()) + ")"
