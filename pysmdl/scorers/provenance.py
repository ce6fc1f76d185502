"""What made an explanation, as far as it is the scorer's: model, input, device, versions, in plain values."""

from __future__ import annotations

import platform
from dataclasses import fields
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from torch import nn

from pysmdl.inputs.image import InputSpec
from pysmdl.scorers.base import Scorer


def provenance_of(scorer: Scorer) -> dict[str, Any]:
    """model, scorer, input (what of it is not as usual), device, dtype and versions."""
    usual = InputSpec()
    given = {each.name: getattr(scorer.input, each.name) for each in fields(InputSpec) if each.name != "pipeline"}
    return {
        "model": _name(scorer),
        "scorer": type(scorer).__name__,
        "input": {name: _plain(value) for name, value in given.items() if value != getattr(usual, name)},
        **({"about": scorer.about} if scorer.about else {}),
        "device": str(scorer.device),
        "dtype": _plain(scorer.dtype),
        "versions": _versions(),
    }


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
