"""Scorer of detected and grounded boxes (VPS)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.errors import ScorerError
from pysmdl.inputs.image import InputSpec, Scale
from pysmdl.kernels import match_boxes
from pysmdl.scorers.base import Forward, Outputs, Scorer, Wanted, of_model
from pysmdl.targets import MODES, Box
from pysmdl.types import Floats, Reading


class Detector(Scorer):
    """A target is one row: box, mode, labels. A row's values are match, IoU, confidence and box of the best prediction.

    Best is by IoU x confidence, by IoU alone in mode "iou"; the match in mode "cls" may be another prediction's.
    See :func:`pysmdl.scorers.detector`.
    """

    target = "box"

    def __init__(
        self,
        forward: Forward,
        input: InputSpec,
        confidence_floor: float = 0.0,
        decided_at: float = 0.5,
        device: str | torch.device | None = None,
    ) -> None:
        super().__init__(forward, input, device)
        if not 0 <= confidence_floor < 1:
            raise ValueError(f"confidence_floor must be at least 0 and below 1; got {confidence_floor}")
        self.confidence_floor, self.decided_at = confidence_floor, decided_at
        self.classes: int | None = None

    def encode(self, target: Any, trace: Sequence[Any], scale: Scale = (1.0, 1.0)) -> NDArray[Any]:
        if not isinstance(target, Box):
            raise ValueError(f"target must be a pysmdl.Box for a detector; got {target!r}")
        if trace:
            raise ValueError("trace follows classes of a classifier; a detector has none to trace")
        x0, y0, x1, y1 = target.xyxy
        width, height = scale
        corners = (x0 * width, y0 * height, x1 * width, y1 * height)
        return np.array([*corners, MODES.index(target.mode), *target.labels], np.float32)  # type: ignore[misc]

    def check(self, targets: NDArray[Any]) -> None:
        if self.classes is not None and targets[:, 5:].max() >= self.classes:
            raise ValueError(
                f"labels must be 0 to {self.classes - 1}, classes of the model; got {targets[:, 5:].max():.0f}"
            )

    def unresolved(self, target: NDArray[Any]) -> bool:
        return False

    def resolve(self, target: NDArray[Any], full: Reading, features: Floats | None) -> NDArray[Any]:
        return target

    def score(self, batch: Tensor, targets: Tensor, wanted: Wanted) -> Outputs:
        with of_model():
            answer = self.forward(self.input.into_model(batch))
        boxes, confidences = self._predictions(answer, len(batch), batch.device)
        labels, mode = targets[:, 5:].int(), targets[:, 4].int()
        if self.classes is None:  # no row has shown yet how many there are: the confidence is 0, whatever the label
            labels = torch.zeros_like(labels)
        corners = targets[:, :4].contiguous()
        return Outputs(
            match_boxes(boxes, confidences, corners, labels, mode, floor=self.confidence_floor, backend=wanted.backend)
        )

    def read(self, values: Floats, target: NDArray[Any]) -> Reading:
        if MODES[int(target[4])] == "cls":  # the match is the confidence of any box that overlaps by half
            decided = values[:, 0] > self.decided_at
        else:
            decided = (values[:, 1] > 0.5) & (values[:, 2] > self.decided_at)
        others = {"iou": values[:, 1], "box_confidence": values[:, 2], "box": values[:, 3:7]}
        return Reading(values[:, 0], decided.astype(np.float32), others=others)

    def describe(self, target: NDArray[Any]) -> Any:
        return {"xyxy": target[:4].tolist(), "labels": target[5:].astype(int).tolist(), "mode": MODES[int(target[4])]}

    def _predictions(self, answer: Any, rows: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """The model's answer as boxes [B, Q, 4] in float32 and confidences [B, Q, K], ragged ones padded."""
        if isinstance(answer, (tuple, list)) and len(answer) == 2 and all(_dims(each) == 3 for each in answer):
            boxes, confidences = (_tensor(each, device) for each in answer)
            self.classes = confidences.shape[2]
        elif isinstance(answer, (tuple, list)) and all(isinstance(each, (tuple, list)) for each in answer):
            pairs = [(_tensor(b, device), _tensor(c, device)) for b, c in answer]
            shown = [confidences.shape[1] for _, confidences in pairs if confidences.dim() == 2]
            self.classes = max((self.classes or 0, *shown)) or None
            boxes, confidences = _padded(pairs, self.classes or 1, device)
        else:
            raise ScorerError(
                "a detector must return (boxes [B, Q, 4], confidences [B, Q, K]), or a list with such a pair "
                f"([q, 4], [q, K]) for each row; got {type(answer).__name__}"
            )
        if len(boxes) != rows or len(confidences) != rows:
            raise ScorerError(f"the detector was given {rows} rows and returned {len(boxes)} and {len(confidences)}")
        if boxes.shape[2] != 4 or confidences.shape[:2] != boxes.shape[:2]:
            shapes = f"{list(boxes.shape)} and {list(confidences.shape)}"
            raise ScorerError(f"boxes must be [B, Q, 4] and confidences [B, Q, K]; got {shapes}")
        return boxes.float(), confidences


def _dims(value: Any) -> int:
    return value.ndim if isinstance(value, (Tensor, np.ndarray)) else 0


def _tensor(value: Any, device: torch.device) -> Tensor:
    found = torch.as_tensor(value, device=device)
    return found if found.is_floating_point() and found.dtype != torch.float64 else found.float()


def _padded(pairs: list[tuple[Tensor, Tensor]], classes: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Ragged predictions as rectangles: the missing ones are boxes without area and confidence 0."""
    most = max(1, *(len(boxes) for boxes, _ in pairs))
    boxes = torch.zeros((len(pairs), most, 4), device=device)
    confidences = torch.zeros((len(pairs), most, classes), device=device)
    for row, (found, given) in enumerate(pairs):
        if len(found):
            boxes[row, : len(found)], confidences[row, : len(given), : given.shape[1]] = found, given.float()
    return boxes, confidences
