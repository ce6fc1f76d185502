"""Clips as inputs: frames, or a file of them; each is made an image as the model sees it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pysmdl.errors import ImageError, described, need
from pysmdl.inputs import image_files
from pysmdl.inputs.base import Input
from pysmdl.inputs.frames import are_frames, evenly, frames_of, one_size
from pysmdl.inputs.image import InputSpec
from pysmdl.inputs.pictures import ImageReader

ENDINGS = (".mp4", ".m4v", ".mov", ".avi", ".webm", ".mkv", ".mpg", ".mpeg", ".ogv")
ANIMATED = (".gif", ".png", ".apng", ".webp", ".avif", ".tif", ".tiff")  # pictures that may be several
FORMATS = ("GIF", "PNG", "WEBP", "AVIF", "TIFF")
MOST = 256  # frames of a file, where nobody says how many

Frames = NDArray[np.uint8]
"""[T, H, W, 3], RGB."""


class ClipReader:
    """Frames, RGB, grey or with alpha, which is laid on white: uint8 [T, H, W, C], [T, C, H, W] or, of more than four,
    [T, H, W]; a list of pictures, a folder of them, or the path of a clip. The model is given [B, 3, T, H, W] in its
    own space, as many frames as the scorer's `frames` says. A GIF, or a PNG, WebP, AVIF or TIFF of several pictures, is
    a clip where that says something, and else the picture that comes first in it.
    """

    def takes(self, given: Any) -> bool:
        return are_frames(given) or is_clip(given) or may_move(given)

    def read(self, given: Any, spec: InputSpec, computed: bool) -> Input:
        if are_frames(given):
            frames = frames_of(given, spec.frames)
        elif may_move(given) and (spec.frames is None or not moves(given)):
            return ImageReader().read(given, spec, computed)
        else:
            frames = list(load(given, spec.frames))
        seen = [spec.view(frame) for frame in frames]
        content = one_size([content for _, content in seen])
        x = torch.stack([x for x, _ in seen], 1)
        return Input(x, content, None, modality="clip", shown=content, divided="tubes:4x4x4")

    def lend(self, given: Any) -> tuple[Any, bool]:
        if isinstance(given, (list, tuple)):
            return [ImageReader().lend(frame)[0] for frame in given], True
        if isinstance(given, torch.Tensor):
            return given.clone(), not given.is_cuda
        return (given.copy() if isinstance(given, np.ndarray) else given), True


def is_clip(given: Any) -> bool:
    """Whether it is the path of what can be nothing but a clip."""
    return _ends(given, ENDINGS)


def may_move(given: Any) -> bool:
    """Whether it is the path of a picture that may be several, one after the other."""
    return _ends(given, ANIMATED)


def _ends(given: Any, endings: str | tuple[str, ...]) -> bool:
    return isinstance(given, (str, os.PathLike)) and os.fsdecode(given).lower().endswith(endings)


def moves(path: str | os.PathLike[str]) -> bool:
    """Whether a file is several pictures, one after the other: a GIF always is."""
    if not may_move(path) or _ends(path, ".gif"):
        return may_move(path)
    from PIL import Image

    try:
        with Image.open(path, formats=FORMATS) as image:
            return getattr(image, "n_frames", 1) > 1
    except Exception:  # of many types, as the file is damaged, which is said where it is read
        return False


def load(path: str | os.PathLike[str], frames: int | None = None) -> Frames:
    """Frames of a clip's file, evenly spaced.

    Args:
        path: What OpenCV's FFmpeg reads, or pictures in one file, such as a GIF.
        frames: How many; None: all of them.

    Raises:
        ImageError: there is no such file, it is no clip, or it has more than 256 frames and nobody says how many.
        MissingPackageError: OpenCV is needed for it (``pip install 'pysmdl[opencv]'``).
    """
    name = os.fsdecode(path)
    if not Path(name).is_file():
        raise ImageError(f"no clip at {name}")
    return _of_pictures(name, frames) if may_move(name) else _decoded(name, frames)


def _chosen(name: str, count: int, frames: int | None) -> list[int]:
    if not count:
        raise ImageError(f"{name} is no clip that can be read: it has no frames")
    if frames is None and count > MOST:
        raise ImageError(f"{name} has {count} frames, more than {MOST}: say how many are taken, frames=16 of a scorer")
    return list(range(count)) if frames is None else evenly(count, frames).tolist()


def _decoded(name: str, frames: int | None) -> Frames:
    """By OpenCV. What a file's header says of its length is often wrong, so frames are counted first."""
    try:
        import cv2
    except ImportError:
        raise need("OpenCV", f"the clip {name}", "pysmdl[opencv]") from None
    count, clip = 0, cv2.VideoCapture(name)
    while clip.grab():
        count += 1
    clip.release()
    chosen = _chosen(name, count, frames)
    found: dict[int, Frames] = {}
    clip = cv2.VideoCapture(name)
    for place in range(chosen[-1] + 1):
        clip.grab()
        if place in chosen:
            read, frame = clip.retrieve()
            if not read:
                raise ImageError(f"{name} is damaged: its frame {place} cannot be read")
            found[place] = np.ascontiguousarray(frame[..., ::-1], np.uint8)  # blue comes first there
    clip.release()
    return np.stack([found[place] for place in chosen])


def _of_pictures(name: str, frames: int | None) -> Frames:
    """By Pillow, what is transparent laid on white."""
    from PIL import Image

    found = {}
    try:
        with Image.open(name, formats=FORMATS) as image:
            chosen = _chosen(name, getattr(image, "n_frames", 1), frames)
            for place in sorted(set(chosen)):
                image.seek(place)
                found[place] = image_files.load(image.convert("RGBA"))
    except ImageError:
        raise
    except Exception as error:  # of many types, as the file is damaged
        raise ImageError(f"cannot read {name} as a clip: {described(error)}") from error
    return np.stack([found[place] for place in chosen])
