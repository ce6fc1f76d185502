"""Removal: what an absent region looks like, as a baseline in model space that `compose` shows in its place."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pysmdl.errors import one_of
from pysmdl.inputs.arrays import tensor_of

BASELINES = ("black", "zero", "mean", "blur")


def baseline_of(baseline: Any, x: Tensor, black: Tensor) -> Tensor:
    """The baseline of one input, in the input's shape and type.

    Args:
        baseline: "black": pixel value 0 before normalisation (SMDL, LiMA, EAGLE). "zero": 0 after it (VPS). "mean": the
            input's mean per channel. "blur": the input under a Gaussian, sigma 1/20 of its shorter side. Or numbers in
            model space: one, one per channel [C], or a tensor [C, *grid]; of a plain input also [N]. Of ids "black" and
            "zero" are id 0, and numbers are whole.
        x: The input in model space. [C, *grid]; a plain input as [1, N].
        black: Pixel value 0 in model space, per channel or one for all.

    Returns:
        [C, *grid]; constant ones are expanded, not stored.

    Raises:
        ValueError: no such name, a shape that does not fit, or a value that is not finite.
    """
    column = (x.shape[0], *[1] * (x.dim() - 1))
    if isinstance(baseline, str):
        if baseline not in BASELINES:
            raise one_of("baseline", baseline, BASELINES)
        if baseline in ("blur", "mean") and not x.is_floating_point():
            raise ValueError(f"baseline of ids must be an id, ids, or a function that gives them; got {baseline!r}")
        if baseline == "blur":
            return _blur(x)
        if baseline == "mean":
            values = x.float().flatten(1).mean(1)
        elif baseline == "black":
            values = black.flatten()
        else:
            values = torch.zeros(1, device="cpu")
        if len(values) not in (1, x.shape[0]):
            raise ValueError(f"mean and std have {len(values)} channels, the input has {x.shape[0]}")
        return values.to(x).expand(x.shape[0]).reshape(column).expand(x.shape)
    given = tensor_of("baseline", baseline).detach()
    if given.is_floating_point() and not x.is_floating_point():
        raise ValueError(f"baseline of ids must hold whole numbers; got {given.dtype}")
    given = given.to(x)
    if not torch.isfinite(given).all():
        raise ValueError("baseline must be finite; it holds NaN or infinity")
    if given.dim() == 0 or tuple(given.shape) == (x.shape[0],):
        given = given.reshape(-1).expand(x.shape[0]).reshape(column)
    try:
        return given.expand(x.shape)
    except RuntimeError:
        rows = x.dim() == given.dim() == 2 and x.shape[1] == given.shape[1]
        raise ValueError(
            f"baseline must be a number, one per channel [{x.shape[0]}], or [C, *grid] = {list(x.shape)}; "
            f"got {list(given.shape)}" + (": a background's rows are pysmdl.removal.marginal(rows)" if rows else "")
        ) from None


def _blur(x: Tensor) -> Tensor:
    from scipy.ndimage import gaussian_filter

    sigma = min(x.shape[1:]) / 20
    blurred = gaussian_filter(x.detach().float().cpu().numpy(), (0, *[sigma] * (x.dim() - 1)))
    return torch.from_numpy(blurred).to(x)
