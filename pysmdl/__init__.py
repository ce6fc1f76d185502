"""pysmdl: which input regions made the model decide, in which order, and the curves that prove it.

Names and modules load on first use: ``import pysmdl`` brings in nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pysmdl import (
        builtin,
        errors,
        inputs,
        jobs,
        kernels,
        methods,
        metrics,
        models,
        objective,
        progress,
        regions,
        removal,
        scorers,
        search,
        studies,
        testing,
        types,
    )
    from pysmdl.adapters import adapt
    from pysmdl.api import Step, explain, explain_many, explain_steps
    from pysmdl.config import EngineConfig
    from pysmdl.errors import PysmdlError
    from pysmdl.explainer import Explainer
    from pysmdl.explanation import Explanation, load
    from pysmdl.explanation.plotting import plot
    from pysmdl.interop import compat
    from pysmdl.interop.compat import SubsetAttribution
    from pysmdl.interop.game import Game
    from pysmdl.jobs.store import open_store
    from pysmdl.objective import Objective, Term
    from pysmdl.objective.presets import eagle, lima, pair, smdl, vps
    from pysmdl.profiling import Profile
    from pysmdl.progress import Progress
    from pysmdl.reporting import report
    from pysmdl.scales import explain_scales
    from pysmdl.scorers import heads
    from pysmdl.targets import Answer, Box, Tokens

__all__ = [
    "Answer",
    "Box",
    "EngineConfig",
    "Explainer",
    "Explanation",
    "Game",
    "Objective",
    "Profile",
    "Progress",
    "PysmdlError",
    "Step",
    "SubsetAttribution",
    "Term",
    "Tokens",
    "adapt",
    "builtin",
    "compat",
    "eagle",
    "errors",
    "explain",
    "explain_many",
    "explain_scales",
    "explain_steps",
    "heads",
    "inputs",
    "jobs",
    "kernels",
    "lima",
    "load",
    "methods",
    "metrics",
    "models",
    "objective",
    "open_store",
    "pair",
    "plot",
    "progress",
    "regions",
    "removal",
    "report",
    "scorers",
    "search",
    "smdl",
    "studies",
    "testing",
    "types",
    "vps",
]

_HOMES = {
    "Answer": "targets",
    "Box": "targets",
    "EngineConfig": "config",
    "Explainer": "explainer",
    "Explanation": "explanation",
    "Game": "interop.game",
    "Objective": "objective",
    "Profile": "profiling",
    "Progress": "progress",
    "PysmdlError": "errors",
    "SubsetAttribution": "interop.compat",
    "Term": "objective",
    "Tokens": "targets",
    "adapt": "adapters",
    "eagle": "objective.presets",
    "explain": "api",
    "explain_many": "api",
    "explain_scales": "scales",
    "explain_steps": "api",
    "Step": "api",
    "lima": "objective.presets",
    "pair": "objective.presets",
    "plot": "explanation.plotting",
    "load": "explanation",
    "open_store": "jobs.store",
    "report": "reporting",
    "smdl": "objective.presets",
    "vps": "objective.presets",
}
_MODULES = {"compat": "interop.compat", "heads": "scorers.heads"}  # those that live elsewhere than their name says


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # 40 ms, most of what `import pysmdl` took

        return version("pysmdl")
    value = getattr(_module(_HOMES[name]), name) if name in _HOMES else _module(_MODULES.get(name, name))
    globals()[name] = value
    return value


def _module(name: str) -> Any:
    if name.startswith("__") or find_spec(f"pysmdl.{name}") is None:
        raise AttributeError(f"module 'pysmdl' has no attribute {name!r}")
    return import_module(f"pysmdl.{name}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
