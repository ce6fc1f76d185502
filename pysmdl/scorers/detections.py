"""A detector's answer, in the forms that detectors give, as boxes and confidences for each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from pysmdl.errors import ScorerError
from pysmdl.inputs.arrays import is_array, tensor_of
from pysmdl.models.answers import described, number_tensor

SCORES = ("confidences", "scores")  # where the confidences of a mapping are, beside "boxes" and "labels"
FORMS = (
    "a detector must return (boxes [B, Q, 4], confidences [B, Q, K]), or a list with such a pair ([q, 4], [q, K]) for "
    'each row; a pair may be a mapping with "boxes", "scores" and "labels"'
)


@dataclass(frozen=True)
class Detections:
    """What was found in some rows, as rectangles: what a row lacks is a box without area and with confidence 0.

    Attributes:
        boxes: [B, Q, 4], float32, Q at least 1.
        confidences: [B, Q, K].
        classes: How many classes the model has; None where that does not show. K is then one for each of the target's
            labels, in their order.
    """

    boxes: Tensor
    confidences: Tensor
    classes: int | None

    def rows(self) -> list[tuple[Tensor, Tensor, int | None]]:
        """Row by row, in memory of their own."""
        return [(b.clone(), c.clone(), self.classes) for b, c in zip(self.boxes, self.confidences, strict=True)]


def detections_of(answer: Any, labels: Tensor) -> Detections:
    """A detector's answer to some rows.

    Args:
        answer: A pair (boxes [B, Q, 4], confidences [B, Q, K]), or a list with a pair ([q, 4], [q, K]) for each row.
            A pair may be a mapping with "boxes" and "scores" or "confidences" instead; where it also has "labels", as
            torchvision's have, there is one score a box, of the class that its label names. Arrays as in
            :func:`tensor_of`.
        labels: The target's, for each of the rows. [B, L], on the device where the boxes are wanted.

    Raises:
        ScorerError: it has another form, or shapes that do not agree.
    """
    rows = len(labels)
    if isinstance(answer, (list, tuple)) and len(answer) == 1 and _arrays(answer[0]) and _dims(answer[0]) == 3:
        answer = answer[0]
    if _arrays(answer) and _dims(answer) == 3:
        return _rectangle(*_pair(answer, labels), labels)
    if _arrays(answer) and rows == 1:
        return padded([_row(*_pair(answer, labels))], labels)
    by_column = isinstance(answer, tuple) and all(isinstance(each, list) for each in answer)  # all boxes, all scores
    if not isinstance(answer, (list, tuple)) or by_column or not all(map(_is_pair, answer)):
        raise ScorerError(f"{FORMS}; got {described(answer)}")
    if len(answer) != rows:
        raise ScorerError(f"the detector was given {rows} rows and returned {len(answer)}")
    return padded([_row(*_pair(each, own)) for each, own in zip(answer, labels.split(1), strict=True)], labels)


def padded(found: Sequence[tuple[Tensor, Tensor, int | None]], labels: Tensor) -> Detections:
    """Rows of boxes [q, 4], confidences [q, K] and K, or None where that does not show, as rectangles."""
    shown = {classes for boxes, _, classes in found if classes is not None and len(boxes)}
    shown = shown or {max((classes or 0 for _, _, classes in found), default=0)} - {0}
    if len(shown) > 1:
        raise ScorerError(f"the detector returned {' and '.join(map(str, sorted(shown)))} classes in rows of one batch")
    classes = next(iter(shown), None)
    most, width = max(1, *(len(boxes) for boxes, _, _ in found)), classes or labels.shape[1]
    boxes = torch.zeros((len(found), most, 4), device=labels.device)
    confidences = torch.zeros((len(found), most, width), device=labels.device)
    for row, (its, given, _) in enumerate(found):
        if len(its):
            boxes[row, : len(its)], confidences[row, : len(its)] = its, given.float()
    return Detections(boxes, confidences, classes)


def _rectangle(boxes: Tensor, confidences: Tensor, classes: int | None, labels: Tensor) -> Detections:
    rows = len(labels)
    if len(boxes) != rows or len(confidences) != rows:
        raise ScorerError(f"the detector was given {rows} rows and returned {len(boxes)} and {len(confidences)}")
    if boxes.shape[2] != 4 or confidences.dim() != 3 or confidences.shape[:2] != boxes.shape[:2]:
        shapes = f"{list(boxes.shape)} and {list(confidences.shape)}"
        raise ScorerError(f"boxes must be [B, Q, 4] and confidences [B, Q, K]; got {shapes}")
    if boxes.shape[1] == 0:  # nothing is found in any row
        boxes, confidences = pad(boxes, (0, 0, 0, 1)), pad(confidences, (0, 0, 0, 1))
    if confidences.shape[2] == 0:  # nor how many classes there are
        confidences, classes = pad(confidences, (0, labels.shape[1])), None
    return Detections(boxes, confidences, classes)


def _row(boxes: Tensor, confidences: Tensor, classes: int | None) -> tuple[Tensor, Tensor, int | None]:
    """The boxes of a row [q, 4] and their confidences [q, K]; what is empty may have any shape."""
    if boxes.numel() == 0 and confidences.shape[:1] in ((), (0,)):
        return boxes.new_zeros((0, 4)), boxes.new_zeros((0, 1)), classes or None
    if boxes.dim() != 2 or boxes.shape[1] != 4 or confidences.dim() != 2 or len(confidences) != len(boxes):
        shapes = f"{list(boxes.shape)} and {list(confidences.shape)}"
        raise ScorerError(f"the boxes of a row must be [q, 4] and its confidences [q, K]; got {shapes}")
    return boxes, confidences, classes


def _pair(answer: Any, labels: Tensor) -> tuple[Tensor, Tensor, int | None]:
    """Boxes in float32, confidences with a dimension for classes, and how many these are, where that shows."""
    named = answer.get("labels") if isinstance(answer, Mapping) else None
    try:
        boxes, confidences = (tensor_of("what the detector returned", part) for part in _parts(answer))
        boxes, confidences = boxes.detach().to(labels.device, torch.float32), number_tensor(confidences, labels.device)
        shows = confidences.dim() == boxes.dim() or confidences.numel() > 0
        if confidences.dim() == boxes.dim() - 1:  # one score a box
            confidences = confidences[..., None]
        if named is None:
            return boxes, confidences, confidences.shape[-1] if shows else None
        of_box = tensor_of("labels of the detector", named).to(labels.device)
    except ValueError as error:
        raise ScorerError(str(error)) from None
    if of_box.shape != boxes.shape[:-1] or confidences.shape != (*of_box.shape, 1):
        raise ScorerError(
            f"boxes with labels must have a score and a label each; got shapes {list(boxes.shape)}, "
            f"{list(confidences.shape[:-1])} and {list(of_box.shape)}"
        )
    wanted = labels[:, None] if of_box.dim() == 2 else labels[0]
    return boxes, confidences * (of_box[..., None] == wanted), None


def _parts(answer: Any) -> tuple[Any, Any]:
    """What is to be boxes and confidences."""
    if isinstance(answer, Mapping):
        return answer["boxes"], next(answer[name] for name in SCORES if name in answer)
    return answer[0], answer[1]


def _is_pair(answer: Any) -> bool:
    if isinstance(answer, Mapping):
        return "boxes" in answer and any(name in answer for name in SCORES)
    return isinstance(answer, (tuple, list)) and len(answer) == 2


def _arrays(answer: Any) -> bool:
    """Whether it is a pair of arrays, and no list of pairs."""
    return _is_pair(answer) and all(map(is_array, _parts(answer)))


def _dims(answer: Any) -> int:
    return getattr(_parts(answer)[0], "ndim", 0)
