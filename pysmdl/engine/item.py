"""Item: one input, ready for the engine: what stays of it on the device, how it is divided, what is explained."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.explanation.parts import Part
from pysmdl.removal.base import Resident
from pysmdl.types import Regions


@dataclass(frozen=True, eq=False)
class Kind:
    """What inputs must share to stand in one batch. Compared by identity: there is one for each set of values.

    Attributes:
        form: Of the removal.
        row: Shape of one composed row; None where the removal's rows have sizes of their own.
        dtype: Of what is composed.
        stored: Name, shape, shape as stored (1 for each expanded dimension) and dtype of each resident tensor.
    """

    form: Hashable
    row: tuple[int, ...] | None
    dtype: torch.dtype
    stored: tuple[tuple[str, tuple[int, ...], tuple[int, ...], torch.dtype], ...]


_KINDS: WeakValueDictionary[Any, Kind] = WeakValueDictionary()  # by those values


@dataclass(frozen=True)
class Item:
    """One input, ready for the engine.

    Attributes:
        x: The input in model space. [C, *grid], or plain [N].
        resident: What of it stays on the device.
        form: Of the removal that made that.
        regions: How it is divided, as the result shows it; bits count these.
        target: Row of Scorer.encode.
        id: The caller's name of it.
        pixels: The picture to draw on.
        described: The target as the result shows it, where the caller's own form says more than the row.
        frame: Where the grid lies in the picture: x0, y0, x1, y1 in its pixels. None: all of it.
        provenance: Where it comes from, and how it was divided.
        modality, shown, rate: What it is, and what pictures of it are drawn from: see :class:`pysmdl.inputs.Input`.
        inputs: Of several at once, each by its name.
    """

    x: Tensor
    resident: Resident
    form: Hashable
    regions: Regions
    target: NDArray[Any]
    id: str | None = None
    pixels: NDArray[np.uint8] | None = None
    described: Any = None
    frame: tuple[float, float, float, float] | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    modality: str = "image"
    shown: NDArray[Any] | None = None
    rate: float | None = None
    inputs: Mapping[str, Part] = field(default_factory=dict)

    @cached_property
    def kind(self) -> Kind:
        """What it must share with others to stand in one batch with them."""
        stored = tuple(
            (name, tuple(each.shape), stored_shape(each), each.dtype) for name, each in self.resident.tensors.items()
        )
        values = self.form, self.resident.row, self.x.dtype, stored
        return _KINDS.setdefault(values, Kind(*values))


def stored_shape(tensor: Tensor) -> tuple[int, ...]:
    """Its shape with 1 for each dimension that is expanded."""
    return tuple(1 if step == 0 else side for side, step in zip(tensor.shape, tensor.stride(), strict=True))
