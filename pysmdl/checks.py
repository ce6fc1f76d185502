"""Arrays and texts as people have them: of any device, foreign byte orders, masks of 0 and 255, half an emoji."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.errors import whole_number

NOT_FINITE = "data must be finite; it holds NaN or infinity: fill what is missing first, or drop its rows"


def as_array(argument: str, given: Any, error: type[ValueError] = ValueError) -> NDArray[Any]:
    """Real numbers of any library as a NumPy array in this machine's byte order. It may share memory with the given.

    Raises:
        ValueError: these are no real numbers, or not of one shape; the error may be another kind of it.
    """
    try:
        array = np.asarray(given.detach().cpu().numpy() if hasattr(given, "detach") else given)
    except (TypeError, ValueError, RuntimeError) as reason:
        raise error(f"{argument} must be an array of real numbers; got {type(given).__name__}: {reason}") from None
    if np.ma.is_masked(given):
        raise error(f"{argument} must have no masked entries: say what they are with .filled(value)")
    if array.dtype.kind not in "biuf":
        raise error(f"{argument} must be an array of real numbers; got {type(given).__name__} of {array.dtype}")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def as_mask(argument: str, given: Any, error: type[ValueError] = ValueError) -> NDArray[np.bool_]:
    """A mask: bool as it is, whole numbers where they are 0 and 1, or 0 and 255.

    Raises:
        ValueError: it is none; the error may be another kind of it.
    """
    array = as_array(argument, given, error)
    if array.dtype != bool:
        high = array.max(initial=0) if array.dtype.kind in "iu" else -1
        if high not in (0, 1, 255) or not ((array == 0) | (array == high)).all():
            raise error(
                f"{argument} must be bool, or whole numbers of 0 and 1 or of 0 and 255; got {array.dtype} "
                f"{list(array.shape)}"
            )
        array = array != 0
    return array


def image_size(argument: str, given: Any) -> tuple[int, int]:
    """Height and width.

    Raises:
        ValueError: these are no two whole numbers of at least 1.
    """
    sides = tuple(given) if isinstance(given, (tuple, list, np.ndarray)) else ()
    try:
        height, width = (whole_number(argument, side, 1) for side in sides)
    except ValueError:
        raise ValueError(f"{argument} must be (height, width), whole numbers of at least 1; got {given!r}") from None
    return height, width


def legible(text: str) -> str:
    """Text as files and fonts can hold it: half of an emoji, which UTF-8 has no form for, is "?"."""
    return text.encode(errors="replace").decode()
