"""A scorer that remembers its answers: searches on one input ask the model for each view once; and what a row costs."""

from __future__ import annotations

import time
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor

from pysmdl.scorers import Scorer
from pysmdl.scorers.base import Outputs, Wanted

Known = dict[bytes, Tensor]


class Remembered:
    """Stands in for a scorer's ``score``; batches of tensors only, packed tokens go to the model as they come.

    Args:
        scorer: Its ``score`` is replaced.

    Attributes:
        inside: CPU seconds spent here, the model's among them.
        model, rows: CPU seconds of the model, and the rows that it saw for them.
    """

    def __init__(self, scorer: Scorer) -> None:
        self.anew, self.known = scorer.score, Known()
        self.inside = self.model = 0.0
        self.rows = 0
        scorer.score = self  # type: ignore[method-assign]

    @property
    def row(self) -> float:
        """CPU seconds of one row."""
        return self.model / max(1, self.rows)

    def __call__(self, batch: Any, targets: Tensor, wanted: Wanted) -> Outputs:
        began = time.process_time()
        plain = isinstance(batch, Tensor) and wanted.features is None
        found = self._recalled(batch, targets, wanted) if plain else self._measured(batch, targets, wanted)
        self.inside += time.process_time() - began
        return found

    def _recalled(self, batch: Tensor, targets: Tensor, wanted: Wanted) -> Outputs:
        what = str(wanted.confidence).encode()
        keys = [
            blake2b(row.numpy().tobytes() + target.numpy().tobytes(), digest_size=16, key=what).digest()
            for row, target in zip(batch, targets, strict=True)
        ]
        new = [i for i, key in enumerate(keys) if key not in self.known]
        if new:
            values = self._measured(batch[new], targets[new], wanted).values
            self.known |= dict(zip((keys[i] for i in new), values, strict=True))
        return Outputs(torch.stack([self.known[key] for key in keys]))

    def _measured(self, batch: Any, targets: Tensor, wanted: Wanted) -> Outputs:
        began = time.process_time()
        found = self.anew(batch, targets, wanted)
        self.model += time.process_time() - began
        self.rows += len(batch)
        return found
