"""Fills that are drawn: what is absent shows samples in its place, and a score is the mean over them.

A fill is given as ``baseline=``. Each subset costs as many evaluations as there are draws, and these are counted. They
are made once for an input from the fill's own seed, so what a subset scores depends on nothing but the subset.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pysmdl.checks import NOT_FINITE
from pysmdl.errors import number, whole_number
from pysmdl.inputs.arrays import tensor_of
from pysmdl.inputs.table import array_of, labels_of, places_of
from pysmdl.kernels import compose
from pysmdl.removal.base import DeviceRows, Removal, Resident
from pysmdl.removal.blends import blend, check_blends
from pysmdl.types import Regions


class Fill:
    """Draws of what stands where something is absent.

    Attributes:
        name: As the result's notes call it.
        draws: How many.
    """

    name = "own"
    draws = 1

    def of(self, x: Tensor, regions: Regions) -> Tensor:
        """All draws for one input [C, *grid], of its type and on its device. [draws, C, *grid]."""
        raise TypeError(f"fill {self.name!r} must define of()")

    def arranged(self, columns: Sequence[str] | None) -> Fill:
        """The same for a table's columns in this order, where it knows them by name."""
        return self

    def removal(self) -> Removal:
        """The removal that shows them."""
        return Filled(self)


class Drawn(Removal):
    """A removal that has a view for each draw."""

    name = "baseline"

    captured = False

    def view(self, pool: Mapping[str, Tensor], rows: DeviceRows, out: Tensor, backend: str) -> Any:
        return next(self.views(pool, rows, out, backend))


class Filled(Drawn):
    """Painting over with each of a fill's draws in turn."""

    def __init__(self, fill: Fill) -> None:
        self.fill, self.draws = fill, fill.draws

    @property
    def form(self) -> Hashable:
        return "filled", self.draws

    def softened(self) -> Removal:
        return SoftFilled(self.fill)

    def resident(self, x: Tensor, regions: Regions, baseline: Any, scorer: Any) -> Resident:
        """x [C, *grid], labels [*grid] and the draws [R, C, *grid]."""
        if regions.covers is not None:
            raise ValueError("a fill that is drawn needs regions that do not overlap; regions.from_masks makes some")
        row, x = tuple(x.shape), x if x.dim() > 1 else x[None]
        drawn = self.fill.arranged(getattr(scorer.reader, "columns", None)).of(x, regions)
        if not x.is_floating_point() and (drawn != drawn.round()).any():
            raise ValueError(f"fill {self.fill.name!r} draws fractions; of ids a baseline must hold whole numbers")
        drawn = drawn.to(x)
        if drawn.is_floating_point() and drawn.isnan().any() and not getattr(scorer.reader, "missing", False):
            raise ValueError(NOT_FINITE)
        if drawn.shape != (self.draws, *x.shape):
            raise ValueError(
                f"fill {self.fill.name!r} must give {[self.draws, *x.shape]} for this input; got {list(drawn.shape)}"
            )
        return Resident({"x": x, "baseline": drawn, "labels": torch.from_numpy(regions.labels)}, row)

    def views(self, pool: Mapping[str, Tensor], rows: DeviceRows, out: Tensor, backend: str) -> Iterator[Any]:
        into = out if out.dim() > 2 else out[:, None]
        for draw in range(self.draws):
            drawn = pool["baseline"][:, draw]
            compose(pool["x"], drawn, pool["labels"], rows.bits, rows.source, out=into, backend=backend)
            yield out


class SoftFilled(Filled):
    """Each point shows w of the input and 1 - w of each draw in turn, w the weight of its region."""

    @property
    def form(self) -> Hashable:
        return "soft filled", self.draws

    def resident(self, x: Tensor, regions: Regions, baseline: Any, scorer: Any) -> Resident:
        check_blends(x)
        return super().resident(x, regions, baseline, scorer)

    def views(self, pool: Mapping[str, Tensor], rows: DeviceRows, out: Tensor, backend: str) -> Iterator[Any]:
        into = out if out.dim() > 2 else out[:, None]
        for draw in range(self.draws):
            blend({**pool, "baseline": pool["baseline"][:, draw]}, rows, into, backend)
            yield out


class Rows(Fill):
    """Rows of data in the place of what is absent: what absent columns do while the present ones stay as they are."""

    name = "marginal"

    def __init__(self, data: Tensor, columns: Sequence[Any] = ()) -> None:
        self.data, self.draws, self._columns = data, len(data), columns

    def arranged(self, columns: Sequence[str] | None) -> Fill:
        places = None if columns is None else places_of("data", self._columns, columns)
        return self if places is None else Rows(self.data[:, places])

    def of(self, x: Tensor, regions: Regions) -> Tensor:
        if self.data[0].numel() != x.numel():
            one = list(self.data.shape[1:])
            raise ValueError(f"data of marginal must be inputs like the one explained, {list(x.shape)}; got {one}")
        return self.data.to(x).reshape(-1, *x.shape)


def marginal(data: Any, draws: int | None = 8, seed: int = 0) -> Fill:
    """Inputs drawn from a background: what is absent takes their values, whatever is present (Shapley's "marginal").

    Args:
        data: Inputs in model space. [N, F] of rows, a frame's by the names of its columns, or [N, C, *grid].
        draws: How many of them, without replacement; None: all, in their order.
        seed: Of the draw.

    Raises:
        ValueError: these are no numbers, or not finite.
    """
    own = whole_number("seed", seed, 0)
    try:
        rows = tensor_of("data", array_of(data)).float()
    except (TypeError, ValueError) as error:
        raise ValueError(f"data must hold numbers, categories one-hot: {error}") from None
    if rows.dim() < 2 or not len(rows):
        raise ValueError(f"data must be inputs [N, F] or [N, C, *grid], one at least; got {list(rows.shape)}")
    if rows.isinf().any() or (rows.dim() > 2 and rows.isnan().any()):
        raise ValueError(NOT_FINITE)
    if draws is not None:
        count = min(whole_number("draws", draws, 1), len(rows))
        rows = rows[torch.from_numpy(np.random.default_rng(own).choice(len(rows), count, replace=False))]
    return Rows(rows, labels_of(data))


class Noise(Fill):
    """Gaussian noise around the input's own mean."""

    name = "noise"

    def __init__(self, sigma: float, draws: int, seed: int) -> None:
        self.sigma, self.draws, self.seed = sigma, draws, seed

    def of(self, x: Tensor, regions: Regions) -> Tensor:
        middle = x.float().flatten(1).mean(1).reshape(-1, *[1] * (x.dim() - 1))
        return middle + self.sigma * normal(self.draws, x, self.seed)


def noise(sigma: float, draws: int = 8, seed: int = 0) -> Fill:
    """Normal noise of this standard deviation, in model space, around the input's mean a channel."""
    return Noise(number("sigma", sigma, above=0), whole_number("draws", draws, 1), whole_number("seed", seed, 0))


class LocalMean(Fill):
    """What is around each region."""

    name = "local_mean"

    def of(self, x: Tensor, regions: Regions) -> Tensor:
        from scipy.ndimage import binary_dilation, find_objects

        labels, points = regions.labels, x.float().cpu().numpy()
        found = np.broadcast_to(points.mean(tuple(range(1, points.ndim)), keepdims=True), points.shape).copy()
        for region, box in enumerate(find_objects(labels + 1)):
            if box is None:
                continue
            near = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)
            inside = labels[near] == region
            ring = binary_dilation(inside, np.ones([3] * inside.ndim)) & ~inside
            if ring.any():
                around = (slice(None), *near)
                cut = found[around]  # a view
                cut[:, inside] = points[around][:, ring].mean(1, keepdims=True)
        return torch.from_numpy(found)[None]


def local_mean() -> Fill:
    """In each region the mean of the ring of points around it, a channel: one draw, no seam that stands out."""
    return LocalMean()


class BoundaryGaussian(Fill):
    """What the input's border looks like, as a normal distribution over the channels."""

    name = "boundary_gaussian"

    def __init__(self, draws: int, seed: int) -> None:
        self.draws, self.seed = draws or 1, seed
        self._mean_alone = draws == 0

    def of(self, x: Tensor, regions: Regions) -> Tensor:
        inner = torch.zeros(x.shape[1:], dtype=torch.bool, device=x.device)
        inner[tuple(slice(1, -1) for _ in x.shape[1:])] = True
        ring = x.float().flatten(1)[:, ~inner.flatten()]
        middle = ring.mean(1)
        if self._mean_alone:
            return middle.reshape(1, -1, *[1] * (x.dim() - 1)).expand(1, *x.shape)
        spread = torch.cov(ring, correction=0).reshape(len(x), len(x)) + 1e-6 * torch.eye(len(x), device=x.device)
        root = torch.linalg.cholesky(spread)
        drawn = torch.einsum("cd,rd...->rc...", root, normal(self.draws, x, self.seed))
        return drawn + middle.reshape(-1, *[1] * (x.dim() - 1))


def boundary_gaussian(draws: int | str = 8, seed: int = 0) -> Fill:
    """Points drawn from the normal distribution of the input's outermost ones, each by itself (weight of evidence on
    images: what a region is replaced by must look like the background).

    Args:
        draws: How many, or "mean": the border's mean, once.
        seed: Of the draws; half of them are the others mirrored at the mean.
    """
    return BoundaryGaussian(draws_of(draws), whole_number("seed", seed, 0))


def draws_of(draws: int | str) -> int:
    """How many draws; 0 for "mean".

    Raises:
        ValueError: it is neither that nor a number of at least 1.
    """
    return 0 if isinstance(draws, str) and draws == "mean" else whole_number('draws, if not "mean",', draws, 1)


def normal(draws: int, like: Tensor, seed: int) -> Tensor:
    """Normal numbers [draws, *shape]; the second half is the first mirrored, so that means are right for what is
    linear.
    """
    rng = np.random.default_rng(seed)
    half = rng.standard_normal(((draws + 1) // 2, *like.shape)).astype(np.float32)
    return torch.from_numpy(np.concatenate((half, -half))[:draws]).to(like.device)
