"""Cells of any grid: segments of time, bands of a spectrogram, tubes through a clip, columns of a row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import ceil, log10

import numpy as np

from pysmdl.errors import whole_number
from pysmdl.inputs.base import Input
from pysmdl.inputs.image_files import Pixels
from pysmdl.regions.players import columns
from pysmdl.regions.superpixel import slico
from pysmdl.types import Regions

GRIDS = ("time:20", "bands:8x6", "tubes:4x4x4", "tubes:5x25", "grid:4x4x4", "columns")
COUNT = 49  # cells of a grid of which only the name is said, about


def is_of_grid(spec: str, pixels: Pixels | None) -> bool:
    """Whether a name is one of these ways; a plain grid of an image is :func:`pysmdl.regions.grid`'s."""
    name, _, sizes = spec.partition(":")
    if name == "grid":
        return "x" in sizes or pixels is None or pixels.ndim != 3
    return name in ("time", "bands", "tubes", "columns")


def by_grid(spec: str, shape: Sequence[int], pixels: Pixels | None = None) -> Regions:
    """The regions of a name such as "time:20" on a grid of this shape.

    Args:
        spec: "time:N", segments of the last axis; "bands:RxC", of the last two, frequency x time; "tubes:TxHxW", boxes
            through a clip, or "tubes:TxN", N superpixels held together through each of T spans of frames; "grid:..." of
            as many numbers as there are axes, or one for about so many cells; "columns", a player a point.
        shape: The grid.
        pixels: Of a clip, uint8 [T, H, W, 3], for superpixels.

    Raises:
        ValueError: the name needs other numbers, or the grid has other axes.
    """
    name, _, given = spec.partition(":")
    if name == "columns":
        if given:
            raise ValueError(f'regions must be "columns" without a number; got {spec!r}')
        return columns(math.prod(shape)) if len(shape) == 1 else cells(shape, shape)
    numbers = _numbers(spec, given, len(shape))
    if name == "time":
        return segments(shape, *_so_many(spec, numbers or (20,), 1, len(shape)))
    if name == "bands":
        return bands(shape, *_so_many(spec, numbers or (8, 6), 2, len(shape)))
    if name == "tubes":
        return _tubes(spec, shape, numbers or (4, 4, 4), pixels)
    if len(numbers) <= 1 and len(shape) > 1:
        return cells(shape, _even(shape, numbers[0] if numbers else COUNT))
    return cells(shape, _so_many(spec, numbers or (min(COUNT, shape[0]),), len(shape), len(shape)))


def cells(shape: Sequence[int], counts: Sequence[int]) -> Regions:
    """Boxes of equal size, within one point a side: so many along each axis, and no more than it has points.

    Args:
        shape: The grid, of any number of axes.
        counts: Boxes along each.

    Raises:
        ValueError: another number of counts, or one below 1.
    """
    if len(counts) != len(shape):
        raise ValueError(f"counts must be one for each of the axes {list(shape)}; got {list(counts)}")
    sizes = [min(whole_number("counts", count, 1), side) for count, side in zip(counts, shape, strict=True)]
    places = [np.arange(side) * count // side for side, count in zip(shape, sizes, strict=True)]
    labels = np.ravel_multi_index(np.meshgrid(*places, indexing="ij"), sizes)
    return Regions(labels.astype(np.int32), math.prod(sizes))


def segments(shape: Sequence[int], n: int = 20) -> Regions:
    """Spans of the last axis, which is time: n of equal length, through all else."""
    return cells(shape, (*[1] * (len(shape) - 1), whole_number("n", n, 1)))


def bands(shape: Sequence[int], rows: int = 8, columns: int = 6) -> Regions:
    """Boxes of the last two axes, a spectrogram's frequencies and its time.

    Raises:
        ValueError: the grid has one axis only.
    """
    if len(shape) < 2:
        raise ValueError(f'bands need a grid of frequency x time; got {list(shape)}: a waveform has "time:20"')
    sides = whole_number("rows", rows, 1), whole_number("columns", columns, 1)
    return cells(shape, (*[1] * (len(shape) - 2), *sides))


def tubes(frames: Pixels, spans: int = 5, n: int = 25) -> Regions:
    """Superpixels of a clip that hold together through time: SLICO on the mean frame of each span of frames.

    Args:
        frames: The clip. uint8 [T, H, W, 3].
        spans: Of the frames, of equal length.
        n: Superpixels in each, about.

    Raises:
        ValueError: spans or n is no whole number of at least 1.
    """
    of_frame = np.arange(len(frames)) * min(whole_number("spans", spans, 1), len(frames)) // len(frames)
    labels, found = [], 0
    for span in np.unique(of_frame):
        within = frames[of_frame == span]
        made = slico(within.mean(0).round().astype(np.uint8), n)
        labels += [made.labels + found] * len(within)
        found += made.n
    return Regions(np.stack(labels).astype(np.int32), found)


def divided_as(spec: str, read: Input) -> Input:
    """What an input without a picture is shown as, by how it is divided: bands make it a spectrogram, tubes a volume of
    one channel a clip.
    """
    if spec.partition(":")[0] == "tubes" and read.modality == "volume" and read.content is not None:
        return replace(read, modality="clip", shown=read.content)
    if spec.partition(":")[0] == "bands" and read.x.dim() == 3:
        shown = read.x.detach().float().mean(0).cpu().numpy().copy()
        return replace(read, modality="spectrogram", shown=shown, picture=None)
    return read


def named_by_time(spec: str, regions: Regions, rate: float | None) -> Regions:
    """Segments of time called by their seconds, where it is known how many points make one."""
    of_time = spec.partition(":")[0] == "time" or (spec.partition(":")[0] == "grid" and regions.labels.ndim == 1)
    if not of_time or rate is None or regions.names:
        return regions
    ends = np.append(0, np.bincount(regions.labels.reshape(-1, regions.labels.shape[-1])[0]).cumsum()) / rate
    digits = max(2, ceil(-log10(max(float(np.diff(ends).min()), 1e-9))))  # so many that no two are called alike
    names = tuple(f"{start:.{digits}f} to {stop:.{digits}f} s" for start, stop in pairwise(ends.tolist()))
    return replace(regions, names=names)


def _tubes(spec: str, shape: Sequence[int], numbers: Sequence[int], pixels: Pixels | None) -> Regions:
    if len(numbers) == 3 and len(shape) >= 3:
        return cells(shape, (*[1] * (len(shape) - 3), *numbers))
    if len(numbers) == 2 and pixels is not None and pixels.ndim == 4:
        return tubes(pixels, *numbers)
    still = "; a GIF and other pictures that move are clips where a scorer has frames=" if len(shape) == 2 else ""
    raise ValueError(
        f'regions must be "tubes:TxHxW" on a grid of time x height x width, or "tubes:TxN" on a clip of one or three '
        f"channels; got {spec!r} on {list(shape)}{still}"
    )


def _numbers(spec: str, given: str, axes: int) -> tuple[int, ...]:
    found = given.split("x") if given else []
    if not all(each.isdecimal() and int(each) > 0 for each in found):
        raise ValueError(f"regions must be one of {_ways(axes)}, with numbers of at least 1; got {spec!r}")
    return tuple(map(int, found))


def _ways(axes: int) -> str:
    """The names that suit a grid of so many axes, the plain grid's with a number for each."""
    plain = "grid:" + "x".join(["4"] * axes)
    return ", ".join(plain if name.startswith("grid:") else name for name in GRIDS)


def _so_many(spec: str, numbers: Sequence[int], count: int, axes: int) -> Sequence[int]:
    if len(numbers) != count:
        needs = "one number" if count == 1 else f"{count} numbers"
        volume = "; a volume goes in with its channels first, [1, D, H, W]" if (count, len(numbers)) == (2, 3) else ""
        raise ValueError(f"regions={spec!r} needs {needs} here, as in {_ways(axes)}{volume}")
    return numbers


def _even(shape: Sequence[int], n: int) -> list[int]:
    """Cells along each axis, so that all together are about n and as square as they come."""
    thick = list(shape)
    while True:
        side = (math.prod(thick) / n) ** (1 / len(thick))
        longer = [length for length in thick if length >= side]  # an axis below that is not divided
        if len(longer) == len(thick):
            return [min(length, max(1, round(length / side))) for length in shape]
        thick = longer
