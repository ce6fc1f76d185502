"""Batch sizes: found on the real rows of the run, bound by memory. No row is spent on warming up."""

from __future__ import annotations

from math import prod

import torch

from pysmdl.config import EngineConfig
from pysmdl.engine.device.spare import Spare
from pysmdl.engine.device.tuner import Tuner
from pysmdl.engine.item import Kind
from pysmdl.session import Session

FIXED = 32  # rows of a deterministic batch where nobody says: one that is found would depend on the clock
MOST_ROWS = 65_534  # of a batch: what a GPU launches along one axis, and one more for padding


class Sizes:
    """The batch sizes of one scorer's or bare model's calls, by kind of input. They stay with its session.

    Args:
        best: Rows of a batch that the model says serve it best; None: these are found.
        wave: Rows that it answers in the time of one; None: its times say.

    Attributes:
        watched: Whether the time of each batch is wanted, and not only of those whose size is being tried.
        captured: Whether batches run as graphs, one for each number of rows.
    """

    def __init__(
        self,
        config: EngineConfig,
        device: torch.device,
        session: Session,
        best: int | None = None,
        wave: int | None = None,
    ) -> None:
        self._config, self._cpu, self._best, self._wave = config, device.type == "cpu", best, wave
        self.watched = self.captured = False
        self._tuners: dict[Kind, Tuner] = session.sizes.setdefault((config, device), {})

    def of(self, kind: Kind) -> Tuner:
        """What is known of the size of this kind's batches."""
        found = self._tuners.get(kind)
        return self._tuners.setdefault(kind, self._new(kind)) if found is None else found

    def room(self, kind: Kind) -> int:
        """Rows that a batch of this kind may have: what was asked for or is being found, within the memory bound."""
        return self.of(kind).rows

    def spare(self, kind: Kind) -> Spare:
        """What may go along with a round of an input of this kind."""
        return Spare(self.of(kind), self._wave, self._config.ahead, self.captured)

    def timed(self, kind: Kind) -> bool:
        """Whether the next batch of this kind is to be timed."""
        return self.watched or not self.of(kind).tuned

    def record(self, kind: Kind, rows: int, seconds: float) -> None:
        """Take the time of a batch."""
        tuner = self.of(kind)
        tuner.record(rows, seconds)
        if self.watched:
            tuner.keep(rows, seconds)

    def _new(self, kind: Kind) -> Tuner:
        shape = kind.row if kind.row is not None else kind.stored[0][1]
        most = min(MOST_ROWS, max(1, self._config.memory_bytes // max(1, prod(shape) * kind.dtype.itemsize)))
        fixed = self._config.batch_size or (FIXED if self._config.deterministic else self._best)
        if fixed is None:
            return Tuner(8 if self._cpu else 128, most)
        return Tuner(min(fixed, most), min(fixed, most), steady=self._config.deterministic)
