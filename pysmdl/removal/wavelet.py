"""Players in a transform: an image's Haar coefficients, of which a row keeps some; the model sees the inverse of those.

What a detail of a certain size did, and where: the coarse average and, level by level, finer details (WCAM, Kasmi et
al. 2023). The packed transform has the average at its top left, the details of level 1, the finest, at its right and
below.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.errors import RegionError, whole_number
from pysmdl.kernels import compose, inverse_haar, serves
from pysmdl.regions.cells import cells
from pysmdl.removal.base import DeviceRows, Removal, Resident
from pysmdl.removal.blends import blend
from pysmdl.types import Ints, Regions

HALF = math.sqrt(0.5)
CACHED = 1 << 18  # coefficients of rows that a cache holds with what is made of them


def transformed(x: Tensor, levels: int) -> Tensor:
    """The orthonormal Haar transform, packed: along rows, then columns, again on the averages. [..., H, W], both
    multiples of 2^levels.
    """
    out = x.clone()
    height, width = x.shape[-2:]
    for _ in range(levels):
        block = out[..., :height, :width]
        block = torch.cat((block[..., 0::2] + block[..., 1::2], block[..., 0::2] - block[..., 1::2]), -1) * HALF
        even, odd = block[..., 0::2, :], block[..., 1::2, :]
        out[..., :height, :width] = torch.cat((even + odd, even - odd), -2) * HALF
        height, width = height // 2, width // 2
    return out


def inverse(packed: Tensor, levels: int) -> Tensor:
    """What :func:`transformed` was made from."""
    scaled = packed * scales(packed.shape[-2:], levels).to(packed)
    as_batch = scaled.reshape(1, -1, *scaled.shape[-2:])
    return inverse_haar(as_batch, levels, out=torch.empty_like(as_batch)).view(packed.shape)


def scales(shape: Sequence[int], levels: int) -> Tensor:
    """What each coefficient is multiplied by on its way back: a half a level. [H', W']."""
    return torch.from_numpy(0.5 ** np.minimum(level_of(shape, levels), levels).astype(np.float64))


class Wavelet(Removal):
    """See :func:`wavelet`."""

    name = "wavelet"
    painted = False
    modality = "wavelet"
    divided = "subbands"

    def __init__(self, levels: int) -> None:
        self.levels = levels

    @property
    def form(self) -> Hashable:
        return "wavelet", self.levels

    def grid(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Of the packed transform: both sides filled up to a multiple of 2^levels."""
        if len(shape) != 2:
            raise RegionError(f'removal="wavelet" is of images [C, H, W]; got a grid {list(shape)}')
        step = 1 << self.levels
        return tuple(-(-side // step) * step for side in shape)

    def players(self, name: str, shape: Sequence[int]) -> Regions | None:
        """ "subbands", three a level and the average; "cells:8", a grid over the packed square."""
        kind, _, count = name.partition(":")
        if kind == "subbands" and not count:
            return subbands(shape, self.levels)
        if kind != "cells":
            return None
        side = whole_number("cells", int(count) if count.isdecimal() else 8 if not count else 0, 1)
        made = cells(shape, (side, side))
        level = level_of(shape, self.levels)
        rows, columns = (np.arange(side) * length // side + length // side // 2 for length in shape)
        middle = level[np.ix_(rows, columns)].ravel()
        groups = tuple(_level(each, self.levels) for each in middle.tolist())
        names = tuple(f"{group}, cell {i // side}, {i % side}" for i, group in enumerate(groups))
        return Regions(made.labels, made.n, names, groups)

    def resident(self, x: Tensor, regions: Regions, baseline: Any, scorer: Any) -> Resident:
        """The transform of x [C, H', W'], scaled for its way back, zeros, and labels of the packed square."""
        height, width = self.grid(x.shape[1:])
        below, beside = height - x.shape[1], width - x.shape[2]
        filled = torch.nn.functional.pad(x.float()[None], (0, beside, 0, below), mode="replicate")[0]
        packed = transformed(filled, self.levels)
        packed = (packed * scales(packed.shape[1:], self.levels).to(packed)).to(x.dtype)
        zero = packed.new_zeros(1).expand(packed.shape)
        labels = torch.from_numpy(regions.labels)
        return Resident({"x": packed, "baseline": zero, "labels": labels}, tuple(x.shape))

    def counted(self, resident: Resident) -> dict[str, Any]:
        return {"levels": self.levels}

    def softened(self) -> Removal:
        return SoftWavelet(self.levels)

    def view(self, pool: Mapping[str, Tensor], rows: DeviceRows, out: Tensor, backend: str) -> Any:
        packed = pool["x"]
        step = len(out) if out.is_cuda else min(len(out), max(1, CACHED // packed[0].numel()))
        kept = packed.new_empty((step, *packed.shape[1:]))
        for part, bits, source in zip(out.split(step), rows.bits.split(step), rows.source.split(step), strict=True):
            own = kept[: len(part)]
            self._keep(pool, bits, source, own, backend)
            inverse_haar(own, self.levels, out=part, backend=serves("inverse_haar", backend, part.device.type))
        return out

    def _keep(self, pool: Mapping[str, Tensor], bits: Tensor, source: Tensor, out: Tensor, backend: str) -> None:
        """What each row has of the coefficients."""
        compose(pool["x"], pool["baseline"], pool["labels"], bits, source, out=out, backend=backend)


class SoftWavelet(Wavelet):
    """Each coefficient is multiplied by the weight of its player."""

    @property
    def form(self) -> Hashable:
        return "soft wavelet", self.levels

    def _keep(self, pool: Mapping[str, Tensor], bits: Tensor, source: Tensor, out: Tensor, backend: str) -> None:
        blend(pool, DeviceRows(bits, source, None), out, backend)


def wavelet(levels: int = 3) -> Wavelet:
    """A removal that leaves Haar coefficients of an image out: ``removal=pysmdl.removal.wavelet()``.

    Players are its "subbands", three a level and the average, where nothing else is said; or "cells:8", a grid of 8 x 8
    over the packed transform. ``Explanation.by_group()`` is the profile over levels then, :func:`spatial_map` where
    they lie in the image. A side that 2^levels does not divide is filled up by its last pixels.

    Args:
        levels: How often the average is split, 1 to 8.
    """
    found = whole_number("levels", levels, 1)
    if found > 8:
        raise ValueError(f"levels must be 1 to 8; got {levels}")
    return Wavelet(found)


def level_of(shape: Sequence[int], levels: int) -> Ints:
    """The level of each point of the packed square, 1 the finest; levels + 1 for the average. [H', W']."""
    found = np.empty(tuple(shape), np.int32)
    for level in range(1, levels + 2):
        found[: shape[0] >> (level - 1), : shape[1] >> (level - 1)] = level
    return found


def subbands(shape: Sequence[int], levels: int) -> Regions:
    """The average, then from the coarsest level to the finest details along rows, along columns and along both."""
    labels = np.zeros(tuple(shape), np.int32)
    names, groups = ["average"], ["average"]
    for level in range(levels, 0, -1):
        height, width = shape[0] >> level, shape[1] >> level
        for name, rows, columns in (("rows", 0, 1), ("columns", 1, 0), ("both", 1, 1)):
            place = slice(rows * height, (rows + 1) * height), slice(columns * width, (columns + 1) * width)
            labels[place] = len(names)
            names.append(f"level {level}, {name}")
            groups.append(f"level {level}")
    return Regions(labels, len(names), tuple(names), tuple(groups))


def spatial_map(explanation: Any, levels: int = 3) -> NDArray[np.float64]:
    """Where what counts lies in the image: each level's values, spread over their coefficients, laid on the image by
    the nearest point and added up. [H', W'], the packed square's size.
    """
    packed = explanation.value_map()
    total = np.zeros(packed.shape)
    for level in range(1, levels + 1):
        height, width = packed.shape[0] >> level, packed.shape[1] >> level
        of_level = packed[:height, width : 2 * width] + packed[height : 2 * height, :width]
        of_level = of_level + packed[height : 2 * height, width : 2 * width]
        total += np.kron(of_level, np.full((1 << level, 1 << level), 0.25**level))
    return total + np.kron(packed[:height, :width], np.full((1 << levels, 1 << levels), 0.25**levels))


def _level(level: int, levels: int) -> str:
    return "average" if level > levels else f"level {level}"
