"""Rows of a table as inputs: arrays, tensors, pandas' Series and frames of one row."""

from __future__ import annotations

import logging
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pysmdl.errors import ImageError
from pysmdl.inputs.arrays import tensor_of
from pysmdl.inputs.base import Input
from pysmdl.inputs.image import InputSpec
from pysmdl.inputs.items import names_input
from pysmdl.types import Regions

log = logging.getLogger("pysmdl")
LISTED = 8  # columns that an error names
WHOLE = 2.0**24  # up to which float32 has each whole number
Divide = Callable[[Sequence[str], Mapping[str, Sequence[str]]], Regions]


@dataclass(frozen=True)
class TableInput(Input):
    """A row as it was read, with the names of its columns."""

    columns: tuple[str, ...] = ()


class TableReader:
    """A row [F], by the order of its columns or by their names, as float32.

    Args:
        columns: Names of the columns, in the model's order; None: they are the row's own, or x0, x1 ...
        divide: Makes the players of columns of these names, those of each group together.
        missing: Whether NaN stands for what is missing, and the model may take it so.
    """

    def __init__(self, columns: Sequence[str] | None, divide: Divide, missing: bool = False) -> None:
        self.columns, self._divide, self.missing = columns, divide, missing
        self._warned = False

    def takes(self, given: Any) -> bool:
        return True

    def read(self, given: Any, spec: InputSpec, computed: bool) -> Input:
        x = self.row(given)
        names = [*map(str, given)] if isinstance(given, Mapping) else labels_of(given)
        own = [str(name) for name in names] if names and names != [*range(len(x))] else [f"x{i}" for i in range(len(x))]
        columns = tuple(self.columns or own)
        return TableInput(
            x, None, None, modality="table", shown=x.numpy().copy(), divided="columns",
            divide=partial(_columns, partial(self._divide, columns)), columns=columns,
        )  # fmt: skip

    def row(self, given: Any) -> Tensor:
        """One row in the model's order. [F], float32, on the CPU.

        Raises:
            ImageError: it is no row of numbers, lacks a column, or holds what is not finite.
        """
        if isinstance(given, (str, os.PathLike)):
            raise ImageError(
                f"a row must be an array, a Series, a dict or a frame of one row; got {os.fspath(given)!r}: read it "
                "first, as pandas does, or, of a CSV on the command line, name a row of it, data.csv:3; a text is for "
                'pysmdl.scorers.string(model.predict_proba, gives="probabilities")'
            )
        if isinstance(given, Mapping) and self.columns is None:
            given = _numbers("a row", given, range(len(given)))
        if hasattr(given, "columns") and len(given) != 1:
            raise ImageError(f"a row must be one; got a frame of {len(given)}: frame.iloc[0], or explain_many")
        values = in_order("a row", given, self.columns)
        if getattr(values, "ndim", 0) == 2 and values.shape[0] == 1:
            values = values.iloc[0] if hasattr(values, "iloc") else values[0]
        try:
            exact: Tensor = tensor_of("a row", _as_numbers(values)).detach()
        except (TypeError, ValueError) as error:
            raise ImageError(
                f"a row must hold numbers, categories one-hot: {_wordy(values, self.columns) or error}"
            ) from None
        x = exact.to("cpu", torch.float32, copy=True)
        count = x.numel() if self.columns is None else len(self.columns)
        if tuple(x.shape) != (count,) or not count:
            raise ImageError(f"a row must be [{count or 'F'}], a number a column; got {list(x.shape)}")
        known = torch.isfinite(exact) | (exact.isnan() & self.missing)
        lacking = (~known).nonzero().flatten().tolist()
        if lacking:
            where = ", ".join(_column(self.columns, place) for place in lacking[:LISTED])
            raise ImageError(f"the row holds NaN or infinity in {where}: fill what is missing first")
        if x.isinf().any():
            raise ImageError(f"the row holds numbers beyond those of float32; got {float(exact.abs().max()):.3g}")
        self._doubt(exact, x)
        return x

    def _doubt(self, exact: Tensor, x: Tensor) -> None:
        """Warn once of numbers so large that float32 has others for them, as of seconds since 1970."""
        rounded = ((exact.abs() > WHOLE) & (exact != x.to(exact.dtype))).nonzero().flatten().tolist()
        if rounded and not self._warned:
            self._warned = True
            place = rounded[0]
            log.warning(
                "rows are float32 here, in which %s is %.0f and not %.15g: give the model what such columns are above "
                "a number near them, and add that in a function of your own",
                _column(self.columns, place), float(x[place]), float(exact[place]),
            )  # fmt: skip

    def lend(self, given: Any) -> tuple[Any, bool]:
        return (given.clone() if isinstance(given, Tensor) else given.copy() if hasattr(given, "copy") else given), True

    def several(self, given: Iterable[Any]) -> Iterable[Any]:
        return rows_of(given)


def _column(columns: Sequence[str] | None, place: int) -> str:
    return columns[place] if columns else f"column {place}"


def _wordy(values: Any, columns: Sequence[str] | None) -> str:
    """The first cell that is no number, with its column; "" where there is none, or no cells."""
    cells = list(values) if hasattr(values, "__len__") else []
    for place, cell in enumerate(cells):
        if isinstance(cell, str):
            try:
                float(cell)
            except ValueError:
                return f"{_column(columns, place)} is {str(cell)!r}"
    return ""


def in_order(name: str, given: Any, columns: Sequence[str] | None) -> Any:
    """A frame, a Series or a dict in the order of these columns, by their names; what has none as it is.

    Raises:
        ImageError: it lacks a column, or a dict holds what is no number.
    """
    labels = [*map(str, given)] if isinstance(given, Mapping) else labels_of(given)
    places = None if columns is None else places_of(name, labels, columns)
    if is_polars(given):
        return (given if places is None else given[:, places]).to_numpy()
    if places is None:
        return given
    return _numbers(name, given, places) if isinstance(given, Mapping) else given.iloc[..., places]


def _numbers(name: str, given: Mapping[Any, Any], places: Iterable[int]) -> list[float]:
    """Some cells of a dict; text too, as a CSV has them, and NaN for those without any."""
    try:
        values = [math.nan if each is None or each == "" else each for each in given.values()]
        return [float(values[place]) for place in places]
    except (TypeError, ValueError) as error:
        raise ImageError(f"{name} must hold numbers, categories one-hot: {error}") from None


def is_polars(given: Any) -> bool:
    """Whether it is a frame of polars'."""
    return hasattr(given, "iter_rows") and hasattr(given, "columns")


def array_of(given: Any) -> Any:
    """Numbers of a frame or a Series of pandas' or polars' as an array of floats; all else as it is."""
    if hasattr(given, "iloc"):
        return given.to_numpy(float)
    return given.to_numpy() if hasattr(given, "to_numpy") else given


def _as_numbers(given: Any) -> Any:
    """A row's cells as numbers where they are of several types, as a frame's values are, or texts."""
    given = array_of(given)
    if isinstance(given, (list, tuple)) or getattr(getattr(given, "dtype", None), "kind", "") in ("O", "U"):
        array = np.asarray(given)
        return array.astype(float) if array.dtype.kind in ("O", "U") else array
    return given


def labels_of(given: Any) -> list[Any]:
    """What pandas and polars call the columns of a frame, pandas the numbers of a Series; of all else nothing."""
    if is_polars(given):
        return list(given.columns)
    return list(getattr(given, "columns", given.index)) if hasattr(given, "reindex") else []


def places_of(name: str, labels: Sequence[Any], columns: Sequence[str]) -> list[int] | None:
    """Where columns stand among labels; None where these are none: pandas counts from 0 where nobody says.

    Raises:
        ImageError: some are missing.
    """
    if not labels or labels == [*range(len(columns))]:
        return None
    named = {str(label): place for place, label in enumerate(labels)}
    missing = [column for column in columns if column not in named]
    if missing:
        raise ImageError(f"{name} must have the columns {', '.join(columns)}; it lacks {missing}")
    twice = [column for column, count in Counter(map(str, labels)).items() if count > 1 and column in columns]
    if twice:
        raise ImageError(f"{name} must have each column once; {twice} are there twice")
    return [named[column] for column in columns]


def rows_of(given: Any) -> Iterable[Any]:
    """A frame or an array of two dimensions as its rows, rows as dicts as items; anything else as it is."""
    if hasattr(given, "iterrows"):
        return [row for _, row in given.iterrows()]
    if is_polars(given):
        return [{"image": row} for row in given.iter_rows(named=True)]
    if getattr(given, "ndim", 1) == 2:
        return list(given)
    alone = isinstance(given, (str, os.PathLike, Mapping)) or hasattr(given, "ndim") or not isinstance(given, Iterable)
    return given if alone else map(_item, given)


def _item(given: Any) -> Any:
    """A dict that names no input is a row itself."""
    return {"image": given} if isinstance(given, Mapping) and not names_input(given) else given


def _columns(divide: Callable[[Mapping[str, Sequence[str]]], Regions], how: Any) -> Regions | None:
    """ "columns"; or columns that are players together, by name, all others by themselves."""
    if isinstance(how, Mapping):
        return divide(how)
    return divide({}) if isinstance(how, str) and how == "columns" else None
