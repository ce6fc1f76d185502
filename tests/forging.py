"""What a caller may give the extension: arrays in any memory, what is no such array, capsules that lie."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

Rng = np.random.Generator

EXTREMES = np.array([0, -0.0, 1, -1, 3e9, 3e38, -3e38, 1e-45, np.inf, -np.inf, np.nan], np.float32)
WHOLE_EXTREMES = np.array([-(2**31), -2, -1, 31, 32, 1 << 26, 2**31 - 1], np.int32)


def floats(rng: Rng, *shape: int, dtype: Any = np.float32) -> Any:
    values = rng.normal(0, 3, shape)
    if rng.random() < 0.2 and values.size:
        values.flat[rng.integers(0, values.size, 3)] = rng.choice(EXTREMES, 3)
    with np.errstate(over="ignore"):
        return values.astype(dtype)


def whole(rng: Rng, least: int, end: int, *shape: int) -> Any:
    values = rng.integers(least, max(end, least + 1), shape).astype(np.int32)
    if rng.random() < 0.06 and values.size:
        values.flat[int(rng.integers(0, values.size))] = rng.choice(WHOLE_EXTREMES)
    return values


def laid_out(rng: Rng, array: Any) -> Any:
    """The same numbers in other memory: reversed, sliced, transposed, read-only, or of one number repeated."""
    kind = int(rng.integers(0, 40))
    axes = tuple(int(each) for each in rng.permutation(array.ndim))
    if kind == 0:
        return array[tuple(slice(None, None, -1) for _ in range(array.ndim))].copy()[
            tuple(slice(None, None, -1) for _ in range(array.ndim))
        ]
    if kind == 1:
        wide = np.zeros([2 * size for size in array.shape], array.dtype)
        wide[tuple(slice(None, None, 2) for _ in range(array.ndim))] = array
        return wide[tuple(slice(None, None, 2) for _ in range(array.ndim))]
    if kind == 2:
        return array.transpose(axes).copy().transpose(np.argsort(axes))
    if kind == 3 and array.size:
        array.setflags(write=False)
    if kind == 4 and array.size and array.ndim:
        first = array[tuple(slice(0, 1) if rng.random() < 0.5 else slice(None) for _ in range(array.ndim))]
        return np.broadcast_to(first, array.shape)
    return array


def spoilt(rng: Rng, array: Any) -> Any:
    """What is no such tensor at all, or one of another dtype, shape or memory."""
    kind = int(rng.integers(0, 11))
    if kind == 0:
        with np.errstate(invalid="ignore", over="ignore"):
            return array.astype(rng.choice([np.float64, np.int64, np.int8, np.complex64, bool, np.uint32, np.float16]))
    if kind == 1:
        return array[..., None] if rng.random() < 0.5 else array.reshape(-1)
    if kind == 2 and array.ndim:
        axis = int(rng.integers(0, array.ndim))
        size = max(0, array.shape[axis] + int(rng.integers(-1, 2)))
        return np.resize(array, (*array.shape[:axis], size, *array.shape[axis + 1 :]))
    if kind == 3:
        return array.astype(array.dtype.newbyteorder())
    if kind == 4:  # one byte off
        return np.frombuffer(b"." + array.tobytes() + b"...", array.dtype, array.size, 1).reshape(array.shape)
    if kind == 5:
        return [None, "tensor", 3, array.tolist(), object()][int(rng.integers(0, 5))]
    if kind in (6, 7, 8):
        return forged(rng, array)
    if kind == 9:
        return np.zeros((0,) * array.ndim, array.dtype)
    return array[()] if array.ndim == 0 else np.array(1, array.dtype)


# Capsules made by hand


class Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p), ("device", ctypes.c_int32), ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.c_void_p), ("strides", ctypes.c_void_p), ("byte_offset", ctypes.c_uint64),
    )  # fmt: skip


class Managed(ctypes.Structure):
    _fields_ = (("tensor", Tensor), ("manager", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


class Versioned(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("manager", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p), ("flags", ctypes.c_uint64), ("tensor", Tensor),
    )  # fmt: skip


new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype, new_capsule.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
NAMES = (b"dltensor", b"dltensor_versioned", b"used_dltensor", b"used_dltensor_versioned", b"foreign")
alive: list[Any] = []  # what capsules of the present call point into; a name as well


def forged(rng: Rng, array: Any) -> Any:
    """A capsule that says of an array what need not be so; never that it is larger, which nobody could tell."""
    array = np.ascontiguousarray(array)
    code, bits = {"f": 2, "i": 0, "b": 6, "u": 1, "c": 5}.get(array.dtype.kind, 3), 8 * array.itemsize
    shape = (ctypes.c_int64 * 64)(*(array.shape or (1,)))
    strides = (ctypes.c_int64 * 64)(*(step // array.itemsize for step in array.strides))
    tensor = Tensor(
        array.ctypes.data, 1, 0, array.ndim, code, bits, 1, ctypes.addressof(shape), ctypes.addressof(strides), 0
    )
    lie = int(rng.integers(0, 12))
    at = int(rng.integers(0, max(1, array.ndim)))
    if lie == 0:
        tensor.strides = None
    elif lie == 1:
        tensor.lanes = 4
    elif lie == 2:
        tensor.device = int(rng.choice([0, 2, 3, 7, 13, 99]))
    elif lie == 3:
        tensor.code, tensor.bits = int(rng.integers(0, 8)), int(rng.choice([1, 8, 16, 32, 64]))
        tensor.ndim = 0 if tensor.bits > bits else tensor.ndim
    elif lie == 4:
        tensor.ndim = int(rng.choice([-1, 0, 1, 9, 64, 1 << 30]))
    elif lie == 5:
        tensor.shape = None
    elif lie == 6:
        shape[at] = int(rng.choice([-1, 1 << 62, 1 << 62, -(1 << 63)]))  # larger than any memory, which can be told
    elif lie == 7:  # only where nothing is reached by it
        strides[at] = int(rng.choice([1 << 62, -(1 << 62), -(1 << 63)])) if array.size < 2 else strides[at]
    elif lie == 8:
        tensor.data = None
    versioned = rng.random() < 0.5
    if versioned:
        managed: Any = Versioned(int(rng.choice([1, 1, 1, 0, 2])), 0, None, None, int(rng.integers(0, 4)), tensor)
    else:
        managed = Managed(tensor, None, None)
    name = NAMES[versioned] if rng.random() < 0.85 else NAMES[int(rng.integers(2, 5))]
    alive.extend((array, shape, strides, managed, name))
    return new_capsule(ctypes.addressof(managed), name, None)
