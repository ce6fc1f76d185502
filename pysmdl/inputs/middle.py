"""Resize, then cut the middle out at whole pixels: the arithmetic of the libraries' own pipelines."""

from __future__ import annotations

from typing import Any

from pysmdl.inputs.image_files import Frame

CUTS = ("round", "floor")


def resized(image: tuple[int, ...], resize: Any) -> tuple[int, int]:
    """(height, width) of an image of (height, width) once its shorter side is `resize`, or both sides are.

    The longer side is rounded down, as in torchvision's Resize and Hugging Face's get_resize_output_image_size.
    """
    if isinstance(resize, tuple):
        return resize
    height, width = image
    longer = int(resize * max(image) / min(image))
    return (resize, longer) if height <= width else (longer, resize)


def corner(image: tuple[int, int], size: tuple[int, int], cut: str) -> tuple[int, int]:
    """(top, left) of the middle of that size. Half a pixel is rounded to even, as torchvision does, or down."""
    top, left = image[0] - size[0], image[1] - size[1]
    return (top // 2, left // 2) if cut == "floor" else (round(top / 2), round(left / 2))


def frame(
    image: tuple[int, ...], size: tuple[int, int], resized: tuple[int, int], corner: tuple[int, int]
) -> Frame | None:
    """Where what is cut out lies in the image itself: x0, y0, x1, y1 in its pixels; None: all of it."""
    if resized == size:
        return None
    down, right = image[0] / resized[0], image[1] / resized[1]
    top, left = corner
    x1, y1 = min((left + size[1]) * right, image[1]), min((top + size[0]) * down, image[0])
    return left * right, top * down, float(x1), float(y1)
