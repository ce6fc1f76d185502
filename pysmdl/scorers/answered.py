"""What scorers of an answer that is known beforehand have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.scorers.base import Scorer
from pysmdl.types import Floats, Reading


class Answered(Scorer):
    """A target is one row of whole numbers, of which the first says how many tokens are explained. A row's values are
    top id and number of each of them.
    """

    target = "tokens"
    has_confidence = False

    def stack(self, targets: Sequence[NDArray[Any]]) -> NDArray[Any]:
        longest = max(map(len, targets))
        return np.stack([np.pad(each, (0, longest - len(each))) for each in targets])

    def own(self, values: Floats, target: NDArray[Any]) -> Floats:
        return values[:, : 2 * target[0]]

    def unresolved(self, target: NDArray[Any]) -> bool:
        return False

    def resolve(self, target: NDArray[Any], full: Reading, features: Floats | None) -> NDArray[Any]:
        return target


def refuse_trace(trace: Sequence[Any]) -> None:
    """Raise ValueError where classes are to be traced."""
    if trace:
        raise ValueError("trace follows classes of a classifier; an answer has none to trace")
