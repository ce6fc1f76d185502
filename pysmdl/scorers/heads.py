"""What is read off a model's answer, one number a row: a probability, a margin, a distance to the full input's answer.

A head is any callable ``head(raw, reference, target) -> [B]``: the model's answers to a batch [B, K], its answer to the
full input beside each row [B, K], and the class that is explained [B], int64. Those of this module take logits z, with
p = softmax(z); a scorer with other answers converts them first (:func:`read_off`). Higher means more of what is named.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from pysmdl.errors import ScorerError, number, one_of, whole_number
from pysmdl.inputs.arrays import tensor_of

Function: TypeAlias = Callable[[Tensor, Tensor, Tensor], Any]

FORMS = ("jsd", "arc")


@dataclass(frozen=True)
class Head:
    """A head that says of itself what a scorer can make use of.

    Attributes:
        name: Its name.
        function: Logits, those of the full input, and the class, to a number a row.
        bounded: Whether it lies within 0 and 1. What is lost by removal is else counted from the full input's score.
        compares: Whether it reads the full input's answer, which is then evaluated first.
        reads: "logits", or "raw": the answer as the model gives it.
        sigmoid: The same for classes that each have a sigmoid of their own; None: the function, on the target's two
            outcomes (0, z).
    """

    name: str
    function: Function
    bounded: bool = False
    compares: bool = False
    reads: str = "logits"
    sigmoid: Function | None = None

    def __call__(self, raw: Tensor, reference: Tensor, target: Tensor) -> Any:
        return self.function(raw, reference, target)


def probability() -> Head:
    """p_t: what is explained where nothing else is said."""
    return Head("probability", lambda z, _, t: _at(z.softmax(1), t), bounded=True)


def log_probability() -> Head:
    """log p_t."""
    return Head("log_probability", lambda z, _, t: _at(z.log_softmax(1), t))


def log_odds(base: float = math.e, laplace: float | None = None) -> Head:
    """log(p_t / (1 - p_t)) = z_t - logsumexp(z of the others): the weight of evidence, where two of them are compared.

    Args:
        base: Of the logarithm; 2 for bits.
        laplace: N that p is smoothed by, (p N + 1) / (N + K), so that it is finite for p = 0 and 1. None: not at all.
    """
    unit = math.log(number("base", base, above=1))
    count = None if laplace is None else number("laplace", laplace, above=0)

    def function(z: Tensor, _: Tensor, t: Tensor) -> Tensor:
        if count is None:
            return (_at(z, t) - _without(z, t).logsumexp(1)) / unit
        p, rest = _at(z.softmax(1), t), _without(z, t).logsumexp(1) - z.logsumexp(1)
        return ((p * count + 1).log() - (rest.exp() * count + z.shape[1] - 1).log()) / unit

    return Head("log_odds", function)


def margin() -> Head:
    """z_t less the highest of the others: by how much it wins."""

    def function(z: Tensor, _: Tensor, t: Tensor) -> Tensor:
        return _at(z, t) - _without(z, t).amax(1)

    return Head("margin", function, sigmoid=function)


def contrast(t: int | None, o: int, of: str = "probability") -> Head:
    """What speaks for one class and not for another: p_t - p_o, or z_t - z_o.

    Args:
        t: The class; None: the target that is explained.
        o: The other.
        of: "probability" or "logit".
    """
    if of not in ("probability", "logit"):
        raise one_of("of", of, ("probability", "logit"))
    fixed = None if t is None else whole_number("t", t, 0)
    other = whole_number("o", o, 0)

    def between(made: Callable[[Tensor], Tensor]) -> Function:
        def function(z: Tensor, _: Tensor, target: Tensor) -> Tensor:
            if max(other, fixed or 0) >= z.shape[1]:
                raise ValueError(f"contrast needs classes 0 to {z.shape[1] - 1}; got t={fixed}, o={other}")
            each = z if of == "logit" else made(z)
            return (_at(each, target) if fixed is None else each[:, fixed]) - each[:, other]

        return function

    return Head("contrast", between(lambda z: z.softmax(1)), sigmoid=between(torch.sigmoid))


def entropy() -> Head:
    """H(p) = -sum p log p: how uncertain the model is, whatever the class."""
    return Head("entropy", lambda z, _, t: _entropy(z))


def confidence() -> Head:
    """1 - H(p) / log K: how certain it is."""
    return Head("confidence", lambda z, _, t: 1 - _entropy(z) / math.log(z.shape[1]), bounded=True)


def jsd(form: str = "jsd") -> Head:
    """-JSD of the row's distribution p and the full input's q, m = (p + q) / 2, in nats: 0 where they are alike.

    Args:
        form: "jsd": (KL(p, m) + KL(q, m)) / 2. "arc": (KL(m, p) + KL(m, q)) / 2, as ARC-JSD's code has it.

    Over positions [B, T, K] it is summed.
    """
    if form not in FORMS:
        raise one_of("form", form, FORMS)

    def function(z: Tensor, reference: Tensor, _: Tensor) -> Tensor:
        p, q = z.log_softmax(-1), reference.log_softmax(-1)
        m = torch.logaddexp(p, q) - math.log(2)
        apart = _divergence(p, m) + _divergence(q, m) if form == "jsd" else _divergence(m, p) + _divergence(m, q)
        return -apart / 2

    return Head("jsd", function, compares=True)


def kl(temperature: float = 1.0) -> Head:
    """-KL(full input's, row's), both softmax(z / temperature): 0 where they are alike. Over positions it is summed."""
    warmth = number("temperature", temperature, above=0)

    def function(z: Tensor, reference: Tensor, _: Tensor) -> Tensor:
        return -_divergence((reference / warmth).log_softmax(-1), (z / warmth).log_softmax(-1))

    return Head("kl", function, compares=True)


def hellinger() -> Head:
    """1 - |sqrt p - sqrt q| / sqrt 2, q the full input's: 1 where they are alike, 0 where they share nothing."""

    def function(z: Tensor, reference: Tensor, _: Tensor) -> Tensor:
        apart = (z.log_softmax(1) / 2).exp() - (reference.log_softmax(1) / 2).exp()
        alike: Tensor = 1 - apart.norm(dim=1) / math.sqrt(2)
        return alike

    return Head("hellinger", function, bounded=True, compares=True)


def ranking(k: int = 50, p: float = 0.9) -> Head:
    """Rank-biased overlap of the first k classes with the full input's (Webber et al. 2010, extrapolated).

        (1 - p) / p * sum_d X_d / d p^d + X_k / k p^k       X_d = how many of the first d both have

    Args:
        k: Length of both lists, at most the number of classes.
        p: Weight of a place over that of the one before, above 0 and below 1.
    """
    most, share = whole_number("k", k, 1), number("p", p, above=0, below=1)

    def function(z: Tensor, reference: Tensor, _: Tensor) -> Tensor:
        count = min(most, z.shape[1])
        own, theirs = z.topk(count, 1).indices, reference.topk(count, 1).indices
        both = (own[:, :, None] == theirs[:, None, :]).to(z.dtype).cumsum(1).cumsum(2).diagonal(dim1=1, dim2=2)
        depth = torch.arange(1, count + 1, device=z.device, dtype=z.dtype)
        overlap = both / depth
        total: Tensor = (overlap * share**depth).sum(1) * ((1 - share) / share) + overlap[:, -1] * share**count
        return total

    return Head("ranking", function, bounded=True, compares=True, sigmoid=function)


def value() -> Head:
    """The output itself, as the model gives it: of a regression; of class t, where it has several."""
    return Head("value", lambda raw, _, t: raw if raw.dim() == 1 else _at(raw, t), reads="raw")


def compares(head: Any) -> bool:
    """Whether a head reads the full input's answer: any callable of the caller's own may."""
    return head.compares if isinstance(head, Head) else True


def bounded(head: Any) -> bool:
    """Whether a head is known to lie within 0 and 1."""
    return isinstance(head, Head) and head.bounded


def read_off(head: Any, raw: Tensor, reference: Tensor, target: Tensor, gives: str) -> Tensor:
    """A head's number for each row. [B], float32.

    Args:
        raw, reference: Answers [B, ...] of the kind that `gives` says: "logits", "probabilities", "sigmoid" (a logit
            for each class by itself), or anything else for a head that reads them raw.

    Raises:
        ScorerError: it gave something else than one number a row.
    """
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
    if found.numel() != len(raw) or found.dim() > 2 or len(found) != len(raw):
        raise ScorerError(f"a head must return a number a row, [{len(raw)}]; got shape {list(found.shape)}")
    return found.reshape(-1).to(raw.device, torch.float32)


def _outcomes(z: Tensor, target: Tensor) -> Tensor:
    """Logits of a class's own two outcomes: not there, there. [B, K] to [B, 2]."""
    own = _at(z, target)
    return torch.stack((torch.zeros_like(own), own), 1)


def _at(each: Tensor, target: Tensor) -> Tensor:
    """A row's number of its class; of a row that knows no such class the last, which a check will refuse."""
    return each.gather(1, target.clamp(max=each.shape[1] - 1)[:, None])[:, 0]


def _without(z: Tensor, target: Tensor) -> Tensor:
    """-inf in place of the class."""
    return z.scatter(1, target.clamp(max=z.shape[1] - 1)[:, None], -math.inf)


def _entropy(z: Tensor) -> Tensor:
    log_p = z.log_softmax(1)
    return -(log_p.exp() * log_p.clamp(min=torch.finfo(z.dtype).min)).sum(1)


def _divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p, q) from logarithms, summed over all but the rows."""
    least = torch.finfo(log_p.dtype).min
    return (log_p.exp() * (log_p.clamp(min=least) - log_q.clamp(min=least))).flatten(1).sum(1)
