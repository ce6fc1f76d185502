"""What made an explanation, as far as it is the scorer's: model, input, device, versions, in plain values."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import fields
from functools import cache, partial
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from torch import Tensor, nn

from pysmdl.inputs.image import InputSpec
from pysmdl.scorers.base import Scorer
from pysmdl.scorers.head import Head

READS = ("gives", "head", "prototypes", "normalize", "confidence_floor", "decided_at", "decode", "given", "prompt")


def provenance_of(scorer: Scorer) -> dict[str, Any]:
    """model, scorer, input (what of it is not as usual), reads (how its answers are read), device, dtype, versions."""
    usual = InputSpec()
    given = {each.name: getattr(scorer.input, each.name) for each in fields(InputSpec) if each.name != "pipeline"}
    reads = {name: said(each) for name in READS if (each := getattr(scorer, name, None)) is not None}
    return {
        "model": _name(scorer),
        "scorer": type(scorer).__name__,
        "input": {name: _plain(value) for name, value in given.items() if value != getattr(usual, name)},
        "reads": reads,
        **({"about": scorer.about} if scorer.about else {}),
        "device": str(scorer.device),
        "dtype": _plain(scorer.dtype),
        "versions": _versions(),
    }


def said(value: Any) -> Any:
    """A setting in plain values: arrays by their content, code by its name."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Head):
        return f"{value.name}({', '.join(f'{name}={said(each)}' for name, each in value.made_with)})"
    if isinstance(value, (list, tuple)):
        return [said(each) for each in value]
    if isinstance(value, Mapping):
        return {str(name): said(each) for name, each in value.items()}
    if hasattr(value, "__array__"):
        array = np.ascontiguousarray(value.detach().cpu() if isinstance(value, Tensor) else value)
        return f"array {list(array.shape)} {blake2b(array.tobytes(), digest_size=8).hexdigest()}"
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def _name(scorer: Scorer) -> str:
    """The model by its own name, or that which its code has: the one module that it runs, else the function."""
    if scorer.model.name is not None:
        return scorer.model.name
    modules = scorer.model.modules
    if len(modules) == 1:
        module: nn.Module = modules[0]
        path = getattr(getattr(module, "config", None), "_name_or_path", "") or ""
        own = f"{type(module).__module__}.{type(module).__qualname__}"
        return f"{own} ({path})" if path else own
    function: Any = scorer.forward
    while isinstance(function, partial):
        function = function.func
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


@cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("pysmdl", "torch", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # a source tree that is not installed
    return found


def _plain(value: Any) -> Any:
    return str(value).removeprefix("torch.") if type(value).__module__ == "torch" else value
