"""What a head needs to know of the full input, as part of the target's row, which travels with the batch.

A row is of classes alone, an odd number of them, until the full input has been evaluated; then it goes on with the full
input's score and, where the head compares, its answer: float32 by its bits, an odd number too. So whether a batch has
any of that is seen by its width, without a look at the device.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.types import Floats

NONE = -2  # no class: fills up to an odd number
UNKNOWN = np.float32(np.nan).view(np.int32)  # in company of rows that have a reference


def classes_row(classes: Sequence[int]) -> NDArray[np.int32]:
    """A row of classes alone."""
    return np.array([*classes, *[NONE] * (1 - len(classes) % 2)], np.int32)


def with_reference(classes: NDArray[np.int32], whole: float, answer: Floats | None) -> NDArray[np.int32]:
    """A row with the full input's score, and its answer [R] where the head compares."""
    known = np.array([whole] if answer is None else [whole, *answer.ravel()], np.float32)
    known = np.append(known, np.zeros(1 - len(known) % 2, np.float32))
    return np.concatenate((classes, known.view(np.int32)))


def has_reference(row: NDArray[np.int32]) -> bool:
    """Whether the full input has been evaluated for this row."""
    return len(row) % 2 == 0


def room(width: int) -> int:
    """Columns of what is known of the full input, where its answer has `width` numbers; 0: its score alone."""
    return 1 + width + width % 2


def score_of(row: NDArray[np.int32], classes: int = 1) -> float | None:
    """The full input's score in a row of so many classes, their filling included; None until it is known."""
    return float(row[classes : classes + 1].view(np.float32)[0]) if has_reference(row) else None


def split(row: NDArray[np.int32], width: int) -> tuple[NDArray[np.int32], float | None]:
    """The classes of a row, and the full input's score once it is known."""
    if not has_reference(row):
        return row[row != NONE], None
    classes, known = row[: len(row) - room(width)], row[len(row) - room(width) :]
    return classes[classes != NONE], float(known[:1].view(np.float32)[0])


def stacked(rows: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Rows of several inputs as one array; those without a reference have NaN for it."""
    longest = max(map(len, rows))
    return np.stack([np.pad(row, (0, longest - len(row)), constant_values=UNKNOWN) for row in rows])


def on_device(targets: Tensor, raw: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Classes [B, t], the full inputs' answers as raw [B, ...] has its own, and which rows know theirs [B].

    A row that does not is the full input: its own answer is what it is compared with.
    """
    if targets.shape[1] % 2:
        return targets, raw, torch.zeros(len(raw), dtype=torch.bool, device=raw.device)
    classes, tail = targets[:, : -room(width)], targets[:, -room(width) :].contiguous().view(torch.float32)
    known = ~tail[:, 0].isnan()
    if not width:
        return classes, raw, known
    reference = torch.where(known.view(-1, *[1] * (raw.dim() - 1)), tail[:, 1 : 1 + width].reshape(raw.shape), raw)
    return classes, reference, known
