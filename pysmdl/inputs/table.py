"""Rows of a table as inputs: arrays, tensors, pandas' Series and frames of one row."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pysmdl.errors import ImageError
from pysmdl.inputs.arrays import tensor_of
from pysmdl.inputs.base import Input
from pysmdl.inputs.image import InputSpec
from pysmdl.inputs.items import names_input
from pysmdl.types import Regions


class TableReader:
    """A row [F], by the order of its columns or by their names, as float32.

    Args:
        columns: Names of the columns, in the model's order; None: they have none.
        divide: Makes the players of so many columns.
    """

    def __init__(self, columns: Sequence[str] | None, divide: Callable[[int], Regions]) -> None:
        self.columns, self._divide = columns, divide

    def takes(self, given: Any) -> bool:
        return True

    def read(self, given: Any, spec: InputSpec, computed: bool) -> Input:
        x = self.row(given)
        return Input(
            x, None, None, modality="table", shown=x.numpy().copy(), divided="columns",
            divide=partial(_columns, self._divide, len(x)),
        )  # fmt: skip

    def row(self, given: Any) -> Tensor:
        """One row in the model's order. [F], float32, on the CPU.

        Raises:
            ImageError: it is no row of numbers, lacks a column, or holds what is not finite.
        """
        if isinstance(given, Mapping):
            given = self._cells(given)
        values = given.squeeze(0) if getattr(given, "ndim", 0) == 2 and len(given) == 1 else given
        if hasattr(given, "columns"):
            values = given.iloc[0] if len(given) == 1 else given
        if self.columns is not None and hasattr(values, "reindex"):
            missing = [name for name in self.columns if name not in values.index]
            if missing:
                raise ImageError(f"a row must have the columns {', '.join(self.columns)}; it lacks {missing}")
            values = values[list(self.columns)]
        try:
            x = tensor_of("a row", values.to_numpy(float) if hasattr(values, "to_numpy") else values)
        except ValueError as error:
            raise ImageError(f"a row must hold numbers, categories one-hot: {error}") from None
        x = x.detach().to("cpu", torch.float32, copy=True)
        count = x.numel() if self.columns is None else len(self.columns)
        if tuple(x.shape) != (count,) or not count:
            raise ImageError(f"a row must be [{count or 'F'}], a number a column; got {list(x.shape)}")
        if not torch.isfinite(x).all():
            raise ImageError("the row holds NaN or infinity; fill what is missing first")
        return x

    def _cells(self, given: Mapping[str, Any]) -> list[float]:
        """The columns of a row by name; text is read as a number."""
        names = list(given) if self.columns is None else list(self.columns)
        missing = [name for name in names if name not in given]
        if missing:
            raise ImageError(f"a row must have the columns {', '.join(names)}; it lacks {missing}")
        try:
            return [float(given[name]) for name in names]
        except (TypeError, ValueError) as error:
            raise ImageError(f"a row must hold numbers, categories one-hot: {error}") from None

    def lend(self, given: Any) -> tuple[Any, bool]:
        return (given.clone() if isinstance(given, Tensor) else given.copy() if hasattr(given, "copy") else given), True

    def several(self, given: Iterable[Any]) -> Iterable[Any]:
        return rows_of(given)


def rows_of(given: Iterable[Any]) -> Iterable[Any]:
    """A frame or an array of two dimensions as its rows, rows as dicts as items; anything else as it is."""
    if hasattr(given, "iterrows"):
        return [row for _, row in given.iterrows()]
    if getattr(given, "ndim", 1) == 2:
        return list(given)
    alone = isinstance(given, (str, os.PathLike, Mapping)) or hasattr(given, "ndim") or not isinstance(given, Iterable)
    return given if alone else map(_item, given)


def _item(given: Any) -> Any:
    """A dict that names no input is a row itself."""
    return {"image": given} if isinstance(given, Mapping) and not names_input(given) else given


def _columns(divide: Callable[[int], Regions], count: int, how: Any) -> Regions | None:
    return divide(count) if isinstance(how, str) and how == "columns" else None
