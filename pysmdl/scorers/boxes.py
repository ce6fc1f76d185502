"""Scorer of detected and grounded boxes (VPS)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.errors import ScorerError, number
from pysmdl.inputs import Input, reader_of
from pysmdl.inputs.image import InputSpec, Scale
from pysmdl.kernels import match_boxes
from pysmdl.models.base import Forward, Model, of_model
from pysmdl.models.class_names import class_named
from pysmdl.scorers.base import Outputs, Scorer, Wanted
from pysmdl.scorers.detections import Detections, detections_of, padded
from pysmdl.scorers.findings import OVERLAP, Candidates, Finding, candidates, class_of
from pysmdl.targets import MODES, Box
from pysmdl.types import Floats, Reading

Decode = Callable[[Any, tuple[int, int]], Any]  # a model's answer and (height, width) of its input, to what it found


class Detector(Scorer):
    """A target is one row: box, mode, labels. A row's values are match, IoU, confidence and box of the best prediction.

    Best is by IoU x confidence, by IoU alone in mode "iou"; the match in mode "cls" may be another prediction's.
    A target may be a class instead, or None: the best box of that on the full input, by a forward pass of its own.
    See :func:`pysmdl.scorers.detector`.
    """

    target = "box"

    def __init__(
        self,
        forward: Forward | Model,
        input: InputSpec,
        confidence_floor: float = 0.0,
        decided_at: float = 0.5,
        device: str | torch.device | None = None,
        batch: int | None = None,
        decode: Decode | None = None,
    ) -> None:
        super().__init__(forward, input, device, batch)
        if decode is not None and not callable(decode):
            raise ValueError(f"decode must be a function of an answer and (height, width); got {decode!r}")
        self.decode = decode
        self._whole = self.model.answers  # to whole inputs, also where the model is one that drops tokens by then
        self.confidence_floor = number("confidence_floor", confidence_floor, least=0, below=1)
        self.decided_at = number("decided_at", decided_at, least=0, below=1)
        self.classes: int | None = None
        self._looked = False  # at the number of classes, in this run
        self._examined = False  # whether confidences are some

    def ready(self) -> None:
        super().ready()
        self._looked = False

    def detections(self, image: Any, threshold: float = 0.5, overlap: float = OVERLAP) -> list[Finding]:
        """What it finds in an image, the most confident first, by one forward pass. Each may be a target.

        Args:
            image: As :func:`pysmdl.explain` takes it.
            threshold: Confidence above which a box counts; a box counts for each class that has more.
            overlap: IoU above which a box of the same class, and of less confidence, is left out; 1: none is.

        Raises:
            ValueError: threshold or overlap is not from 0 to 1.
            ScorerError: the model answers something else than a detector does.
        """
        self.ready()
        read = reader_of(image).read(image, self.input, False)
        x = read.x.detach().to(self.device).to(self.dtype)
        names = self.class_names()
        return self._candidates(x, read).findings(names, threshold, overlap)

    def named(self, target: Any, names: Mapping[int, str] | None) -> Any:
        return class_named(target, names) if isinstance(target, str) else target

    def located(self, target: Any, x: Tensor, read: Input, names: Mapping[int, str] | None) -> Any:
        if isinstance(target, Box):
            return target
        wanted = class_of(target)
        return self._candidates(x, read).best(wanted, names, self.decided_at)

    def _candidates(self, x: Tensor, read: Input) -> Candidates:
        """All that it answers to one input [C, *grid], in the pixels of the image that was read."""
        with torch.no_grad():
            batch = self.input.into_model(x[None].clone())
            answer, rows, _ = next(self._whole(batch))
            return candidates(self._decoded(answer, batch), rows, read, self.device)

    def _decoded(self, answer: Any, batch: Tensor) -> Any:
        """An answer in a form that :func:`detections_of` takes."""
        if self.decode is None:
            return answer
        with of_model():
            return self.decode(answer, (batch.shape[2], batch.shape[3]))

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
        if self.input.mask_at == "image":
            batch = self.input.into_model(batch)
        labels = targets[:, 5:].int()
        whole = self.model.batch is None
        found = self._found(self.model(batch), batch, labels) if whole else self._in_pieces(batch, labels)
        if found.classes is None:  # K is one for each of the target's own labels
            labels = torch.arange(labels.shape[1], dtype=torch.int32, device=labels.device).expand_as(labels)
        elif found.classes != self.classes or not self._looked:
            self._look(found.classes)
        self._examine(found.confidences)
        corners, mode = targets[:, :4].contiguous(), targets[:, 4].int()
        given = found.boxes, found.confidences, corners, labels.contiguous(), mode
        return Outputs(match_boxes(*given, floor=self.confidence_floor, backend=wanted.backend))

    def _found(self, answer: Any, batch: Tensor, labels: Tensor) -> Detections:
        return detections_of(self._decoded(answer, batch), labels)

    def _in_pieces(self, batch: Tensor, labels: Tensor) -> Detections:
        """What is found where each call has a set number of rows."""
        found, first = [], 0
        for answer, rows, kept in self.model.answers(batch):
            own = labels[first : first + kept]
            own = torch.cat((own, own[-1:].expand(rows - kept, -1)))
            found += self._found(answer, batch, own).rows()[:kept]
            first += kept
        return padded(found, labels)

    def _look(self, classes: int) -> None:
        if self._looked:
            raise ScorerError(f"the detector returned {classes} classes a box, after {self.classes} in batches before")
        self.classes, self._looked = classes, True

    def _examine(self, confidences: Tensor) -> None:
        """Once for a scorer, as :meth:`pysmdl.scorers.classes.Classifier.look` does: that these are no logits."""
        if self._examined or (confidences.is_cuda and torch.cuda.is_current_stream_capturing()):
            return
        low, high = (float(each) for each in confidences.aminmax())
        if math.isfinite(low) and math.isfinite(high) and (low < -1e-3 or high > 1 + 1e-3):
            raise ScorerError(
                f"confidences must be in 0..1; the detector returned {low:.4g} to {high:.4g}: these may be logits, of "
                "which a decode= function makes confidences"
            )
        self._examined = True

    def read(self, values: Floats, target: NDArray[Any]) -> Reading:
        if MODES[int(target[4])] == "cls":  # the match is the confidence of any box that overlaps by half
            decided = values[:, 0] > self.decided_at
        else:
            decided = (values[:, 1] > 0.5) & (values[:, 2] > self.decided_at)
        others = {"iou": values[:, 1], "box_confidence": values[:, 2], "box": values[:, 3:7]}
        return Reading(values[:, 0], decided.astype(np.float32), others=others)

    def describe(self, target: NDArray[Any]) -> Any:
        return {"xyxy": target[:4].tolist(), "labels": target[5:].astype(int).tolist(), "mode": MODES[int(target[4])]}
