"""Rendering anew: a function of yours makes what the model is given of the players that are kept. The way out for
crops, rasters, texts, and models that take no tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pysmdl.errors import ScorerError
from pysmdl.removal.base import DeviceRows, Resident
from pysmdl.removal.handed import Handed
from pysmdl.types import Bools, Regions

Function = Callable[[Bools, "Rendered"], Any]


@dataclass(frozen=True)
class Rendered:
    """What a function that renders is told of the input.

    Attributes:
        given: As it was given.
        x: In model space, on the scorer's device, where it is read as an image or a tensor; else None.
        regions: Its players.
    """

    given: Any
    x: Tensor | None
    regions: Regions


class Render(Handed):
    """See :func:`render`."""

    name = "render"

    def __init__(self, function: Function) -> None:
        if not callable(function):
            raise TypeError(f"render needs a function of (member, item); got {type(function).__name__}")
        super().__init__()
        self._function = function

    def resident_of(self, given: Any, x: Tensor | None, regions: Regions, baseline: Any, scorer: Any) -> Resident:
        """A number by which rows find their input."""
        return self.hand(Rendered(given, x, regions), regions.n)

    def view(self, pool: Mapping[str, Tensor], rows: DeviceRows, out: Tensor, backend: str) -> Any:
        return joined([self._function(member, item) for member, item in self.runs(pool, rows)], rows.bits.device)


def render(function: Function) -> Render:
    """A removal that is a function of yours: ``removal=pysmdl.removal.render(function)``.

    Args:
        function: ``function(member, item)``: which players each row keeps, bool [B, n], and the input (``item.given``,
            ``item.x``, ``item.regions``) to what the model takes: a tensor or an array with B rows, a dict of them, or
            a list of B entries, such as texts. It must depend on nothing else.

    Where players are a number, names or :func:`pysmdl.regions.players`, the input is whatever the function takes.
    """
    return Render(function)


def joined(made: list[Any], device: torch.device) -> Any:
    """Batches end to end, tensors on the device.

    Raises:
        ScorerError: they are no batches of one kind.
    """
    first = made[0]
    if isinstance(first, Mapping):
        return {name: joined([each[name] for each in made], device) for name in first}
    if isinstance(first, list):
        return [entry for each in made for entry in each]
    if isinstance(first, (Tensor, np.ndarray)):
        return torch.cat([torch.as_tensor(each).to(device) for each in made])
    raise ScorerError(f"render must make a tensor, an array, a dict of them or a list; got {type(first).__name__}")
