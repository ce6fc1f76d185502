"""pysmdl: which input regions made the model decide, in which order, and the curves that prove it.

Names load on first use: ``import pysmdl`` brings in nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pysmdl import regions, scorers, search
    from pysmdl.config import EngineConfig
    from pysmdl.errors import PysmdlError
    from pysmdl.explainer import Explainer, explain, explain_many
    from pysmdl.objective import Objective, Term
    from pysmdl.objective.presets import lima, smdl
    from pysmdl.result import Explanation, load

__all__ = [
    "EngineConfig",
    "Explainer",
    "Explanation",
    "Objective",
    "PysmdlError",
    "Term",
    "explain",
    "explain_many",
    "lima",
    "load",
    "regions",
    "scorers",
    "search",
    "smdl",
]

_HOMES = {
    "EngineConfig": "config",
    "Explainer": "explainer",
    "Explanation": "result",
    "Objective": "objective",
    "PysmdlError": "errors",
    "Term": "objective",
    "explain": "explainer",
    "explain_many": "explainer",
    "lima": "objective.presets",
    "load": "result",
    "smdl": "objective.presets",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("pysmdl")
    if name in _HOMES:
        value = getattr(import_module(f"pysmdl.{_HOMES[name]}"), name)
    elif name in __all__:
        value = import_module(f"pysmdl.{name}")
    else:
        raise AttributeError(f"module 'pysmdl' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
