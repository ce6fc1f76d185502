"""A fill of a table's row that knows how columns go together: absent ones are drawn given the present ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import Any

import torch
from torch import Tensor

from pysmdl.errors import whole_number
from pysmdl.inputs.arrays import tensor_of
from pysmdl.inputs.table import labels_of, places_of
from pysmdl.removal.base import DeviceRows, Removal, Resident
from pysmdl.removal.fills import Drawn, Fill, draws_of, normal
from pysmdl.types import Regions


class ConditionalGaussian(Fill):
    """Absent columns given the present ones."""

    name = "conditional_gaussian"

    def __init__(self, mean: Tensor, covariance: Tensor, draws: int, seed: int, columns: Sequence[Any] = ()) -> None:
        self.mean, self.draws, self.seed, self._columns = mean, draws or 1, seed, columns
        self._mean_alone = draws == 0
        jitter = 1e-6 * torch.eye(len(mean), dtype=torch.float64)
        self.precision = torch.linalg.inv(covariance + jitter)

    def arranged(self, columns: Sequence[str] | None) -> ConditionalGaussian:
        places = None if columns is None else places_of("mean", self._columns, columns)
        if places is None:
            return self
        found = copy(self)
        found.mean, found.precision = self.mean[places], self.precision[places][:, places]
        return found

    def noise(self, x: Tensor) -> Tensor:
        """Normal numbers for each draw. [R, F]; 0 where the mean alone counts."""
        return torch.zeros((1, x.numel())) if self._mean_alone else normal(self.draws, x.flatten(), self.seed)

    def removal(self) -> Removal:
        return GivenThePresent(self)


class GivenThePresent(Drawn):
    """Rows whose absent columns R are drawn given the present ones S, x normal with mean m and precision P:

        x_R = m_R - P_RR^-1 P_RS (x_S - m_S) + L^-T e        P_RR = L L^T

    which is m_R + C_RS C_SS^-1 (x_S - m_S) with covariance C_RR - C_RS C_SS^-1 C_SR, C = P^-1.
    """

    def __init__(self, fill: ConditionalGaussian) -> None:
        self.fill, self.draws = fill, fill.draws

    def resident(self, x: Tensor, regions: Regions, baseline: Any, scorer: Any) -> Resident:
        """x [F], labels [F], and of the distribution the mean [F], the precision [F, F] and noise [R, F]."""
        if x.isnan().any():
            raise ValueError('a row with NaN gives no distribution of other columns; baseline="mean" or rows do')
        if x.dim() != 1 or len(x) != len(self.fill.mean):
            raise ValueError(
                f"conditional_gaussian is of rows [{len(self.fill.mean)}], as its mean is; got an input {list(x.shape)}"
            )
        labels = torch.from_numpy(regions.labels)
        fill = self.fill.arranged(getattr(scorer.reader, "columns", None))
        of = {"mean": fill.mean, "precision": fill.precision, "noise": fill.noise(x)}
        return Resident({"x": x, "labels": labels, **of}, tuple(x.shape))

    def views(self, pool: Mapping[str, Tensor], rows: DeviceRows, out: Tensor, backend: str) -> Iterator[Any]:
        place = rows.source.long().clamp(min=0)
        x, labels, middle = pool["x"][place].double(), pool["labels"][place].long(), pool["mean"][place]
        bit = (rows.bits.gather(1, labels.clamp(min=0) >> 5) >> (labels & 31)) & 1
        kept = (labels < 0) | bit.bool()
        gone = ~kept
        precision = pool["precision"][place]
        square = precision * (gone[:, :, None] & gone[:, None]) + torch.diag_embed(kept.double())
        pulled = (precision @ (torch.where(kept, x - middle, 0.0))[:, :, None])[:, :, 0]
        root = torch.linalg.cholesky(square)
        shift = torch.cholesky_solve(torch.where(gone, -pulled, 0.0)[:, :, None], root)[:, :, 0]
        drawn = torch.where(gone[:, None], pool["noise"][place].double(), 0.0)  # [B, R, F], solved for all at once
        apart = torch.linalg.solve_triangular(root.mT, drawn.mT, upper=True)
        for draw in range(self.draws):
            out.copy_(torch.where(kept, x, middle + shift + apart[:, :, draw]))
            yield out


def conditional_gaussian(mean: Any, covariance: Any, draws: int | str = 8, seed: int = 0) -> Fill:
    """Absent columns drawn from a normal distribution given the present ones, or at its mean.

    Args:
        mean, covariance: Of the columns, as pandas has them by their names. [F] and [F, F]; 1e-6 is added to the
            diagonal.
        draws: How many, or "mean": the conditional mean, once, which is exact for models that are linear.
        seed: Of the draws; half of them are the others mirrored at the mean.

    Raises:
        ValueError: shapes that do not fit, or a covariance that is none.
    """
    columns = labels_of(mean)
    if columns and labels_of(covariance) and columns != labels_of(covariance):
        raise ValueError(f"mean and covariance must have the same columns; got {columns}, {labels_of(covariance)}")
    middle = tensor_of("mean", mean).detach().cpu().double()
    spread = tensor_of("covariance", covariance).detach().cpu().double()
    if middle.dim() != 1 or spread.shape != (len(middle), len(middle)):
        raise ValueError(f"mean and covariance must be [F] and [F, F]; got {list(middle.shape)}, {list(spread.shape)}")
    if not torch.allclose(spread, spread.T) or float(torch.linalg.eigvalsh(spread).min()) < -1e-6:
        raise ValueError("covariance must be symmetric and have no negative eigenvalue")
    seed = whole_number("seed", seed, 0)
    return ConditionalGaussian(middle, spread, draws_of(draws), seed, columns or labels_of(covariance))
