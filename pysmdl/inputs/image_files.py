"""Images in: a path, a PIL image or an array becomes uint8 [H, W, 3] RGB."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import cache
from io import BytesIO
from os import PathLike
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pysmdl.disk import opened
from pysmdl.errors import ImageError, described, need

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

Pixels: TypeAlias = NDArray[np.uint8]
"""[H, W, 3], RGB."""

Frame: TypeAlias = tuple[float, float, float, float]
"""A part of an image: x0, y0, x1, y1 in its pixels."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".avif")
AS_TENSOR = "floats in model space go in as a torch tensor [C, *grid]"
# What Pillow may read a file as. Not EPS, for which it starts Ghostscript, nor what it only recognises.
FORMATS = (
    "AVIF", "BMP", "DDS", "DIB", "GIF", "HEIF", "ICNS", "ICO", "JPEG", "JPEG2000", "JXL", "PCX", "PNG", "PPM", "PSD",
    "QOI", "SGI", "TGA", "TIFF", "WEBP",
)  # fmt: skip
ORIENTATION = 0x0112  # of EXIF: 1 upright, 2 to 8 as _upright turns them


def load(image: str | PathLike[str] | PilImage | NDArray[Any]) -> Pixels:
    """Any image as uint8 [H, W, 3] RGB.

    Grey becomes three equal channels, 16-bit grey keeps its upper byte, transparency is laid on white, a camera's
    orientation tag is applied. Nothing of what is given is shared with the result.

    Raises:
        ImageError: the file is missing, damaged, no image, no ordinary file, or larger than Pillow's limit; the array
            has another form or masked pixels; the pixels are floats or 32-bit numbers.
    """
    if isinstance(image, (str, PathLike)):
        return _from_file(image)
    if isinstance(image, np.ndarray):
        return _from_array(image)
    from PIL import Image

    if isinstance(image, Image.Image):
        return _from_pil(image, "the image")
    raise ImageError(
        "image must be a path, a PIL image, a uint8 array [H, W, 3] or a float tensor [C, H, W] in model space; "
        f"got {type(image).__name__}"
    )


def from_bytes(content: bytes, name: str) -> Pixels:
    """A file's content, as :func:`load` reads the file. Raises likewise; `name` says what it was."""
    return _from_file(name, lambda: BytesIO(content))


def _from_file(path: str | PathLike[str], open_file: Callable[[], BinaryIO] | None = None) -> Pixels:
    from PIL import Image, UnidentifiedImageError

    try:
        file = opened(path) if open_file is None else open_file()
        with file, Image.open(file, formats=_formats()) as image:
            if image.width * image.height > (Image.MAX_IMAGE_PIXELS or math.inf):  # at up to twice that it only warns
                raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels")
            return _from_pil(image, f"{path} as an image")
    except (ImageError, MemoryError):
        raise
    except FileNotFoundError:
        words = any(each.isspace() for each in os.fspath(path)) and not os.path.splitext(path)[1].strip(". ")
        hint = "; a text is for a model of texts, such as pysmdl.scorers.string(function)" if words else ""
        raise ImageError(f"no such image: {path}{hint}") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageError(
            f"{path} is too large to decode safely ({error}); shrink it, or, if you trust it, raise "
            "PIL.Image.MAX_IMAGE_PIXELS"
        ) from None
    except UnidentifiedImageError:
        raise ImageError(f"cannot read {path} as an image: it is none of {', '.join(_formats())}") from None
    except Exception as error:  # of many types, as the file is damaged
        raise ImageError(f"cannot read {path} as an image: {described(error)}") from error


@cache
def _formats() -> tuple[str, ...]:
    """Those that the Pillow here can read, or a package that was imported has taught it."""
    from PIL import Image

    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _from_pil(image: PilImage, what: str) -> Pixels:
    """Only now may Pillow read the file, so whatever is wrong with that comes out here, as errors of many types."""
    try:
        if image.format == "EPS":
            raise ImageError(f"cannot read {what}: for EPS Pillow starts Ghostscript, which runs what the file says")
        image.load()
        found = _pixels(image)
        turned = _upright(found, _orientation(image))
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        raise ImageError(f"cannot read {what}: {described(error)}") from error
    if 0 in turned.shape:
        raise ImageError(f"cannot read {what}: it has no pixels, {turned.shape[1]} x {turned.shape[0]}")
    return np.ascontiguousarray(turned)


def _pixels(image: PilImage) -> Pixels:
    from PIL import Image

    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):  # an older Pillow's
        return _deep_grey(np.asarray(image), image.info.get("transparency"))
    if image.mode in ("I", "F"):
        kind = {"I": "32-bit grey (mode I)", "F": "floats (mode F)"}[image.mode]
        raise ImageError(f"an image of {kind} has no range of its own: give uint8 pixels; " + AS_TENSOR)
    if image.has_transparency_data:
        clear = image.info.get("transparency")
        if image.mode == "RGB" and isinstance(clear, tuple) and max(clear) > 255:  # of a file of 16 bits a channel
            image = image.copy()
            image.info["transparency"] = tuple(value >> 8 for value in clear)
        image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))


def _deep_grey(values: NDArray[Any], clear: Any) -> Pixels:
    """16-bit grey [H, W]: the upper byte; white where it is the value that stands for transparent."""
    grey = (values.astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8)
    if isinstance(clear, int):
        grey[values == clear] = 255
    return np.repeat(grey[:, :, None], 3, axis=2)


def _orientation(image: PilImage) -> Any:
    """A camera's tag, or None; one that cannot be read leaves the picture as good as it is."""
    try:
        return image.getexif().get(ORIENTATION)
    except Exception:
        return None


def _upright(pixels: Pixels, orientation: Any) -> Pixels:
    """As a camera's tag says that it was held; pixels as they are where it says nothing that is known."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    mirrored = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}
    down, right = mirrored.get(orientation, (1, 1)) if isinstance(orientation, int) else (1, 1)
    return pixels[::down, ::right]


def _from_array(image: NDArray[Any]) -> Pixels:
    if np.ma.is_masked(image):
        raise ImageError("an image array with masked pixels has no values there: give image.filled(value)")
    image = np.asarray(image)  # a matrix works otherwise than the array that it is
    if image.dtype != np.uint8:
        share = image.dtype.kind == "f" and image.min(initial=0) >= 0 and image.max(initial=0) <= 1
        instead = "of 0 to 1: (255 * image).round().astype(np.uint8) is one" if share else AS_TENSOR
        raise ImageError(f"an image array must be uint8; got {image.dtype}; {instead}")
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or 0 in image.shape:
        raise ImageError(f"an image array must be [H, W, 3] (or [H, W], [H, W, 4] with alpha); got {list(image.shape)}")
    if image.shape[2] == 4:
        from PIL import Image

        return _from_pil(Image.fromarray(image), "the image")
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image.copy()  # the caller may refill a buffer


def resize(
    pixels: Pixels, size: tuple[int, int], interpolation: str = "bilinear", frame: Frame | None = None
) -> Pixels:
    """Squash to (height, width) with Pillow's antialiased filter of that name, or OpenCV's bilinear one.

    Args:
        pixels: [H, W, 3].
        size: (height, width).
        interpolation: "bilinear", "bicubic" or "nearest", or "cv2-bilinear".
        frame: The part that is squashed, at whole pixels for OpenCV's; None: all.

    Raises:
        MissingPackageError: "cv2-bilinear" without OpenCV.
    """
    from PIL import Image

    if frame is not None and interpolation == "cv2-bilinear":
        x0, y0, x1, y1 = map(int, frame)
        pixels, frame = pixels[y0:y1, x0:x1], None
    if frame is None and pixels.shape[:2] == size:
        return pixels
    if interpolation == "cv2-bilinear":
        return _cv2_bilinear(pixels, size)
    how = Image.Resampling[interpolation.upper()]
    return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), how, box=frame))


def _cv2_bilinear(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    try:
        import cv2
    except ImportError:
        raise need("OpenCV", "interpolation='cv2-bilinear'", "pysmdl[opencv]") from None
    wide_high = size[1], size[0]
    return np.asarray(cv2.resize(np.ascontiguousarray(pixels), wide_high, interpolation=cv2.INTER_LINEAR), np.uint8)
