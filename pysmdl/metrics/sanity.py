"""A check by construction: cells of the input that cannot influence the output must get nothing (DiFull)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.checks import as_array
from pysmdl.errors import whole_number
from pysmdl.explanation import Explanation
from pysmdl.types import Ints

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class CellGrid:
    """A grid of inputs side by side, and models that see some of them alone (Rao et al. 2022, the DiFull setting).

    Cells are numbered row by row.

    Attributes:
        rows, columns: Cells of the grid.
        height, width: Points of a cell.
        split: Regions along each side of a cell; 1 makes the cell the region. Region r lies in cell r // split^2.
    """

    rows: int
    columns: int
    height: int
    width: int
    split: int = 1

    def __post_init__(self) -> None:
        for name in ("rows", "columns", "height", "width", "split"):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), 1))
        if self.split > min(self.height, self.width):
            raise ValueError(
                f"split must be at most a cell's shorter side, {min(self.height, self.width)}; got {self.split}"
            )

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.rows * self.columns

    def labels(self) -> Ints:
        """The label map, for ``explain(regions=...)``. [rows * height, columns * width], int32."""
        y, x = np.arange(self.rows * self.height)[:, None], np.arange(self.columns * self.width)
        cell = y // self.height * self.columns + x // self.width
        part = y % self.height * self.split // self.height * self.split + x % self.width * self.split // self.width
        labels: Ints = (cell * self.split**2 + part).astype(np.int32)
        return labels

    def tile(self, images: NDArray[Any]) -> NDArray[Any]:
        """Images [cells, height, width, C] as one, [rows * height, columns * width, C].

        Raises:
            ValueError: images of another number or size.
        """
        images = as_array("images", images)
        wanted = (self.cells, self.height, self.width)
        if images.ndim != 4 or images.shape[:3] != wanted:
            raise ValueError(f"images must be [cells, H, W, C] with {list(wanted)}; got {list(images.shape)}")
        apart = images.reshape(self.rows, self.columns, self.height, self.width, -1).swapaxes(1, 2)
        whole: NDArray[Any] = apart.reshape(self.rows * self.height, self.columns * self.width, -1)
        return whole

    def only(self, forward: Callable[[Tensor], Tensor], seen: Sequence[int]) -> Callable[[Tensor], Tensor]:
        """A model of the whole grid that runs `forward` on the cells `seen`, one by one, and takes the mean logits.

        Args:
            forward: A batch of cells [B, C, height, width] to logits [B, K].
            seen: The cells that count; no other reaches the output by any path.

        Raises:
            ValueError: seen holds no cell, one twice, or one that is not there; from the model: another grid's batch.
        """
        cells = self._checked(seen)

        def model(batch: Tensor) -> Tensor:
            if tuple(batch.shape[2:]) != (self.rows * self.height, self.columns * self.width):
                whole = f"{self.rows * self.height}x{self.columns * self.width}"
                raise ValueError(f"the batch must have the grid's size, {whole}; got {list(batch.shape[2:])}")
            total: Any = 0
            for cell in cells:  # added up at once: the model may write its next answer into the same memory
                total = total + forward(self._crop(batch, cell))
            return total / len(cells)  # type: ignore[no-any-return]

        return model

    def impossible(self, seen: Sequence[int]) -> NDArray[np.int64]:
        """The regions that a model which sees only these cells cannot depend on, ascending. int64.

        Raises:
            ValueError: as :meth:`only`.
        """
        regions = np.arange(self.cells * self.split**2)
        return regions[~np.isin(regions // self.split**2, self._checked(seen))]

    def _crop(self, batch: Tensor, cell: int) -> Tensor:
        top, left = cell // self.columns * self.height, cell % self.columns * self.width
        return batch[:, :, top : top + self.height, left : left + self.width]

    def _checked(self, seen: Sequence[int]) -> list[int]:
        given = list(seen)
        if not given or len(set(given)) < len(given) or not all(cell in range(self.cells) for cell in given):
            raise ValueError(f"seen must hold distinct cells from 0 to {self.cells - 1}, one or more; got {given}")
        return [int(cell) for cell in given]


def region_gains(explanation: Explanation) -> NDArray[np.float64]:
    """What each region changed when its turn came, in either view: max of |step of insertion|, |step of deletion|.

    Returns:
        [n], 0 for regions that were not ordered, NaN where the curves were not measured.
    """
    curves = np.stack((explanation.insertion, explanation.deletion)).astype(np.float64)
    gains = np.zeros(explanation.n)
    gains[explanation.order] = np.abs(np.diff(curves)).max(0)
    return gains


def largest_gain(found: Explanation | NDArray[Any], regions: Sequence[int] | NDArray[np.int64]) -> float:
    """Largest |gain| among regions that cannot influence the output: 0 for a faithful explanation.

    Args:
        found: An explanation, by its :func:`region_gains`; or a value for each region [n], of any method.
        regions: The impossible ones: :meth:`CellGrid.impossible`.

    Raises:
        ValueError: no region, one out of range, or gains that are not [n].
    """
    gains = region_gains(found) if isinstance(found, Explanation) else as_array("gains", found).astype(np.float64)
    if gains.ndim != 1:
        raise ValueError(f"gains must be [n], a value for each region; got {list(gains.shape)}")
    chosen = as_array("regions", regions)
    if chosen.size == 0 or chosen.dtype.kind not in "iu" or chosen.min() < 0 or chosen.max() >= len(gains):
        raise ValueError(f"regions must be from 0 to {len(gains) - 1}, one or more; got {chosen.tolist()}")
    return float(np.abs(gains[chosen]).max())
