"""Images in: a path, a PIL image or an array becomes uint8 [H, W, 3] RGB."""

from __future__ import annotations

import math
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pysmdl.errors import ImageError, need

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

Pixels: TypeAlias = NDArray[np.uint8]
"""[H, W, 3], RGB."""

AS_TENSOR = "floats in model space go in as a torch tensor [C, H, W]"


def load(image: str | PathLike[str] | PilImage | NDArray[Any]) -> Pixels:
    """Any image as uint8 [H, W, 3] RGB.

    Grey becomes three equal channels, 16-bit grey keeps its upper byte, transparency is laid on white, a camera's
    orientation tag is applied. Nothing of what is given is shared with the result.

    Raises:
        ImageError: the file is missing, damaged, no image, or larger than Pillow's limit; the array has another form;
            the pixels are floats.
    """
    if isinstance(image, (str, PathLike)):
        return _from_file(Path(image))
    if isinstance(image, np.ndarray):
        return _from_array(image)
    from PIL import Image

    if isinstance(image, Image.Image):
        return _from_pil(image)
    raise ImageError(
        "image must be a path, a PIL image, a uint8 array [H, W, 3] or a float tensor [C, H, W] in model space; "
        f"got {type(image).__name__}"
    )


def _from_file(path: Path) -> Pixels:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            if opened.width * opened.height > (Image.MAX_IMAGE_PIXELS or math.inf):  # at up to twice that it only warns
                raise Image.DecompressionBombError(f"{opened.width} x {opened.height} pixels")
            return _from_pil(opened)
    except FileNotFoundError:
        raise ImageError(f"no such image: {path}") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageError(
            f"{path} is too large to decode safely ({error}); shrink it, or, if you trust it, raise "
            "PIL.Image.MAX_IMAGE_PIXELS"
        ) from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"cannot read {path} as an image: {error}") from error


def _from_pil(image: PilImage) -> Pixels:
    from PIL import Image, ImageOps

    if image.mode == "F":
        raise ImageError("an image of floats (mode F) has no range of its own: give uint8 pixels; " + AS_TENSOR)
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or image.mode == "I":
        return _from_array((np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))


def _from_array(image: NDArray[Any]) -> Pixels:
    if image.dtype != np.uint8:
        raise ImageError(f"an image array must be uint8; got {image.dtype}; {AS_TENSOR}")
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or 0 in image.shape:
        raise ImageError(f"an image array must be [H, W, 3] (or [H, W], [H, W, 4] with alpha); got {list(image.shape)}")
    if image.shape[2] == 4:
        from PIL import Image

        return _from_pil(Image.fromarray(image))
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image.copy()  # the caller may refill a buffer


def resize(pixels: Pixels, size: tuple[int, int], interpolation: str = "bilinear") -> Pixels:
    """Squash to (height, width) with Pillow's antialiased filter of that name, or OpenCV's bilinear one.

    Raises:
        MissingPackageError: "cv2-bilinear" without OpenCV.
    """
    from PIL import Image

    if pixels.shape[:2] == size:
        return pixels
    if interpolation == "cv2-bilinear":
        return _cv2_bilinear(pixels, size)
    how = Image.Resampling[interpolation.upper()]
    return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), how))


def _cv2_bilinear(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    try:
        import cv2
    except ImportError:
        raise need("OpenCV", "interpolation='cv2-bilinear'", "pysmdl[opencv]") from None
    wide_high = size[1], size[0]
    return np.asarray(cv2.resize(np.ascontiguousarray(pixels), wide_high, interpolation=cv2.INTER_LINEAR), np.uint8)
