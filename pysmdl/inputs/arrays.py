"""Arrays that people have, as tensors: NumPy's in any strides and byte order, and what offers itself as an array."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def is_array(value: Any) -> bool:
    """Whether it is an array, or offers itself as one."""
    return isinstance(value, (Tensor, np.ndarray)) or hasattr(value, "__dlpack__") or hasattr(value, "__array__")


def tensor_of(name: str, value: Any) -> Tensor:
    """An array as a dense tensor of real numbers, on the device where it lies.

    Args:
        name: The argument, for the error.
        value: A tensor (sparse and quantised ones too), a NumPy array of any strides and byte order, what offers
            ``__dlpack__`` or ``__array__``, a number, or nested lists of numbers. What an array masks is NaN.

    Returns:
        The tensor. It shares the array's memory where torch can.

    Raises:
        ValueError: it is no array, or holds something else than real numbers.
    """
    found = value if isinstance(value, Tensor) else _from_dlpack(value)
    if found is None:
        found = torch.from_numpy(_plain(name, value))
    if found.is_complex():
        raise ValueError(f"{name} must hold real numbers; got {found.dtype}")
    if found.is_quantized:
        return found.dequantize()
    return found if found.layout == torch.strided else found.to_dense()


def _from_dlpack(value: Any) -> Tensor | None:
    """What other frameworks' arrays share, a GPU's among them; None where NumPy is to read it."""
    if isinstance(value, (np.ndarray, np.generic)) or not hasattr(value, "__dlpack__"):
        return None
    try:
        found: Tensor = torch.utils.dlpack.from_dlpack(value)
    except (AssertionError, BufferError, RuntimeError, TypeError, ValueError):  # read-only, or of an odd type
        return None
    return found


def _plain(name: str, value: Any) -> NDArray[Any]:
    """An array of a type and layout that torch knows; a copy only where it has another."""
    if isinstance(value, np.ma.MaskedArray):
        value = np.ma.filled(value.astype(np.float64), np.nan)
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):  # nested lists of unequal lengths
        raise ValueError(f"{name} must be an array of numbers; got {type(value).__name__}") from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers; got {type(value).__name__} of {array.dtype}")
    dtype: Any = array.dtype.newbyteorder("=")
    if array.dtype.itemsize > 8:
        dtype = np.float64
    elif array.dtype.kind == "u" and array.dtype.itemsize > 1:  # torch has few operations on these
        dtype = np.int64 if array.max(initial=0) <= np.iinfo(np.int64).max else np.float64
    plain = all(stride >= 0 and stride % array.dtype.itemsize == 0 for stride in array.strides)
    if dtype == array.dtype and array.flags.writeable and plain:
        return array
    return np.array(array, dtype, order="C")
