"""A detector where a head is read off the box that was found in place of IoU x confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.inputs.image import InputSpec, Scale
from pysmdl.models.base import Forward, Model
from pysmdl.scorers.base import Outputs, Wanted
from pysmdl.scorers.boxes import Decode, Detector
from pysmdl.scorers.head import Head, bounded, checked, read_off
from pysmdl.types import Floats, Reading

FOUND = 7  # values of a row: match, IoU, confidence, box
OWN = 5  # numbers of a target before its labels: box and mode


class HeadedDetector(Detector):
    """A row's values are the detector's own, and the head's number.

    A target has between its mode and its labels what is known of the full input: its score, then its values; NaN until
    it has been evaluated. See :func:`pysmdl.scorers.detector` for what a head is given.
    """

    def __init__(
        self,
        forward: Forward | Model,
        input: InputSpec,
        confidence_floor: float = 0.0,
        decided_at: float = 0.5,
        device: str | torch.device | None = None,
        batch: int | None = None,
        decode: Decode | None = None,
        head: Any = None,
    ) -> None:
        super().__init__(forward, input, confidence_floor, decided_at, device, batch, decode)
        self.head = checked(head)

    def encode(self, target: Any, trace: Sequence[Any], scale: Scale = (1.0, 1.0)) -> NDArray[Any]:
        plain = super().encode(target, trace, scale)
        return np.insert(plain, OWN, np.full(1 + FOUND, np.nan, np.float32))

    def check(self, targets: NDArray[Any]) -> None:
        super().check(_plain(targets))

    def unresolved(self, target: NDArray[Any]) -> bool:
        return bool(np.isnan(target[OWN]))

    def resolve(self, target: NDArray[Any], full: Reading, features: Floats | None) -> NDArray[Any]:
        found = [full["match"], full["iou"], full["box_confidence"], full["box"][0]]
        known = np.concatenate((full.score, *found)).astype(np.float32)
        return np.concatenate((target[:OWN], known, target[OWN + 1 + FOUND :]))

    def score(self, batch: Tensor, targets: Tensor, wanted: Wanted) -> Outputs:
        plain = torch.cat((targets[:, :OWN], targets[:, OWN + 1 + FOUND :]), 1)
        values = super().score(batch, plain, wanted).values
        known = targets[:, OWN + 1 : OWN + 1 + FOUND]
        whole = torch.where(targets[:, OWN, None].isnan(), values, known)
        raw, label = values, plain[:, OWN].long()
        if isinstance(self.head, Head) and self.head.reads == "logits":
            raw, whole, label = _outcomes(values), _outcomes(whole), torch.ones_like(label)
        numbers = read_off(self.head, raw, whole, label, "logits")
        return Outputs(torch.cat((values, numbers[:, None]), 1))

    def read(self, values: Floats, target: NDArray[Any]) -> Reading:
        read = super().read(values[:, :FOUND], _plain(target))
        unknown = bounded(self.head) or self.unresolved(target)
        whole = None if unknown else float(target[OWN])
        return replace(read, score=values[:, FOUND], others={"match": read.score, **read.others}, whole=whole)

    def describe(self, target: NDArray[Any]) -> Any:
        return super().describe(_plain(target))


def _plain(targets: NDArray[Any]) -> NDArray[Any]:
    """Without what is known of the full input."""
    return np.concatenate((targets[..., :OWN], targets[..., OWN + 1 + FOUND :]), axis=-1)


def _outcomes(values: Tensor) -> Tensor:
    """What was matched, a number of 0 to 1, as logits of "not found" and "found". [B, 7] to [B, 2]."""
    match = values[:, 0]
    tiny = torch.finfo(torch.float32).tiny
    return torch.stack(((1 - match).clamp(min=tiny), match.clamp(min=tiny)), 1).log()
