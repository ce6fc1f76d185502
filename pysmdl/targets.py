"""What is explained, where it is no class index: a box of a detector, tokens of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pysmdl.errors import one_of

MODES = ("object", "cls", "iou")


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
        labels = [self.labels] if isinstance(self.labels, (int, np.integer)) else list(self.labels)
        if not labels or any(not isinstance(label, (int, np.integer)) or label < 0 for label in labels):
            raise ValueError(f"labels must be class indices of at least 0, one or more; got {self.labels!r}")
        if self.mode not in MODES:
            raise one_of("mode", self.mode, MODES)
        object.__setattr__(self, "xyxy", tuple(float(corner) for corner in corners))
        object.__setattr__(self, "labels", tuple(int(label) for label in labels))

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
        positions = [int(position) for position in self.positions]
        if not positions or min(positions) < 0 or len(set(positions)) < len(positions):
            raise ValueError(f"positions must be distinct and at least 0, one or more; got {self.positions!r}")
        object.__setattr__(self, "positions", tuple(positions))
        if self.ids is not None:
            ids = [int(each) for each in self.ids]
            if len(ids) != len(positions) or min(ids) < 0:
                raise ValueError(
                    f"ids must be at least 0, one for each of {len(positions)} positions; got {self.ids!r}"
                )
            object.__setattr__(self, "ids", tuple(ids))

    def describe(self) -> dict[str, Any]:
        """As results and files show it."""
        return {"positions": list(self.positions), "ids": None if self.ids is None else list(self.ids)}
