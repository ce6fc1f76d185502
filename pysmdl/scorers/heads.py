"""What is read off a model's answer, one number a row: a probability, a margin, a distance to the full input's answer.

A head is any callable ``head(raw, reference, target) -> [B]``: the model's answers to a batch [B, K], its answer to the
full input beside each row [B, K], and the class that is explained [B], int64. Those of this module take logits z, with
p = softmax(z); a scorer with other answers converts them first (:func:`read_off`). Higher means more of what is named.
Of a token model a head is given each token as a row: its logits, and its id in the class's place; of a detector see
:func:`pysmdl.scorers.detector`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pysmdl.errors import number, one_of, whole_number
from pysmdl.scorers.answer_heads import denoising, dice, mean_foreground, sequence, uncertainty
from pysmdl.scorers.head import Function, Head, at_class, entropy_of, read_off, stated

__all__ = [
    "Head",
    "confidence",
    "contrast",
    "denoising",
    "dice",
    "entropy",
    "hellinger",
    "jsd",
    "kl",
    "log_odds",
    "log_probability",
    "margin",
    "mean_foreground",
    "probability",
    "ranking",
    "read_off",
    "sequence",
    "uncertainty",
    "value",
]

FORMS = ("jsd", "arc")


@stated
def probability() -> Head:
    """p_t: what is explained where nothing else is said."""
    return Head("probability", lambda z, _, t: at_class(z.softmax(1), t), bounded=True)


@stated
def log_probability() -> Head:
    """log p_t."""
    return Head("log_probability", lambda z, _, t: at_class(z.log_softmax(1), t))


@stated
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
            return (at_class(z, t) - _without(z, t).logsumexp(1)) / unit
        p, rest = at_class(z.softmax(1), t), _without(z, t).logsumexp(1) - z.logsumexp(1)
        return ((p * count + 1).log() - (rest.exp() * count + z.shape[1] - 1).log()) / unit

    return Head("log_odds", function)


@stated
def margin() -> Head:
    """z_t less the highest of the others: by how much it wins."""

    def function(z: Tensor, _: Tensor, t: Tensor) -> Tensor:
        return at_class(z, t) - _without(z, t).amax(1)

    return Head("margin", function, sigmoid=function)


@stated
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
            return (at_class(each, target) if fixed is None else each[:, fixed]) - each[:, other]

        return function

    return Head("contrast", between(lambda z: z.softmax(1)), sigmoid=between(torch.sigmoid))


@stated
def entropy() -> Head:
    """H(p) = -sum p log p: how uncertain the model is, whatever the class."""
    return Head("entropy", lambda z, _, t: entropy_of(z))


@stated
def confidence() -> Head:
    """1 - H(p) / log K: how certain it is."""
    return Head("confidence", lambda z, _, t: 1 - entropy_of(z) / math.log(z.shape[1]), bounded=True)


@stated
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

    return Head("jsd", function, compares=True, reduce="sum")


@stated
def kl(temperature: float = 1.0) -> Head:
    """-KL(full input's, row's), both softmax(z / temperature): 0 where they are alike. Over positions it is summed."""
    warmth = number("temperature", temperature, above=0)

    def function(z: Tensor, reference: Tensor, _: Tensor) -> Tensor:
        return -_divergence((reference / warmth).log_softmax(-1), (z / warmth).log_softmax(-1))

    return Head("kl", function, compares=True, reduce="sum")


@stated
def hellinger() -> Head:
    """1 - |sqrt p - sqrt q| / sqrt 2, q the full input's: 1 where they are alike, 0 where they share nothing."""

    def function(z: Tensor, reference: Tensor, _: Tensor) -> Tensor:
        apart = (z.log_softmax(1) / 2).exp() - (reference.log_softmax(1) / 2).exp()
        alike: Tensor = 1 - apart.norm(dim=1) / math.sqrt(2)
        return alike

    return Head("hellinger", function, bounded=True, compares=True)


@stated
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


@stated
def value() -> Head:
    """The output itself, as the model gives it: of a regression; of class t, where it has several."""
    return Head("value", lambda raw, _, t: raw if raw.dim() == 1 else at_class(raw, t), reads="raw")


def _without(z: Tensor, target: Tensor) -> Tensor:
    """-inf in place of the class."""
    return z.scatter(1, target.clamp(max=z.shape[1] - 1)[:, None], -math.inf)


def _divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p, q) from logarithms, summed over all but the rows."""
    least = torch.finfo(log_p.dtype).min
    return (log_p.exp() * (log_p.clamp(min=least) - log_q.clamp(min=least))).flatten(1).sum(1)
