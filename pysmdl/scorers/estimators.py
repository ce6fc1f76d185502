"""Estimators of scikit-learn's kind: which of their methods is explained, and how its answer is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Function = Callable[[Any], Any]

METHODS = ("predict_proba", "decision_function", "predict")  # the first that there is
GIVES = {"predict_proba": "probabilities", "decision_function": "logits", "predict": "value"}


@dataclass(frozen=True)
class Called:
    """What is called of an estimator.

    Attributes:
        function: Rows [B, F] to what `gives` says.
        gives: "probabilities" or "logits" [B, K], or "value" [B].
        owner: The estimator.
        about: What is read, in words.
    """

    function: Function
    gives: str
    owner: Any
    about: str


def is_estimator(given: Any) -> bool:
    """Whether it is an estimator, or a method of one that answers rows."""
    owner = getattr(given, "__self__", None)
    if owner is not None:
        return getattr(given, "__name__", "") in METHODS and is_estimator(owner)
    fits = hasattr(given, "fit") and any(hasattr(given, name) for name in METHODS)
    return fits and not callable(given)  # Keras has models that fit and predict, too


def answers_rows(given: Any) -> bool:
    """Whether rows are what it answers: an estimator, a method of one, or what has such a method and is no function."""
    return is_estimator(given) or (not callable(given) and any(hasattr(given, name) for name in METHODS))


def called(given: Any, gives: str | None) -> Called:
    """What is explained of an estimator, or of its method that was given: probabilities where it has them, else what it
    decides by, else what it predicts.

        decision_function [B] of two classes    logits (0, d), whose softmax is sigmoid(d)
        decision_function of no classes         the number itself: how far inside an outlier detector finds a row
        predict of classes                      1 for the one that is predicted, 0 for the others

    Args:
        given: The estimator or the method.
        gives: Which answer is wanted; None: the first that there is.

    Raises:
        ValueError: it has no such answer, or one that has no meaning as a number.
    """
    owner = getattr(given, "__self__", given)
    name = getattr(given, "__name__", "") if owner is not given else _method(owner, gives)
    classes, method, kind = classes_of(owner), getattr(owner, name), type(owner).__name__
    if name == "predict_proba":
        return Called(
            partial(_of_one_output, method, kind, name), "probabilities", owner, f"{kind}, probabilities of classes"
        )
    if name == "decision_function" and len(classes):
        if getattr(_last(owner), "decision_function_shape", None) == "ovo" and len(classes) > 2:
            raise ValueError(f"{kind} decides between pairs of classes: give decision_function_shape='ovr' to it")
        about = f"{kind}, softmax of its decision_function, which is no probability"
        return Called(partial(_both, method), "logits", owner, about)
    if name == "decision_function":
        return Called(method, "value", owner, f"{kind}, its decision_function")
    if len(classes):
        hot = partial(_one_hot, method, classes)
        return Called(hot, "probabilities", owner, f"{kind}, 1 for the class that it predicts")
    if _kind(owner) == "clusterer":
        raise ValueError(
            f"{kind} numbers clusters, of which none is more than another: give a function of rows, such as "
            'lambda rows: -model.transform(rows), and gives="logits"'
        )
    return Called(partial(_of_one_output, method, kind, name), "value", owner, f"{kind}, what it predicts")


def classes_of(owner: Any) -> NDArray[Any]:
    """What a classifier of one output was fitted on. [K], or [0] of what is none."""
    found = getattr(owner, "classes_", None)
    one = isinstance(found, np.ndarray) and found.ndim == 1
    return found if one else np.zeros(0)  # type: ignore[return-value]


def _method(owner: Any, gives: str | None) -> str:
    there = [name for name in METHODS if hasattr(owner, name)]
    fitting = [name for name in there if gives in (None, GIVES[name])]
    if gives == "value" and "predict_proba" not in there and "decision_function" in there:
        return "decision_function"
    if not fitting and gives == "probabilities" and "predict" in there:
        return "predict"
    if not fitting:
        gave = ", ".join(f"{GIVES[name]} ({name})" for name in there)
        raise ValueError(f"gives must be what {type(owner).__name__} has, {gave}; got {gives!r}")
    return fitting[0]


def _last(owner: Any) -> Any:
    """The estimator inside of a search or at the end of a pipeline."""
    inner = getattr(owner, "best_estimator_", owner)
    steps = getattr(inner, "steps", None)
    return steps[-1][1] if steps else inner


def _kind(owner: Any) -> str | None:
    """ "classifier", "regressor", "clusterer" ..., as scikit-learn's versions say it."""
    tags = getattr(owner, "__sklearn_tags__", None)
    try:
        return getattr(tags(), "estimator_type", None) if tags is not None else owner._estimator_type
    except (AttributeError, TypeError):
        return None


def _of_one_output(method: Function, kind: str, name: str, rows: Any) -> Any:
    found = method(rows)
    several = len(found) if isinstance(found, list) else found.shape[1] if name == "predict" and found.ndim > 1 else 1
    if several > 1:
        one = "[0]" if isinstance(found, list) else "[:, 0]"
        raise ValueError(
            f"{kind} answers {several} outputs at once: explain one, by lambda rows: model.{name}(rows){one}"
        )
    return found


def _both(method: Function, rows: Any) -> NDArray[Any]:
    found = np.asarray(method(rows))
    return np.stack((np.zeros_like(found), found), 1) if found.ndim == 1 else found


def _one_hot(method: Function, classes: NDArray[Any], rows: Any) -> NDArray[np.float32]:
    hot: NDArray[np.bool_] = np.asarray(method(rows))[:, None] == classes
    return hot.astype(np.float32)
