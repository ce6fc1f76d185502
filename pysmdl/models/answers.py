"""A model's answer, in whatever form it comes, as one tensor with a row per input."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pysmdl.errors import ScorerError
from pysmdl.inputs.arrays import is_array, tensor_of

FLOATS = (torch.float32, torch.float16, torch.bfloat16)  # what the ops take; all else becomes float32


@dataclass(frozen=True)
class Form:
    """What is looked for in an answer.

    Attributes:
        what: Whose answer it is, for errors.
        dims: Dimensions of the tensor, rows first.
        names: Where it is in an answer of several parts, by attribute or key; the first that fits counts.
    """

    what: str
    dims: int
    names: tuple[str, ...] = ("logits", "logits_per_image", "out")  # "out": segmentations of torchvision


EMBEDDED = ("image_embeds", "pooler_output", "last_hidden_state", "logits")  # as Hugging Face's models name features


def tensor_in(answer: Any, rows: int, form: Form, device: torch.device) -> Tensor:
    """The tensor of an answer to so many rows: float32, float16 or bfloat16, on the device. See :func:`part_in`."""
    return number_tensor(part_in(answer, rows, form), device)


def part_in(answer: Any, rows: int, form: Form) -> Tensor:
    """The tensor of an answer to so many rows, as it is, with its gradients.

    An answer may be the array itself (:func:`tensor_of`), a list of one for each row, or a tuple,
    list, mapping or object with parts. Of parts, the one known by its name counts, else the only one that fits, else
    the first of a tuple whose others have its shape, as (logits, auxiliary logits) have. Dimensions of size 1 beyond
    those of the form are dropped.

    Raises:
        ScorerError: no part fits, or several do; what came back is listed.
    """
    try:
        found = _of(answer, form) if is_array(answer) else _among(answer, rows, form)
    except ValueError as error:
        raise ScorerError(str(error)) from None
    if found is None:
        wrong = f"{form.what} must return a tensor, an array or a list of rows; got {described(answer)}"
        raise ScorerError(wrong + _awaited(answer))
    shape = tuple(found.shape)
    if len(shape) > form.dims and set(shape[form.dims :]) == {1}:
        found = found.reshape(shape[: form.dims])
    if found.dim() != form.dims:
        wrong = f"{form.what} must return {form.dims} dimensions, rows first; got shape {list(shape)}"
        raise ScorerError(wrong + _instead(form, found))
    if len(found) != rows:
        raise ScorerError(f"{form.what} was given {rows} rows and returned {len(found)}")
    return found


def _instead(form: Form, found: Tensor) -> str:
    """What a model is for that answers so."""
    if form.what == "the model" and (form.dims, found.dim()) == (2, 1):
        return ": a model of one number a row is pysmdl.scorers.scalar(model)"
    if form.what == "the model" and (form.dims, found.dim()) == (1, 2):
        return ': classes need gives="probabilities" or "logits"'
    return ""


def _awaited(answer: Any) -> str:
    """What an async function is for."""
    if not inspect.iscoroutine(answer):
        return ""
    answer.close()  # else Python warns that nobody awaited it
    return ": an async function goes into pysmdl.scorers.endpoint(function)"


def number_tensor(found: Tensor, device: torch.device) -> Tensor:
    """In a type that the ops take, on the device, apart from any graph of gradients."""
    return found.detach().to(device, found.dtype if found.dtype in FLOATS else torch.float32)


def parts_of(answer: Any) -> dict[Any, Any]:
    """The parts of an answer that is no array: by key, position, or attribute; those that are None are left out."""
    if isinstance(answer, Mapping):
        parts = dict(answer)
    elif hasattr(answer, "_asdict"):  # a named tuple
        parts = answer._asdict()
    elif isinstance(answer, (list, tuple)):
        parts = dict(enumerate(answer))
    else:
        known = ("logits", *EMBEDDED, *getattr(answer, "__dict__", {}), *getattr(answer, "__slots__", ()))
        parts = {name: getattr(answer, name, None) for name in known}
    return {name: part for name, part in parts.items() if part is not None}


def described(answer: Any) -> str:
    """What came back, in words: its type, and what it is made of."""
    parts = {} if isinstance(answer, (str, bytes, int, float)) else parts_of(answer)
    listed = [f"{name!r}: {_kind(part)}" for name, part in list(parts.items())[:8]]
    return type(answer).__name__ + (f" ({', '.join(listed)})" if listed else "")


def _kind(part: Any) -> str:
    return f"{part.dtype} {list(part.shape)}" if hasattr(part, "shape") else type(part).__name__


def _among(answer: Any, rows: int, form: Form) -> Tensor | None:
    """The array that is meant among the parts of an answer; None where none is."""
    if isinstance(answer, (str, bytes)):
        return None
    if _listed(answer):
        return _of(answer, form)
    parts = {name: part for name, part in parts_of(answer).items() if is_array(part) or _listed(part)}
    named = [_of(parts[name], form) for name in form.names if name in parts]
    if named:
        return next((each for each in named if _fits(each, rows, form)), named[0])
    arrays = [each for each in map(_numbers, parts.values()) if each is not None]
    fitting = [each for each in arrays if _fits(each, rows, form)]
    if len(fitting) > 1 and not _repeated(answer, fitting):
        raise ScorerError(
            f"{form.what} returned a {described(answer)}, of which more than one may be meant: give a function that "
            "returns the right one"
        )
    if fitting:
        return fitting[0]
    if isinstance(answer, (list, tuple)) and len(answer) == len(arrays) == rows:  # one for each row
        alone = [each[None] if each.dim() == form.dims - 1 else each for each in arrays]
        return torch.cat(alone) if len({tuple(each.shape) for each in alone}) == 1 else None
    return arrays[0] if len(arrays) == 1 else None  # whose shape is then named as wrong


def _of(part: Any, form: Form) -> Tensor:
    return tensor_of(f"what {form.what} returned", part)


def _numbers(part: Any) -> Tensor | None:
    """A part that may be looked at, if it holds real numbers."""
    try:
        return tensor_of("", part)
    except ValueError:
        return None


def _listed(part: Any) -> bool:
    """Whether it is nested lists of numbers, as JSON has arrays."""
    if isinstance(part, (list, tuple)):
        return len(part) > 0 and all(_listed(each) or isinstance(each, (int, float, np.number)) for each in part)
    return False


def _fits(found: Tensor, rows: int, form: Form) -> bool:
    return found.dim() >= form.dims and len(found) == rows and set(found.shape[form.dims :]) <= {1}


def _repeated(answer: Any, fitting: Sequence[Tensor]) -> bool:
    """Whether a tuple's first part is the answer and the others are more of its kind, as auxiliary logits are."""
    first = next(iter(parts_of(answer).values())) if isinstance(answer, tuple) else None
    return is_array(first) and len({tuple(each.shape) for each in (*fitting, first)}) == 1  # type: ignore[union-attr]
