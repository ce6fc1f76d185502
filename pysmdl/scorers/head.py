"""A head: what it says of itself, and how it is read off a model's answers of any kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, TypeAlias

import numpy as np
import torch
from torch import Tensor

from pysmdl.errors import ScorerError
from pysmdl.inputs.arrays import tensor_of
from pysmdl.session import Remade, remade
from pysmdl.types import Floats

Function: TypeAlias = Callable[[Tensor, Tensor, Tensor], Any]
Keep: TypeAlias = Callable[[Tensor, Tensor], Tensor]
Arguments = ParamSpec("Arguments")


@dataclass(frozen=True)
class Head(Remade):
    """A head that says of itself what a scorer can make use of.

    Attributes:
        name: Its name.
        function: Logits, those of the full input, and the class, to a number a row.
        bounded: Whether it lies within 0 and 1. What is lost by removal is else counted from the full input's score.
        compares: Whether it reads the full input's answer, which is then evaluated first.
        reads: "logits", or "raw": the answer as the model gives it.
        sigmoid: The same for classes that each have a sigmoid of their own; None: the function, on the target's two
            outcomes (0, z).
        reduce: How its numbers at several tokens become one: "mean", "sum" or "geometric", the geometric mean.
        keeps: What it needs of the full input's answer, as a function of answers [B, ...] and classes [B] to [B, ...];
            that is its reference then. None: the answer.
        made_with: Arguments of the function that made it.
    """

    name: str
    function: Function
    bounded: bool = False
    compares: bool = False
    reads: str = "logits"
    sigmoid: Function | None = None
    reduce: str = "mean"
    keeps: Keep | None = None
    made_with: tuple[tuple[str, Any], ...] = ()

    def __call__(self, raw: Tensor, reference: Tensor, target: Tensor) -> Any:
        return self.function(raw, reference, target)


def stated(make: Callable[Arguments, Head]) -> Callable[Arguments, Head]:
    """For a function that makes heads: each says what it was made with, as results and jobs have to."""

    @wraps(make)
    def made(*args: Arguments.args, **settings: Arguments.kwargs) -> Head:
        given = signature(make).bind(*args, **settings)
        given.apply_defaults()
        return replace(make(*args, **settings), made_with=tuple(given.arguments.items()))

    return remade(made)


def checked(head: Any) -> Any:
    """A head as it is.

    Raises:
        TypeError: it cannot be called.
    """
    if not callable(head):
        raise TypeError(f"head must be callable: head(raw, reference, target) -> [B]; got {type(head).__name__}")
    return head


def compares(head: Any) -> bool:
    """Whether a head reads the full input's answer: any callable of the caller's own may."""
    return head.compares if isinstance(head, Head) else True


def bounded(head: Any) -> bool:
    """Whether a head is known to lie within 0 and 1."""
    return isinstance(head, Head) and head.bounded


def kept_of(head: Any, raw: Tensor, target: Tensor) -> Tensor:
    """What a head compares with, were these answers [B, ...] the full inputs' own. [B, ...], float32."""
    if isinstance(head, Head) and head.keeps is not None:
        return head.keeps(raw, target).float()
    return raw


def reduced(head: Any, numbers: Floats) -> Floats:
    """A head's numbers at tokens, [a, T] to [a]."""
    how = head.reduce if isinstance(head, Head) else "mean"
    if how == "geometric":
        with np.errstate(divide="ignore"):
            mean: Floats = np.exp(np.log(numbers).mean(1))
            return mean
    found: Floats = numbers.sum(1) if how == "sum" else numbers.mean(1)
    return found


def read_off(head: Any, raw: Tensor, reference: Tensor, target: Tensor, gives: str) -> Tensor:
    """A head's number for each row. [B], float32.

    Args:
        raw, reference: Answers [B, ...] of the kind that `gives` says: "logits", "probabilities", "sigmoid" (a logit
            for each class by itself), or anything else for a head that reads them raw.

    Raises:
        ScorerError: it gave something else than one number a row.
    """
    found = called(head, raw, reference, target, gives)
    if found.numel() != len(raw) or found.dim() > 2:
        raise ScorerError(f"a head must return a number a row, [{len(raw)}]; got shape {list(found.shape)}")
    return found.reshape(-1)


def called(head: Any, raw: Tensor, reference: Tensor, target: Tensor, gives: str) -> Tensor:
    """What a head gives for rows, of the arguments of :func:`read_off`: [B, ...], float32."""
    function = head
    if isinstance(head, Head) and head.reads == "logits":
        if gives == "probabilities":
            tiny = torch.finfo(torch.float32).tiny
            raw, reference = raw.clamp(min=tiny).log(), reference.clamp(min=tiny).log()
        elif gives == "sigmoid" and head.sigmoid is not None:
            function = head.sigmoid
        elif gives == "sigmoid":
            raw, reference, target = _outcomes(raw, target), _outcomes(reference, target), torch.ones_like(target)
    found = tensor_of("what the head returned", function(raw, reference, target))
    if found.dim() == 0 or len(found) != len(raw):
        raise ScorerError(f"a head must return a number a row, [{len(raw)}]; got shape {list(found.shape)}")
    return found.to(raw.device, torch.float32)


def _outcomes(z: Tensor, target: Tensor) -> Tensor:
    """Logits of a class's own two outcomes: not there, there. [B, K] to [B, 2]."""
    own = at_class(z, target)
    return torch.stack((torch.zeros_like(own), own), 1)


def at_class(each: Tensor, target: Tensor) -> Tensor:
    """A row's number of its class; of a row that knows no such class the last, which a check will refuse."""
    return each.gather(1, target.clamp(max=each.shape[1] - 1)[:, None])[:, 0]


def entropy_of(z: Tensor) -> Tensor:
    """H(softmax(z)) in nats, over the last dimension."""
    log_p = z.log_softmax(-1)
    return -(log_p.exp() * log_p.clamp(min=torch.finfo(z.dtype).min)).sum(-1)
