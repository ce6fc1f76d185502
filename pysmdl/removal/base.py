"""What a removal is: the only part that turns bit rows into what the model is given."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pysmdl.removal.baselines import baseline_of
from pysmdl.removal.cover import parts_of
from pysmdl.types import Ints, Regions

if TYPE_CHECKING:
    from pysmdl.inputs.several import Several
    from pysmdl.scorers.base import Scorer

NOTHING: Ints = np.zeros(0, np.int32)


@dataclass(frozen=True)
class Resident:
    """What stays on the device of one input while its search runs.

    Attributes:
        tensors: By name, each in the shape that all inputs of a kind share. A dimension expanded to its size (stride 0)
            is stored once.
        row: Shape of one composed row. None: :meth:`Removal.view` makes rows of its own size.
        host: What :meth:`Removal.plan` reads of this input.
    """

    tensors: Mapping[str, Tensor]
    row: tuple[int, ...] | None
    host: Any = None


@dataclass(frozen=True)
class DeviceRows:
    """Rows of a batch on their way to the model.

    Attributes:
        bits: Kept regions of each row: region j is bit j % 32 of word j // 32. [B, W], int32. Of soft rows
            their weights: see :meth:`Removal.softened`.
        source: Place of its input in the pool; -1 for padding. [B], int32.
        targets: Rows of Scorer.encode. [B, t], of four bytes each.
        extra: What :meth:`Removal.plan` gave. int32.
        room: Likewise.
    """

    bits: Any
    source: Any
    targets: Any
    extra: Any = field(default_factory=lambda: NOTHING)
    room: int = 0


class Removal:
    """What absence means. One object serves all inputs of a call. One of your own has a name and :meth:`compose`.

    Attributes:
        name: As the result's notes call it.
        covers: Whether regions may overlap.
        painted: Whether absent regions show a baseline, so that a baseline may be given.
        fixed_rows: Whether all rows of an input have one shape.
        plans: Whether :meth:`plan` is asked for each batch.
        captured: Whether a CUDA graph may hold what it does: no reads back, no code of the caller's.
        modality: What an input is to it, where its regions divide something else than what is given.
        divided: How an input is divided where nobody says; None: as suits the input.
        draws: Views of each row, whose scores are averaged: more than one, where what is absent is drawn.
        ops: Of :mod:`pysmdl.kernels`, those whose definitions read back from the device, which ends a CUDA graph.
    """

    name = "own"
    covers = False
    painted = True
    fixed_rows = True
    plans = False
    captured = True
    draws = 1
    modality: str | None = None
    divided: str | None = None
    ops: tuple[str, ...] = ()

    @property
    def form(self) -> Hashable:
        """Equal for removals that compose alike, so that what is resident may serve them in turn. Itself by default."""
        return self

    def serves(self, scorer: Scorer) -> Scorer:
        """The scorer for what :meth:`view` gives: the same one, where that is a batch [B, C, *grid].

        Raises:
            ValueError: its model cannot take that.
        """
        return scorer

    def softened(self) -> Removal:
        """The same where rows are soft: ``bits`` holds a weight from 0 to 1 for each region, float32 as int32. [B, n].

        Raises:
            ValueError: there is nothing between its present and its absent.
        """
        what = "a fill given what is present" if self.name == "baseline" else repr(self.name)
        raise ValueError(f'soft masks need removal="baseline" or removal.wavelet(), of texts "embedding"; got {what}')

    def grid(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Of the regions, for an input's grid."""
        return tuple(shape)

    def players(self, name: str, shape: Sequence[int]) -> Regions | None:
        """Regions of a name that this removal alone knows, on its grid; None for any other."""
        return None

    def divide(self, regions: Regions, scorer: Scorer) -> Regions:
        """Regions that were computed for this input, as this removal can hide them."""
        return regions

    def resident(self, x: Tensor, regions: Regions, baseline: Any, scorer: Scorer) -> Resident:
        """What stays of an input on the device: by default x, baseline [C, *grid] and labels [*grid].

        Args:
            x: The input in model space, on the scorer's device. [C, *grid]; plain [N] stays as [1, N].
            regions: How it is divided.
            baseline: What an absent region looks like; see :func:`pysmdl.removal.baseline_of`.
            scorer: Whose model takes it.
        """
        row, x = tuple(x.shape), x if x.dim() > 1 else x[None]
        labels = torch.from_numpy(regions.labels)
        shown = scorer.shows(baseline)
        if callable(shown):
            shown = shown(x.reshape(row).clone(), labels >= 0)
        hidden = baseline_of(shown, x, scorer.input.black())
        if regions.covers is None:
            return Resident({"x": x, "baseline": hidden, "labels": labels}, row)
        if not self.covers:
            raise ValueError(f"removal {self.name!r} needs regions that do not overlap; regions.from_masks makes some")
        parts, table = map(torch.from_numpy, parts_of(regions.covers))
        name = "every" if regions.cover == "all" else "any"
        return Resident({"x": x, "baseline": hidden, "labels": parts, name: table}, row)

    def resident_of(self, given: Any, x: Tensor, regions: Regions, baseline: Any, scorer: Scorer) -> Resident:
        """:meth:`resident`, for a removal that looks at what the caller gave too."""
        return self.resident(x, regions, baseline, scorer)

    def resident_of_each(self, read: Several, baseline: Any, scorer: Scorer) -> Resident:
        """:meth:`resident` of several inputs that are explained as one.

        Args:
            read: Each under its name, with its regions.
            baseline: For all, or by name.
            scorer: Whose model takes them.

        Raises:
            ValueError: this removal is of a single input.
        """
        what = "a fill that is drawn" if self.name == "baseline" else repr(self.name)
        raise ValueError(f'several inputs need removal="baseline", the same each time; got {what}')

    def counted(self, resident: Resident) -> dict[str, Any]:
        """What the result's notes say of an input's rows, now that all of them have been answered."""
        return {}

    def plan(self, bits: Sequence[Ints], hosts: Sequence[Any], size: int, few: bool) -> tuple[Ints, int]:
        """On the host, what else travels with a batch, where `plans` says so: some whole numbers, and a size.

        Args:
            bits: Kept regions of the rows of each input. [r, W] each.
            hosts: ``Resident.host`` of each.
            size: Rows of the batch, padding included.
            few: Whether a few different sizes are to serve all batches, as each makes a CUDA graph of its own.
        """
        raise TypeError(f"removal {self.name!r} has plans=True, so it must define plan()")

    def compose(self, pool: Mapping[str, Tensor], bits: Tensor, source: Tensor, out: Tensor) -> None:
        """Write the rows into `out`, in full, on its device.

        Args:
            pool: The resident tensors of all inputs in flight, [M, ...] each, by their names.
            bits: Kept regions of each row: region j is bit j % 32 of word j // 32. [B, W], int32.
            source: Which of the M inputs each row shows; -1 for padding. [B], int32.
            out: [B, *row]; of plain inputs [B, N].
        """
        raise TypeError(f"removal {self.name!r} must define compose(), or view()")

    def view(self, pool: Mapping[str, Tensor], rows: DeviceRows, out: Tensor, backend: str) -> Any:
        """What the scorer is given for these rows: `out`, composed.

        Args:
            pool, out: As in :meth:`compose`; out is [B, 0] where ``Resident.row`` is None.
            rows: On the device.
            backend: Of the ops (:class:`pysmdl.EngineConfig`).
        """
        self.compose(pool, rows.bits, rows.source, out)
        return out

    def views(self, pool: Mapping[str, Tensor], rows: DeviceRows, out: Tensor, backend: str) -> Iterator[Any]:
        """Where there are several draws, a view each, one after the other: each may overwrite the one before."""
        raise TypeError(f"removal {self.name!r} has draws={self.draws}, so it must define views()")
