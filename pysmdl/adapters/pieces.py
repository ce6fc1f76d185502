"""Processors that make pieces of a photograph: the picture that these show, and where each of them lies in it."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.adapters.pipelines import OwnPipeline
from pysmdl.inputs.image import InputSpec
from pysmdl.inputs.image_files import Frame, Pixels
from pysmdl.models import patches

Layout = tuple[int, int]  # tiles from top to bottom and from left to right


class Tiles(OwnPipeline):
    """Tiles of a photograph below each other [C, T * S, S], the last of several a small view of all of it.

    Regions live on the picture that the tiles are cut from; the small view hides the same parts of it.

    Args:
        function: A picture of Pillow's to its tiles [C, T * S, S], and how many there are down and across.
        name: As in :class:`OwnPipeline`.
    """

    def __init__(self, function: Callable[[Any], tuple[Tensor, Layout]], name: str) -> None:
        super().__init__(self._remembered, name)
        self._cut = function
        self._layouts: dict[tuple[int, ...], Layout] = {}

    def _remembered(self, image: Any) -> Tensor:
        x, layout = self._cut(image)
        self._layouts[image.height, image.width] = layout
        return x

    def frame(self, image: tuple[int, ...]) -> Frame | None:
        return 0.0, 0.0, float(image[1]), float(image[0])

    def whole(self, image: tuple[int, ...], content: Pixels) -> tuple[Pixels, NDArray[Any] | None]:
        layout, side = self._layouts[image[0], image[1]], content.shape[1]
        if layout == (1, 1):
            return content[:side], None
        canvas, of_tiles = _canvas(content, layout)
        shown = [of_tiles]
        if len(content) > len(of_tiles):
            shown.append(_middles(canvas.shape[:2], side))
        return canvas, np.concatenate(shown)


class PaddedTiles(Tiles):
    """The same of a photograph that is padded to the tiles' canvas, in its middle; the small view has no padding.

    Regions live on the photograph's part of the canvas, and the padding is hidden with what it borders on.
    """

    def whole(self, image: tuple[int, ...], content: Pixels) -> tuple[Pixels, NDArray[Any] | None]:
        canvas, of_tiles = _canvas(content, self._layouts[image[0], image[1]])
        scale = min(all / own for all, own in zip(canvas.shape, image[:2], strict=False))
        sides = [min(math.ceil(own * scale - 1e-9), all) for all, own in zip(canvas.shape, image[:2], strict=False)]
        starts = [(all - own) // 2 for all, own in zip(canvas.shape, sides, strict=False)]
        y, x = (
            (np.arange(all) - start).clip(0, own - 1)
            for all, start, own in zip(canvas.shape, starts, sides, strict=False)
        )
        points = np.add.outer(y * sides[1], x).ravel()[of_tiles]
        own = canvas[starts[0] :, starts[1] :][: sides[0], : sides[1]]
        return own, np.concatenate((points, _middles((sides[0], sides[1]), content.shape[1])))


def _canvas(content: Pixels, layout: Layout) -> tuple[Pixels, NDArray[Any]]:
    """The picture that tiles [T * S, S, C] are cut from, and the number of its point that each of theirs shows."""
    (down, across), side = layout, content.shape[1]
    points = np.arange(down * across * side * side).reshape(down * side, across * side)
    of_tiles = points.reshape(down, side, across, side).swapaxes(1, 2).reshape(-1, side)
    canvas = np.empty((points.size, content.shape[2]), content.dtype)
    canvas[of_tiles.ravel()] = content[: len(of_tiles)].reshape(-1, content.shape[2])
    return canvas.reshape(*points.shape, -1), of_tiles


def _middles(shape: tuple[int, ...], side: int) -> NDArray[Any]:
    """Numbers of the points of a picture that are in the middle of those of a small view of it [side, side]."""
    y, x = (((np.arange(side) + 0.5) * all / side).astype(int) for all in shape[:2])
    found: NDArray[Any] = np.add.outer(y * shape[1], x)
    return found


def tiled(processor: Any) -> InputSpec:
    """How Idefics3, SmolVLM and InternVL are given a photograph."""
    images = processor.image_processor
    splits = hasattr(images, "do_image_splitting")
    return _made(Tiles(partial(_idefics, images) if splits else partial(_internvl, processor), _name(images)))


def padded(processor: Any) -> InputSpec:
    """How LLaVA-NeXT is given one."""
    images = processor.image_processor
    return _made(PaddedTiles(partial(_next, images), _name(images)))


def patched(processor: Any) -> InputSpec:
    """How Qwen2-VL and Qwen2.5-VL are given one: the picture that their patches are made of."""
    images = getattr(processor, "image_processor", processor)
    return _made(OwnPipeline(partial(_qwen, images), _name(images)))


def of_any_size(processor: Any) -> InputSpec:
    """How Pixtral's tower is given one: at its own aspect, sides multiples of what a visual token covers."""
    images, side = processor.image_processor, processor.patch_size * getattr(processor, "spatial_merge_size", 1)
    return _made(OwnPipeline(partial(_pixtral, images, side), _name(images)))


def _made(pipeline: OwnPipeline) -> InputSpec:
    return replace(pipeline.making(None), size=None)


def _next(images: Any, image: Any) -> tuple[Tensor, Layout]:
    values = images(images=image, return_tensors="pt")["pixel_values"][0]
    best = sys.modules["transformers.image_processing_utils"].select_best_resolution
    sides = best((image.height, image.width), images.image_grid_pinpoints)
    down, across = (length // values.shape[2] for length in sides)
    return _stacked(values.roll(-1, 0)), (down, across)


def _qwen(images: Any, image: Any) -> Tensor:
    found = images(images=image, return_tensors="pt")
    _, high, wide = found["image_grid_thw"][0].tolist()
    sizes = images.patch_size, images.merge_size, images.temporal_patch_size
    return patches.picture(found["pixel_values"], high, wide, *sizes)


def _pixtral(images: Any, side: int, image: Any) -> Tensor:
    found: Tensor = images(images=image, return_tensors="pt", patch_size=side)["pixel_values"]
    return found


def _idefics(images: Any, image: Any) -> tuple[Tensor, Layout]:
    found = images(images=image, return_tensors="pt", return_row_col_info=True)
    values = found["pixel_values"][0]
    down, across = (int(found[name][0][0]) for name in ("rows", "cols"))
    return _stacked(values), (max(down, 1), max(across, 1))


def _internvl(processor: Any, image: Any) -> tuple[Tensor, Layout]:
    values = processor(images=image, text=[processor.image_token], return_tensors="pt")["pixel_values"]
    if len(values) == 1:
        return _stacked(values), (1, 1)
    images = processor.image_processor
    optimal = next(
        sys.modules[kind.__module__].get_optimal_tiled_canvas
        for kind in type(images).__mro__
        if hasattr(sys.modules[kind.__module__], "get_optimal_tiled_canvas")
    )
    across, down = optimal((image.height, image.width), values.shape[2:], images.min_patches, images.max_patches)
    return _stacked(values), (down, across)


def _stacked(values: Tensor) -> Tensor:
    """Tiles [T, C, S, S] below each other."""
    return values.transpose(0, 1).flatten(1, 2)


def _name(images: Any) -> str:
    return type(images).__name__
