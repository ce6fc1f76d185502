"""Heads of answers that are no row of logits: tokens of a text, passes of a stochastic model, segmentations, errors of
a diffusion model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from pysmdl.errors import ScorerError, one_of
from pysmdl.inputs.arrays import tensor_of
from pysmdl.scorers.head import Head, at_class, entropy_of, stated

REDUCED = ("mean", "log_sum", "geometric")
KINDS = ("total", "aleatoric", "epistemic")


@stated
def sequence(reduce: str = "mean") -> Head:
    """How probable the tokens of an answer are, for :func:`pysmdl.scorers.tokens`.

    Args:
        reduce: "mean": of the tokens' probabilities (EAGLE); "log_sum": sum of their logarithms, the answer's own
            log-probability; "geometric": their geometric mean.
    """
    if reduce not in REDUCED:
        raise one_of("reduce", reduce, REDUCED)
    if reduce == "log_sum":
        return Head("sequence", lambda z, _, t: at_class(z.log_softmax(1), t), reduce="sum")
    return Head("sequence", lambda z, _, t: at_class(z.softmax(1), t), bounded=True, reduce=reduce)


@stated
def uncertainty(kind: str = "total") -> Head:
    """How uncertain M passes of a stochastic model, or M models, are, in nats (Depeweg et al. 2018, equation 3).

        total = H(mean p)     aleatoric = mean H(p)     epistemic = total - aleatoric

    For answers [B, M, K], each pass's logits: ``pysmdl.scorers.custom(forward, heads.uncertainty(), dims=3)``.
    """
    if kind not in KINDS:
        raise one_of("kind", kind, KINDS)

    def function(z: Tensor, _: Tensor, __: Tensor) -> Tensor:
        if z.dim() != 3:
            raise ValueError(f"uncertainty reads answers [B, M, K], M passes of K logits; got shape {list(z.shape)}")
        within = entropy_of(z).mean(1)
        if kind == "aleatoric":
            return within
        total = entropy_of(z.log_softmax(2).logsumexp(1))  # a softmax does not mind that 1 / M is missing
        return total if kind == "total" else total - within

    return Head("uncertainty", function, reads="raw")


@stated
def dice(mask: Any = None) -> Head:
    """Soft Dice of where the model sees the class, 2 sum(p q) / (sum p + sum q): 1 where p is the mask, 0 beside it.

    p is each point's probability of the class, of answers [B, K, H, W] a softmax over K, of [B, 1, H, W] or [B, H, W] a
    sigmoid: ``pysmdl.scorers.custom(forward, heads.dice(), dims=4)``.

    Args:
        mask: q, [H', W'] of numbers 0 to 1 or booleans, which is averaged onto the answer's grid; None: where the
            full input's answer is the class.
    """
    if mask is None:
        return Head("dice", _dice, bounded=True, compares=True, reads="raw", keeps=_where)
    given = tensor_of("mask", mask).detach().float()
    if given.dim() != 2 or not bool(((given >= 0) & (given <= 1)).all()):
        raise ValueError(f"mask must be [H, W] of numbers 0 to 1; got shape {list(given.shape)}")

    here = _placed(given)

    def function(z: Tensor, _: Tensor, t: Tensor) -> Tensor:
        own = here(z.device)[None, None]
        if own.shape[2:] != z.shape[-2:]:
            own = interpolate(own, z.shape[-2:], mode="area")
        return _dice(z, own[0], t)

    return Head("dice", function, bounded=True, reads="raw")


@stated
def mean_foreground() -> Head:
    """Mean logit of the class over the points where the full input's answer is that class; for answers as :func:`dice`
    takes them.
    """

    def function(z: Tensor, where: Tensor, t: Tensor) -> Tensor:
        points = where.sum((1, 2))
        if not (z.is_cuda and torch.cuda.is_current_stream_capturing()) and bool((points == 0).any()):
            missed = int(t[int((points == 0).nonzero()[0])])
            raise ScorerError(f"mean_foreground needs a class that the full input's answer has; it has no {missed}")
        return (_of_class(z, t) * where).sum((1, 2)) / points

    return Head("mean_foreground", function, compares=True, reads="raw", keeps=_where)


@stated
def denoising(log_snr: Sequence[float]) -> Head:
    """What a diffusion model's condition says about an image, in nats up to a constant (Kong et al., "Interpretable
    Diffusion via Information Decomposition", ICLR 2024, from the I-MMSE relation of Guo et al. 2005).

        -1/2 * integral over the log-SNR of |e - e'|^2        e' the noise that the model sees where e was added

    f(S) - f(nothing) is how much the condition S says. For answers [B, L] of squared errors at each of L noise levels,
    summed over an image, or [B, L, P] and [B, L, H, W] of each of its places, which are added up:
    ``pysmdl.scorers.custom(forward, heads.denoising(log_snr), dims=2)``. All rows should be given the same noise.

    Args:
        log_snr: Natural logarithm of the signal's variance over the noise's, rising. [L], at least two.
    """
    levels = np.asarray(log_snr, np.float64)
    if levels.ndim != 1 or len(levels) < 2 or not (np.isfinite(levels).all() and (np.diff(levels) > 0).all()):
        raise ValueError(f"log_snr must be at least two finite numbers that rise; got {log_snr!r}")
    steps = np.diff(levels)
    here = _placed(torch.from_numpy(np.concatenate((steps, [0])) + np.concatenate(([0], steps))) / -4)

    def function(raw: Tensor, _: Tensor, __: Tensor) -> Tensor:
        if raw.dim() < 2 or raw.shape[1] != len(levels):
            raise ValueError(f"denoising reads answers [B, {len(levels)}, ...] of errors; got shape {list(raw.shape)}")
        errors = raw.double().reshape(*raw.shape[:2], -1)
        return torch.einsum("blp,l->bp", errors, here(raw.device)).to(raw.dtype)

    return Head("denoising", function, reads="raw", reduce="sum")


def _placed(constant: Tensor) -> Callable[[torch.device], Tensor]:
    """The constant on the device that asks, copied there once: a copy from the host ends a CUDA graph."""

    @cache
    def on(device: torch.device) -> Tensor:
        with torch.inference_mode(False):  # it serves later calls, in whatever mode these are
            return constant.to(device)

    return on


def _of_class(z: Tensor, t: Tensor) -> Tensor:
    """Logits of the class at each point, [B, K, H, W] to [B, H, W]."""
    if z.dim() == 3:
        return z
    if z.dim() != 4:
        raise ValueError(f"a segmentation is [B, K, H, W] or [B, H, W]; got shape {list(z.shape)}")
    return at_class(z, t[:, None, None].expand(-1, *z.shape[2:]))


def _where(z: Tensor, t: Tensor) -> Tensor:
    """Where an answer is the class: 0 or 1, [B, H, W]."""
    own = _of_class(z, t)
    several = z.dim() == 4 and z.shape[1] > 1
    return (z.argmax(1) == t[:, None, None] if several else own > 0).float()


def _dice(z: Tensor, q: Tensor, t: Tensor) -> Tensor:
    own = _of_class(z, t)
    several = z.dim() == 4 and z.shape[1] > 1
    p = (own - z.logsumexp(1)).exp() if several else own.sigmoid()
    found: Tensor = 2 * (p * q).sum((1, 2)) / (p.sum((1, 2)) + q.sum((1, 2))).clamp(min=torch.finfo(p.dtype).tiny)
    return found
