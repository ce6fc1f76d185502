"""What can be seen of a model that is given as a function: its modules, and what these say."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import torch
from torch import nn


def modules_of(function: Any) -> list[nn.Module]:
    """The modules a callable runs, as far as they can be seen: itself, its owner, or what its code refers to."""
    if isinstance(function, nn.Module):
        return [function]
    if isinstance(function, functools.partial):
        given = (*function.args, *function.keywords.values())
        return [*modules_of(function.func), *(each for each in given if isinstance(each, nn.Module))]
    owner = getattr(function, "__self__", None)
    if isinstance(owner, nn.Module):
        return [owner]
    function = inspect.unwrap(function)  # of torch.compile
    if inspect.isfunction(function):
        seen = inspect.getclosurevars(function)
        return [value for value in (*seen.nonlocals.values(), *seen.globals.values()) if isinstance(value, nn.Module)]
    return []


def refuse_training(function: Any) -> None:
    """Raise ValueError where a model is in training mode: dropout and batch statistics would change every answer."""
    for module in modules_of(function):
        for name, part in module.named_modules():
            if part.training:
                where = f"{type(module).__name__}" + (f".{name}" if name else "")
                raise ValueError(f"the model is in training mode ({where}); call model.eval() first")


def device_of(function: Any, device: str | torch.device | None) -> torch.device:
    """Where the batch must be: the model's own device.

    Raises:
        ValueError: `device` was given and the model lives elsewhere.
    """
    found = {p.device for module in modules_of(function) for p in (*module.parameters(), *module.buffers())}
    own = next(iter(found)) if len(found) == 1 else None
    if device is None:
        return own or torch.device("cpu")
    wanted = torch.device(device)
    if str(device) == "cuda":  # the current one
        wanted = torch.device("cuda", torch.cuda.current_device())
    if own is not None and own != wanted:
        raise ValueError(f"device is {wanted}, but the model's parameters are on {own}; move the model or drop device=")
    return wanted


def likes_channels_last(function: Any) -> bool:
    """Whether the model's convolution weights are in channels-last order (``model.to(memory_format=...)``)."""
    weights = [
        p for module in modules_of(function) for p in module.parameters() if p.dim() == 4 and min(p.shape[1:]) > 1
    ]
    last = torch.channels_last
    return bool(weights) and all(w.is_contiguous(memory_format=last) and not w.is_contiguous() for w in weights)


def dtype_of(function: Any) -> torch.dtype:
    """The type of the model's parameters where they agree on one, else float32."""
    found = {p.dtype for module in modules_of(function) for p in module.parameters() if p.is_floating_point()}
    return next(iter(found)) if len(found) == 1 else torch.float32
