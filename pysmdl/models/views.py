"""Views as a server takes them: pictures at the size that the regions live on, as PNG, JPEG, or the numbers."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ENCODED = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "array": "application/octet-stream",
}  # content types


def encoded(pixels: NDArray[np.uint8], encode: str) -> bytes:
    """A picture [H, W, 3] as bytes: PNG (of the same pixels again), JPEG at quality 95, or NumPy's .npy."""
    into = io.BytesIO()
    if encode == "array":
        np.save(into, pixels, allow_pickle=False)
    else:
        how: dict[str, Any] = {"compress_level": 1} if encode == "png" else {"quality": 95}
        Image.fromarray(pixels).save(into, encode, **how)
    return into.getvalue()
