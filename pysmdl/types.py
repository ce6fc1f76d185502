"""Arrays by what they hold, and the partition of an input.

Sizes: ``n`` regions, ``a`` rows, ``V`` numbers the scorer gives a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Ints: TypeAlias = NDArray[np.int32]
Bools: TypeAlias = NDArray[np.bool_]

Reading: TypeAlias = dict[str, NDArray[np.float32]]
"""What the scorer said of some rows, by name; each array starts with the rows. "score" is the target score."""


@dataclass(frozen=True)
class Regions:
    """A partition of an input's grid.

    Attributes:
        labels: Region of each grid point, -1 for "always shown". [*grid], int32.
        n: Number of regions; every id 0..n-1 occurs.
    """

    labels: Ints
    n: int

    def areas(self) -> NDArray[np.int64]:
        """Grid points of each region. [n]."""
        return np.bincount(self.labels[self.labels >= 0], minlength=self.n)
