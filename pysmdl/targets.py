"""What is explained, where it is no class index: a box of a detector, tokens of an answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import index
from typing import Any

import numpy as np

from pysmdl.errors import one_of

MODES = ("object", "cls", "iou")
LIMIT = 2**31  # scorers hold indices in int32


@dataclass(frozen=True)
class Box:
    """A detected, missed or misclassified object: where it is and what it is, or should have been (VPS).

    Attributes:
        xyxy: x0, y0, x1, y1 in the pixels of the given image.
        labels: Class indices; the most confident of them counts.
        mode: "object": IoU x confidence. "cls": confidence where IoU > 0.5. "iou": IoU alone.
    """

    xyxy: Sequence[float]
    labels: int | Sequence[int]
    mode: str = "object"

    def __post_init__(self) -> None:
        corners = np.asarray(self.xyxy, np.float64).ravel()
        if corners.shape != (4,) or not np.isfinite(corners).all() or (corners[2:] <= corners[:2]).any():
            raise ValueError(f"xyxy must be x0, y0, x1, y1 with x1 > x0 and y1 > y0; got {self.xyxy!r}")
        labels = _indices(self.labels if np.iterable(self.labels) else [self.labels])
        if not labels:
            raise ValueError(f"labels must be class indices from 0 to 2^31 - 1, one or more; got {self.labels!r}")
        if self.mode not in MODES:
            raise one_of("mode", self.mode, MODES)
        object.__setattr__(self, "xyxy", tuple(float(corner) for corner in corners))
        object.__setattr__(self, "labels", labels)

    def describe(self) -> dict[str, Any]:
        """As results and files show it."""
        return {"xyxy": list(self.xyxy), "labels": list(self.labels), "mode": self.mode}  # type: ignore[arg-type]


@dataclass(frozen=True)
class Tokens:
    """Tokens of a generated answer (EAGLE).

    Attributes:
        positions: Which of the answer's positions, from 0.
        ids: The token at each; None for what the model says on the full input.
    """

    positions: Sequence[int]
    ids: Sequence[int] | None = None

    def __post_init__(self) -> None:
        positions = _indices(self.positions)
        if not positions or len(set(positions)) < len(positions):
            raise ValueError(
                f"positions must be distinct whole numbers from 0 to 2^31 - 1, one or more; got {self.positions!r}"
            )
        object.__setattr__(self, "positions", positions)
        if self.ids is not None:
            ids = _indices(self.ids)
            if len(ids) != len(positions):
                raise ValueError(
                    f"ids must be whole numbers from 0 to 2^31 - 1, one for each of {len(positions)} positions; "
                    f"got {self.ids!r}"
                )
            object.__setattr__(self, "ids", ids)

    def describe(self) -> dict[str, Any]:
        """As results and files show it."""
        return {"positions": list(self.positions), "ids": None if self.ids is None else list(self.ids)}


def _indices(values: Iterable[Any]) -> tuple[int, ...]:
    """Whole numbers, Python's, NumPy's or a tensor's, from 0 and below LIMIT; none where one is not."""
    try:
        found = tuple(index(value) for value in values)
    except TypeError:
        return ()
    return found if all(0 <= each < LIMIT for each in found) else ()
