"""What pictures of an input that is no image are drawn from: made small for a file, and cut to what is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.errors import whole_number
from pysmdl.explanation.data import ExplanationData
from pysmdl.explanation.values import labels_at
from pysmdl.types import Bools, Ints

POINTS = 2000  # of a signal in a file
SIDES = (96, 240)  # of a spectrogram
WHOLE = 1 << 19  # bytes of ids and texts
FRAMES, SIDE = 12, 96  # of a clip


def small(shown: NDArray[Any]) -> NDArray[Any]:
    """The same for a file: a signal as the lowest and highest of each of 1000 spans, a spectrogram of at most 96 x 240,
    a clip of at most 12 frames of 96 pixels; whole numbers in a row, such as a text's characters, as they are.
    """
    if shown.ndim == 1 and shown.dtype.kind in "iu" and shown.nbytes <= WHOLE:
        return shown
    if shown.ndim == 4:
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


def labels_on(labels: Ints, shape: tuple[int, ...]) -> Ints:
    """The region of each point of what is shown, whose axes may have more or fewer points. [*shape]."""
    for axis, (side, wanted) in enumerate(zip(labels.shape, shape, strict=True)):
        if side != wanted:
            labels = labels.take(nearest(side, wanted), axis)
    return labels


def view(explanation: ExplanationData, count: int | None = None, fill: float = 0) -> Any:
    """What is left of the input where only the first regions of the order are kept: an array, or a text.

    Raises:
        ValueError: there is nothing to show, or only a small picture of it.
    """
    e = explanation
    first = e.order[: e.enough() if count is None else whole_number("k", count, 0)]
    if e.modality == "several":
        raise ValueError("view() shows one input; this explanation is of several at once")
    if e.pixels is not None:
        labels = labels_at(e.labels, (e.pixels.shape[0], e.pixels.shape[1]), e.frame)
        return _filled(e.pixels, _kept(labels, first)[:, :, None], fill)
    if e.shown is None or e.shown.shape[: e.labels.ndim] != e.labels.shape:
        why = "nothing of the input is kept" if e.shown is None else "a small picture of it is all that is kept"
        raise ValueError(f"view() needs the input as it was explained; {why}")
    kept = _kept(e.labels, first) if e.covers is None else e.covers[first].any(0) | ~e.covers.any(0)
    if e.modality == "text":
        return "".join(map(chr, e.shown[kept].tolist()))
    return _filled(e.shown, kept.reshape(*kept.shape, *[1] * (e.shown.ndim - kept.ndim)), fill)


def _kept(labels: Ints, first: NDArray[np.int64]) -> Bools:
    return np.isin(labels, first) | (labels < 0)


def _filled(content: NDArray[Any], kept: Bools, fill: float) -> NDArray[Any]:
    return np.where(kept, content, np.asarray(fill).astype(content.dtype))
