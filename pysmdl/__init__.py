"""pysmdl: which input regions made the model decide, in which order, and the curves that prove it.

Names load on first use: ``import pysmdl`` brings in nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pysmdl import regions, scorers, search
    from pysmdl.api import Step, explain, explain_many, explain_steps
    from pysmdl.compat import SubsetAttribution
    from pysmdl.config import EngineConfig
    from pysmdl.errors import PysmdlError
    from pysmdl.explainer import Explainer
    from pysmdl.game import Game
    from pysmdl.objective import Objective, Term
    from pysmdl.objective.presets import eagle, lima, smdl, vps
    from pysmdl.profiling import Profile
    from pysmdl.result import Explanation, load
    from pysmdl.targets import Box, Tokens

__all__ = [
    "Box",
    "EngineConfig",
    "Explainer",
    "Explanation",
    "Game",
    "Objective",
    "Profile",
    "PysmdlError",
    "Step",
    "SubsetAttribution",
    "Term",
    "Tokens",
    "eagle",
    "explain",
    "explain_many",
    "explain_steps",
    "lima",
    "load",
    "regions",
    "scorers",
    "search",
    "smdl",
    "vps",
]

_HOMES = {
    "Box": "targets",
    "EngineConfig": "config",
    "Explainer": "explainer",
    "Explanation": "result",
    "Game": "game",
    "Objective": "objective",
    "Profile": "profiling",
    "PysmdlError": "errors",
    "SubsetAttribution": "compat",
    "Term": "objective",
    "Tokens": "targets",
    "eagle": "objective.presets",
    "explain": "api",
    "explain_many": "api",
    "explain_steps": "api",
    "Step": "api",
    "lima": "objective.presets",
    "load": "result",
    "smdl": "objective.presets",
    "vps": "objective.presets",
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
