"""What a detector finds in one input, box by box: the list that people read, and the box that a class stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pysmdl.errors import ScorerError, number
from pysmdl.inputs.arrays import tensor_of
from pysmdl.inputs.base import Input
from pysmdl.scorers.detections import detections_of
from pysmdl.targets import Box, Class, Names, title

OVERLAP = 0.7  # IoU above which two boxes of a class are one object, as ultralytics has it
LISTED = 8  # findings that an error names


@dataclass(frozen=True)
class Finding:
    """A box that a detector finds.

    Attributes:
        box: As a target: x0, y0, x1, y1 in the pixels of the given image, and the class.
        label: The class.
        name: Its name; None where none is known.
        score: The confidence.
    """

    box: Box
    label: int
    name: str | None
    score: float

    def __str__(self) -> str:
        corners = " ".join(f"{corner:.0f}" for corner in self.box.xyxy)
        return f"{title(self.label, self._names())} {self.score:.2f} at {corners}"

    def _names(self) -> Names | None:
        return None if self.name is None else {self.label: self.name}


@dataclass(frozen=True)
class Candidates:
    """All that was answered to one input: each box once for each class, the most confident first.

    Attributes:
        boxes: In the pixels of the given image, with x1 > x0 and y1 > y0. [n, 4].
        labels: [n].
        scores: [n].
    """

    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]

    def findings(self, names: Names | None, threshold: float, overlap: float = OVERLAP) -> list[Finding]:
        """Those above the threshold, but for boxes that overlap a more confident one of their class by more than that
        IoU.

        Raises:
            ValueError: threshold or overlap is not from 0 to 1.
        """
        overlap = number("overlap", overlap, least=0, below=1 + 1e-9)
        above = self.scores > number("threshold", threshold, least=0, below=1)
        boxes, labels, scores = self.boxes[above], self.labels[above], self.scores[above]
        found = []
        for i in _apart(boxes, labels, overlap):
            label = int(labels[i])
            name = title(label, names)
            known = None if name == title(label) else name
            found.append(Finding(Box(boxes[i], label), label, known, float(scores[i])))
        return found

    def best(self, wanted: int | None, names: Names | None, threshold: float) -> Box:
        """The most confident box of a class, of any class where that is None.

        Raises:
            ValueError: none is above the threshold; the message has what is.
        """
        own = np.ones(len(self.labels), bool) if wanted is None else self.labels == wanted
        if own.any() and self.scores[own][0] > threshold:
            return Box(self.boxes[own][0], int(self.labels[own][0]))
        what = "nothing" if wanted is None else f"no {title(wanted, names)!r}"
        near = f" (at most {self.scores[own][0]:.2g}: the scorer's decided_at may be lower)" if own.any() else ""
        found = self.findings(names, threshold)
        listed = ", ".join(map(str, found[:LISTED])) + (", ..." if len(found) > LISTED else "")
        raise ValueError(
            f"the detector finds {what} above {threshold:g} in this input{near}; it finds {listed or 'nothing else'}. "
            "Give a class that it finds, or a pysmdl.Box"
        )


def candidates(answer: Any, rows: int, read: Input, device: torch.device) -> Candidates:
    """All that a detector answers to the first of some rows, in the pixels of the image that was read.

    Args:
        answer: In any form that :func:`detections_of` takes.
        rows: That it was given.

    Raises:
        ScorerError: it has another form, or NaN in it.
    """
    said = _labels(answer)
    wanted = torch.zeros(1, dtype=torch.int32) if said is None or not len(said) else said
    found = detections_of(answer, wanted.to(device).expand(rows, -1))
    boxes, confidences = found.boxes[0].double().cpu().numpy(), found.confidences[0].double().cpu().numpy()
    if np.isnan(boxes).any() or np.isnan(confidences).any():
        raise ScorerError("the detector returned NaN for the whole input, so what it finds is not known")
    of_column = np.arange(confidences.shape[1]) if said is None else wanted.cpu().numpy().astype(np.int64)
    left, top = (0.0, 0.0) if read.frame is None else read.frame[:2]
    boxes = boxes / np.tile(read.scale, 2) + (left, top, left, top)
    real = np.isfinite(boxes).all(1) & (boxes[:, 2:] > boxes[:, :2]).all(1)
    box, column = np.nonzero(real[:, None] & (confidences > 0))
    order = np.argsort(-confidences[box, column], kind="stable")
    box, column = box[order], column[order]
    return Candidates(boxes[box], of_column[column], confidences[box, column])


def class_of(target: Any) -> int | None:
    """The class whose box is looked for; None: any.

    Raises:
        ValueError: it is no class.
    """
    if target is None or isinstance(target, Class):
        return None if target is None else target.index
    try:
        return Class(target).index
    except ValueError:
        raise ValueError(
            f"target must be a pysmdl.Box for a detector, a class or its name, or None for its best box; got {target!r}"
        ) from None


def _labels(answer: Any) -> torch.Tensor | None:
    """The classes that an answer names for the boxes of its first row, each once; None where it names none."""
    first = answer[0] if isinstance(answer, Sequence) and len(answer) else answer
    if not isinstance(first, Mapping) or "labels" not in first:
        return None
    try:
        labels = tensor_of("labels of the detector", first["labels"])
    except ValueError as error:
        raise ScorerError(str(error)) from None
    named: torch.Tensor = torch.unique(labels[0] if labels.dim() == 2 else labels)
    return named.int()


def _apart(boxes: NDArray[np.float64], labels: NDArray[np.int64], overlap: float) -> list[int]:
    """Which boxes stay, of some in order of confidence, where each takes away those of its class that it overlaps."""
    left, kept = np.arange(len(boxes)), []
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    while len(left):
        first, left = int(left[0]), left[1:]
        kept.append(first)
        low, high = np.maximum(boxes[left, :2], boxes[first, :2]), np.minimum(boxes[left, 2:], boxes[first, 2:])
        common = (high - low).clip(0).prod(1)
        left = left[(labels[left] != labels[first]) | (common <= overlap * (area[left] + area[first] - common))]
    return kept
