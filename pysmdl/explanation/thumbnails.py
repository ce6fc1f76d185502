"""The small picture that a stored explanation carries, so that it can draw itself."""

from __future__ import annotations

import warnings
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

SIDE = 384  # pixels of its longer side
LIMIT = 30_000  # bytes
QUALITIES = (85, 75, 60, 45, 30)
FORMATS = ("WEBP", "PNG")
MOST = 1 << 22  # pixels of a picture that is read back: a forged one may announce any number


def encode(pixels: NDArray[np.uint8], limit: int = LIMIT) -> bytes:
    """uint8 [H, W, 3] as WebP of at most so many bytes, its longer side 384 pixels or fewer; PNG where Pillow has no
    WebP.
    """
    image = Image.fromarray(pixels)
    side = SIDE
    while True:
        small = image.copy()
        small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
        for quality in QUALITIES if features.check("webp") else (0,):
            found = _bytes(small, quality)
            if len(found) <= limit or side <= 16:
                return found
        side = side * 3 // 4


def decode(picture: bytes) -> NDArray[np.uint8]:
    """Pixels of what :func:`encode` wrote. uint8 [h, w, 3].

    Raises:
        ValueError: it is no such picture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            image = Image.open(BytesIO(picture), formats=FORMATS)
            if image.width * image.height > MOST:
                raise ValueError(f"{image.width} x {image.height} pixels")
            return np.array(image.convert("RGB"))
    except Exception as error:  # of many types, as the bytes are damaged
        raise ValueError(f"picture must be a small WebP or PNG; {error or type(error).__name__}") from error


def _bytes(image: Image.Image, quality: int) -> bytes:
    buffer = BytesIO()
    if quality:
        image.save(buffer, "WEBP", quality=quality, method=4)
    else:
        image.quantize(64).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
