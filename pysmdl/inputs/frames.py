"""Frames of a clip as people have them: arrays in any layout, lists of pictures, a folder of them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, uint8

from pysmdl.errors import ImageError
from pysmdl.inputs import image_files
from pysmdl.inputs.image_files import SUFFIXES, Pixels

CHANNELS = (1, 3, 4)  # grey, colour, colour with alpha
STILLS = 4  # [H, W] pictures up to which an array is rather one picture with its channels first


def are_frames(given: Any) -> bool:
    """Whether it is a clip: uint8 [T, H, W, C], [T, C, H, W] or [C, T, H, W], grey [T, H, W] of more than four frames,
    a list of pictures, or a folder.
    """
    if isinstance(given, (np.ndarray, Tensor)):
        return given.dtype in (np.uint8, uint8) and _is_clip(tuple(given.shape), isinstance(given, Tensor))
    if isinstance(given, (list, tuple)):
        return len(given) > 0 and all(map(_is_picture, given))
    return isinstance(given, (str, os.PathLike)) and os.path.isdir(given)


def are_pixels(given: Any) -> bool:
    """Whether it is a tensor of one picture's pixels: uint8 [C, H, W] or [H, W, C]."""
    pixels = isinstance(given, Tensor) and given.dtype == uint8 and given.dim() == 3
    return pixels and (given.shape[0] in CHANNELS or given.shape[2] in CHANNELS)


def pixels_of(given: Tensor) -> NDArray[np.uint8]:
    """Those as an array, channels last: first where either may be meant, as torchvision reads files."""
    array: NDArray[np.uint8] = given.detach().cpu().numpy()
    return np.moveaxis(array, 0, -1) if array.shape[0] in CHANNELS else array


def _is_clip(shape: tuple[int, ...], tensor: bool) -> bool:
    if len(shape) == 3:
        return not tensor and shape[0] > STILLS and shape[2] not in CHANNELS
    return len(shape) in (4, 5) and any(shape[axis] in CHANNELS for axis in (-1, -3, -4))


def _is_picture(given: Any) -> bool:
    """Whether it is one picture: a path, Pillow's, or an array of two or three dimensions."""
    if isinstance(given, (str, os.PathLike)):
        return isinstance(given, os.PathLike) or given.lower().endswith(SUFFIXES)
    return hasattr(given, "getexif") or are_pixels(given) or (isinstance(given, np.ndarray) and given.ndim in (2, 3))


def frames_of(given: Any, count: int | None) -> list[Pixels]:
    """What :func:`are_frames` says yes to as frames [H, W, 3], so many of them, evenly spaced; None: all.

    Raises:
        ImageError: there is none, a frame cannot be read, or several clips are given as one.
    """
    if isinstance(given, (str, os.PathLike)):
        given = pictures_in(Path(given))
    elif isinstance(given, (np.ndarray, Tensor)):
        given = _frame_by_frame(given)
    if not len(given):
        raise ImageError("a clip must have frames; got none")
    chosen = given if count is None else [given[place] for place in evenly(len(given), count).tolist()]
    return [image_files.load(pixels_of(frame) if are_pixels(frame) else frame) for frame in chosen]


def _frame_by_frame(given: NDArray[np.uint8] | Tensor) -> NDArray[np.uint8]:
    """An array with the frames first, and channels, if any, last."""
    array = given.detach().cpu().numpy() if isinstance(given, Tensor) else given
    if array.ndim == 5:
        if len(array) != 1:
            raise ImageError(f"a clip must be one, [T, H, W, 3]; got {len(array)} of them, {list(array.shape)}")
        array = array[0]
    if array.ndim == 3 or array.shape[-1] in CHANNELS:
        return array
    return np.moveaxis(array, 1 if array.shape[1] in CHANNELS else 0, -1)


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder, in the order of their numbers: frame 2 before frame 10.

    Raises:
        ImageError: there is none.
    """
    found = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not found:
        raise ImageError(f"a folder must have the frames of a clip in it, pictures; {folder} has none")
    return sorted(found, key=lambda path: [(not part.isdigit(), int(part) if part.isdigit() else 0, part)
                                           for part in re.split(r"(\d+)", path.name)])  # fmt: skip


def in_grey(values: NDArray[Any]) -> Pixels:
    """Numbers [..., H, W] as shades, the lowest black and the highest white but for one in a hundred. uint8
    [..., H, W, 3].
    """
    low, high = np.percentile(values, (0.5, 99.5))
    grey = 255 * np.clip((values - low) / ((high - low) or 1.0), 0, 1)
    return np.repeat(grey.astype(np.uint8)[..., None], 3, -1)


def one_size(frames: Sequence[Pixels]) -> NDArray[np.uint8]:
    """Frames as one array [T, H, W, 3].

    Raises:
        ImageError: they are of several sizes.
    """
    sizes = sorted({frame.shape[:2] for frame in frames})
    if len(sizes) > 1:
        raise ImageError(f"frames of a clip must be of one size, or a scorer's size=; got {', '.join(map(str, sizes))}")
    return np.stack(frames)


def evenly(count: int, wanted: int) -> NDArray[np.intp]:
    """The frames in the middle of so many equal parts of a clip; some twice where it has fewer. [wanted]."""
    return (2 * np.arange(wanted) + 1) * count // (2 * wanted)
