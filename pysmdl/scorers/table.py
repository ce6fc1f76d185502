"""Models of a table's row: any function of rows [B, F], scikit-learn's estimators, torch's modules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pysmdl.checks import NOT_FINITE
from pysmdl.errors import one_of
from pysmdl.inputs.arrays import tensor_of
from pysmdl.inputs.image import InputSpec
from pysmdl.inputs.table import TableReader, array_of, in_order
from pysmdl.models.base import Model
from pysmdl.models.class_names import names_of
from pysmdl.regions.players import columns as columns_of
from pysmdl.scorers import heads
from pysmdl.scorers.base import Scorer
from pysmdl.scorers.classes import Classifier
from pysmdl.scorers.custom import Custom
from pysmdl.scorers.estimators import Called, called, classes_of, is_estimator
from pysmdl.types import Regions

GIVES = ("probabilities", "logits", "value")
OF_DATA: dict[str, Callable[..., NDArray[np.float64]]] = {"mean": np.nanmean, "median": np.nanmedian}


class _OfRows(Scorer):
    """What both have in common: rows for inputs, and baselines of the background's columns."""

    data: NDArray[np.float64] | None = None
    baselines = ("median",)

    def shows(self, baseline: Any) -> Any:
        """The mean or median row of the background; all else as it is."""
        if isinstance(baseline, str) and baseline == "blur":
            raise ValueError('baseline="blur" is of what has neighbours; columns have "zero", "mean", "median" or rows')
        if not isinstance(baseline, str) or baseline not in OF_DATA:
            return in_order("baseline", baseline, self.reader.columns)
        if self.data is None:
            raise ValueError(f'baseline="{baseline}" is of background rows: give scorers.table(..., data=rows)')
        return OF_DATA[baseline](self.data, axis=0)


class RowClassifier(_OfRows, Classifier):
    """Classes of a row. See :func:`table`."""


class RowValue(_OfRows, Custom):
    """A number of a row. See :func:`table`."""


def table(
    predict: Any,
    columns: Sequence[str] | None = None,
    categorical: Mapping[str, Sequence[str]] | None = None,
    *,
    data: Any = None,
    gives: str | None = None,
    head: Any = None,
    names: Any = None,
    device: str | torch.device | None = None,
) -> RowClassifier | RowValue:
    """A model of rows; an input is a row [F], its players are the columns.

    Args:
        predict: Rows [B, F] to probabilities or logits [B, K], or to numbers [B]: a function, an estimator of
            scikit-learn's or one of its methods, or a torch module. What is no module is given float64 of NumPy's, and
            a frame where it was fitted on one. Of an estimator predict_proba is explained where it has one; of an SVC
            without it, or a ridge classifier, the decision_function, as logits, which are (0, d) of two classes: their
            softmax is no probability (``head=heads.log_odds()`` is d itself); of an outlier detector the
            decision_function, as a number; of other classifiers which class is predicted, 0 or 1; else what is
            predicted.
        columns: Their names, in the model's order; None: what the estimator was fitted with, else the row's own, else
            x0, x1 ...
        categorical: The one-hot columns of each category, by its name: they are one player.
        data: Background rows [N, F], a frame's by the names of its columns, for ``baseline="mean"``, which is the
            default then, and "median".
        gives: "probabilities", "logits" or "value", one number a row, nothing softmaxed. None: as an estimator's method
            says, logits of a module, probabilities of what is called predict_proba, else a value.
        head: As in :func:`pysmdl.scorers.classifier`.
        names: Of the classes; None: those that the estimator was fitted on, unless these count from 0.
        device: Of a module.

    Raises:
        TypeError: predict cannot be called.
        ValueError: no such gives; a head for a value; data of another number of columns; an estimator whose answer is
            no number of one thing.
    """
    if gives is not None and gives not in GIVES:
        raise one_of("gives", gives, GIVES)
    found = _called(predict, gives)
    function, owner, gives = found.function, found.owner, found.gives
    if columns is None:
        columns = getattr(owner, "feature_names_in_", None)
    if isinstance(columns, str) or (columns is not None and not isinstance(columns, Iterable)):
        what = "the text " * isinstance(columns, str)
        raise ValueError(f"columns must be names, one a column; got {what}{columns!r}")
    listed = None if columns is None else [str(name) for name in columns]
    twice = [name for name, count in Counter(listed or ()).items() if count > 1]
    if twice:
        raise ValueError(f"columns must have a name each; {twice[0]!r} is there twice")
    model = _model(function, owner, device)
    scorer: RowClassifier | RowValue
    if gives == "value":
        if head is not None:
            raise ValueError(f'head reads answers [B, K]; with gives="value" there are none; got {head!r}')
        scorer = RowValue(model, heads.value(), InputSpec(), 1)
    else:
        scorer = RowClassifier(model, InputSpec(), gives=gives, head=head)
        scorer.names = _names(owner) if names is None else names_of(names)
    scorer.about = found.about
    missing = owner is not None  # an estimator says itself whether it takes NaN for that
    scorer.reader = TableReader(listed, partial(_divided, categorical or {}), missing)
    scorer.baseline = "zero"
    if data is not None:
        rows = _numbers(in_order("data", data, listed))
        if rows.ndim != 2 or not len(rows) or (listed and rows.shape[1] != len(listed)):
            raise ValueError(f"data must be rows [N, {len(listed or ()) or 'F'}]; got {list(rows.shape)}")
        if not (np.isfinite(rows) | (np.isnan(rows) & missing)).all():
            raise ValueError(NOT_FINITE)
        scorer.data, scorer.baseline = rows, "mean"
    if listed or not isinstance(categorical, (Mapping, type(None))):
        columns_of(listed or [], categorical)  # a category of other columns is refused here
    return scorer


def _divided(categorical: Mapping[str, Sequence[str]], names: Any, groups: Mapping[str, Sequence[str]]) -> Regions:
    return columns_of(names, {**categorical, **groups})


def _numbers(data: Any) -> NDArray[np.float64]:
    """Rows of a frame or an array, on the host.

    Raises:
        ValueError: these are no numbers.
    """
    try:
        rows = tensor_of("data", array_of(data)).cpu().double().numpy()
    except (TypeError, ValueError) as error:
        raise ValueError(f"data must hold numbers, categories one-hot: {error}") from None
    return np.asarray(rows, np.float64)


def _names(owner: Any) -> list[str] | None:
    """Of the classes, where an estimator was fitted on names, or on numbers that do not count from 0."""
    classes = classes_of(owner)
    counted = classes.dtype.kind in "iu" and np.array_equal(classes, np.arange(len(classes)))
    return list(map(str, classes.tolist())) if classes.size and not counted else None


def _called(predict: Any, gives: str | None) -> Called:
    """What is called, what it gives, and the estimator behind it, if there is one."""
    if is_estimator(predict):
        return called(predict, gives)
    owner = getattr(predict, "__self__", None)
    if not callable(predict):  # no estimator, but something like it
        predict, owner = _like_one(predict), predict
    usual = "probabilities" if getattr(predict, "__name__", "") == "predict_proba" else "value"
    return Called(predict, gives or ("logits" if isinstance(predict, nn.Module) else usual), owner, "")


def _like_one(given: Any) -> Callable[..., Any]:
    for name in ("predict_proba", "predict"):
        if callable(getattr(given, name, None)):
            method: Callable[..., Any] = getattr(given, name)
            return method
    raise TypeError(f"predict must be callable, or have predict_proba or predict; got {type(given).__name__}")


def _model(function: Callable[..., Any], owner: Any, device: Any) -> Model:
    if isinstance(function, nn.Module):
        return Model(function, device=device)
    if device is not None:
        raise ValueError(f"device is of a torch module, which this model is not; got {device!r}")
    names = getattr(owner, "feature_names_in_", None)

    model = Model(partial(_predicted, function, names), takes="numpy")
    model.fitted = owner
    named = function if owner is None else type(owner)
    model.name = f"{named.__module__}.{getattr(named, '__qualname__', type(named).__qualname__)}"
    return model


def _predicted(function: Callable[..., Any], names: Any, rows: NDArray[Any]) -> Any:
    rows = rows.astype(np.float64)
    if names is None:
        return function(rows)
    import pandas

    return function(pandas.DataFrame(rows, columns=names))
