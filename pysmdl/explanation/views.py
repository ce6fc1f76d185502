"""What pictures of an input that is no image are drawn from: made small for a file, and cut to what is kept."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pysmdl.errors import whole_number
from pysmdl.explanation.coefficients import of_coefficients
from pysmdl.explanation.data import ExplanationData
from pysmdl.explanation.parts import part
from pysmdl.explanation.values import labels_at, window
from pysmdl.inputs.frames import in_grey
from pysmdl.inputs.image_files import Pixels
from pysmdl.types import Bools, Ints

T = TypeVar("T", bound=np.generic)

POINTS = 2000  # of a signal in a file
SIDES = (96, 240)  # of a spectrogram
WHOLE = 1 << 19  # bytes of ids and texts
FRAMES, SIDE = 12, 96  # of a clip, or a volume


def small(shown: NDArray[Any]) -> NDArray[Any]:
    """The same for a file: a signal as the lowest and highest of each of 1000 spans, a spectrogram of at most 96 x 240,
    a clip or a volume of at most 12 frames of 96 pixels; whole numbers in a row, such as a text's characters, as they
    are.
    """
    if shown.ndim == 1 and shown.dtype.kind in "iu" and shown.nbytes <= WHOLE:
        return shown
    if shown.ndim in (3, 4):
        step = max(1, -(-max(shown.shape[1:3]) // SIDE))
        return shown[nearest(len(shown), min(len(shown), FRAMES)), ::step, ::step]
    if shown.ndim == 1 and len(shown) > POINTS and shown.dtype.kind == "f":
        return np.stack(envelope(shown, POINTS // 2), 1).ravel().astype(np.float32)
    sides = (POINTS,) if shown.ndim == 1 else SIDES
    for axis, most in enumerate(sides[: shown.ndim]):
        shown = shown.take(nearest(shown.shape[axis], min(shown.shape[axis], most)), axis)
    return shown.astype(np.float32) if shown.dtype.kind == "f" else shown


def nearest(points: int, count: int) -> NDArray[np.intp]:
    """So many places of an axis of so many points, evenly; each the middle of its span."""
    return ((np.arange(count) + 0.5) * points / count).astype(np.intp)


def envelope(signal: NDArray[Any], columns: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Lowest and highest of each column of a waveform, of which there are so many at most."""
    count = len(signal) if len(signal) <= columns else min(columns, len(signal) // 2)
    starts = np.arange(count) * len(signal) // count
    low, high = np.minimum.reduceat(signal, starts), np.maximum.reduceat(signal, starts)
    low[1:], high[1:] = np.minimum(low[1:], high[:-1]), np.maximum(high[1:], low[:-1])  # no gaps between columns
    return low, high


def layers_of(shown: NDArray[Any]) -> Pixels:
    """A clip's frames as they are, a volume's slices [D, H, W] in grey. uint8 [D, H, W, 3]."""
    return shown if shown.ndim == 4 else in_grey(shown)


def labels_on(labels: NDArray[T], shape: tuple[int, ...]) -> NDArray[T]:
    """The region of each point of what is shown, whose axes may have more or fewer points; or what else is known of
    each. [*shape].
    """
    for axis, (side, wanted) in enumerate(zip(labels.shape, shape, strict=True)):
        if side != wanted:
            labels = labels.take(nearest(side, wanted), axis)
    return labels


def view(explanation: ExplanationData, count: int | None = None, fill: float = 0) -> Any:
    """What is left of the input where only the first regions of the order are kept: an array, or a text; of several
    inputs a dict of these, by name.

    Raises:
        ValueError: there is nothing to show, or only a small picture of it.
    """
    e = explanation
    first = e.order[: e.enough() if count is None else whole_number("k", count, 0)]
    if e.inputs:
        return {name: _view(part(e, name), first, fill, name) for name in e.inputs}
    return _view(e, first, fill)


def _view(e: ExplanationData, first: NDArray[np.int64], fill: float, name: str | None = None) -> Any:
    if e.modality == "wavelet" and e.pixels is not None and "levels" in e.notes:
        seen = e.pixels if e.frame is None else e.pixels[window(e.frame, e.pixels.shape)]
        return of_coefficients(seen, kept_points(e, first), int(e.notes["levels"]), fill)
    if e.pixels is not None and e.pictured:
        size = (e.pixels.shape[0], e.pixels.shape[1])
        return _filled(e.pixels, labels_at(kept_points(e, first).astype(np.int32), size, e.frame) != 0, fill)
    if e.shown is None or e.shown.shape[: e.labels.ndim] != e.labels.shape:
        why = "nothing of the input is kept" if e.shown is None else "a small picture of it is all that is kept"
        what = "view()" if name is None else f"view() of the input {name!r}"
        others = "" if name is None else "; of another alone it is .part(name).view()"
        raise ValueError(f"{what} needs the input as it was explained; {why}{others}")
    kept = kept_points(e, first)
    if e.modality == "text":
        return "".join(map(chr, e.shown[kept].tolist()))
    return _filled(e.shown, kept, fill)


def kept_points(e: ExplanationData, first: NDArray[np.int64]) -> Bools:
    """Where the grid shows the input while these players are kept. [*grid]."""
    if e.covers is None:
        return np.isin(e.labels, first) | (e.labels < 0)
    present = np.isin(np.arange(len(e.covers)), first)
    kept, lost = np.asarray(e.covers[present].any(0)), np.asarray(e.covers[~present].any(0))
    return kept | ~lost if e.cover == "any" else ~lost


def parts_of_covers(covers: Bools) -> tuple[Ints, Bools]:
    """Points that the same regions cover as one part: its label, -1 where nobody does, and who covers each.

    [*grid], and [n, parts].
    """
    members, part = np.unique(covers.reshape(len(covers), -1), axis=1, return_inverse=True)
    nobody = np.flatnonzero(~members.any(0))
    return np.where(np.isin(part, nobody), -1, part).astype(np.int32).reshape(covers.shape[1:]), members


def _filled(content: NDArray[Any], kept: Bools, fill: float) -> NDArray[Any]:
    kept = kept.reshape(*kept.shape, *[1] * (content.ndim - kept.ndim))
    return np.where(kept, content, np.asarray(fill).astype(content.dtype))
