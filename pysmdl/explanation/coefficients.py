"""An image of some of its Haar coefficients, as :func:`pysmdl.removal.wavelet` leaves them out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pysmdl.inputs.image_files import Pixels
from pysmdl.types import Bools

HALF = np.sqrt(0.5)


def of_coefficients(pixels: Pixels, kept: Bools, levels: int, fill: float = 0) -> Pixels:
    """The image whose coefficients are its own where they are kept, elsewhere those of an even one.

    Args:
        pixels: uint8 [H, W, 3]; taken at the transform's size where that is not its own, filled up.
        kept: Of the packed transform. [H', W'], both multiples of 2^levels.
        levels: How often the average is split.
        fill: Of the even image, 0 to 255.
    """
    height, width = kept.shape
    step, sides = 1 << levels, pixels.shape[:2]
    if tuple(-(-side // step) * step for side in sides) == kept.shape:
        beyond = [(0, long - side) for long, side in zip(kept.shape, sides, strict=True)]
        given = np.pad(pixels, (*beyond, (0, 0)), mode="edge").astype(np.float64)
    else:
        given = np.asarray(Image.fromarray(pixels).resize((width, height)), np.float64)
        sides = (height, width)
    packed = transformed(given - fill, levels) * kept[:, :, None]
    seen: Pixels = np.clip(inverse(packed, levels) + fill, 0, 255).round().astype(np.uint8)
    return seen[: sides[0], : sides[1]]


def transformed(x: NDArray[np.float64], levels: int) -> NDArray[np.float64]:
    """The orthonormal transform, packed: along rows, then columns, again on the averages. [H, W, C]."""
    out: NDArray[np.float64] = x.copy()
    for level in range(levels):
        block = out[: len(x) >> level, : x.shape[1] >> level]
        block[:] = np.concatenate((block[:, 0::2] + block[:, 1::2], block[:, 0::2] - block[:, 1::2]), 1) * HALF
        block[:] = np.concatenate((block[0::2] + block[1::2], block[0::2] - block[1::2])) * HALF
    return out


def inverse(packed: NDArray[np.float64], levels: int) -> NDArray[np.float64]:
    """What :func:`transformed` was made from."""
    out: NDArray[np.float64] = packed.copy()
    for level in reversed(range(levels)):
        height, width = len(out) >> level, out.shape[1] >> level
        block = out[:height, :width]
        even, odd = block[: height // 2].copy(), block[height // 2 :].copy()
        block[0::2], block[1::2] = (even + odd) * HALF, (even - odd) * HALF
        even, odd = block[:, : width // 2].copy(), block[:, width // 2 :].copy()
        block[:, 0::2], block[:, 1::2] = (even + odd) * HALF, (even - odd) * HALF
    return out
