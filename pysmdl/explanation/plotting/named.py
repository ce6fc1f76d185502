"""What is written on pictures: what is explained, what is enough, what the map shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pysmdl.explanation.data import ExplanationData
from pysmdl.explanation.plotting.panels import NUMBERED
from pysmdl.targets import title, why


class Named:
    """An explanation and the names of its classes.

    Args:
        names: By class; None: its own.
    """

    def __init__(self, explanation: ExplanationData, names: Sequence[str] | Mapping[int, str] | None = None) -> None:
        self.explanation = explanation
        self.names = explanation.names if names is None else names
        self.best = explanation.enough()

    def title(self, target: Any) -> str:
        """A target in words."""
        return title(target, self.names)

    @property
    def why(self) -> str:
        """What is explained, how the model scores it, and what it says where that is something else."""
        e = self.explanation
        found = f"{why(e.target, self.names)} {float(e.deletion[0]):.2f}"
        return found if e.said in (e.target, -1) else f"{found}\n(the model says {self.title(e.said)})"

    @property
    def enough(self) -> str:
        """The fewest regions that are enough."""
        e, best = self.explanation, self.best
        if e.flat:
            return "nothing decides"
        if best == 0:
            return f"no {e.called[:-1]} is needed:\nwithout any it gives {float(e.insertion[0]):.2f}"
        share = f"{100 * float(e.area[best]):.0f} % of the {e.extent}"
        are = "is" if best == 1 else "are"
        return f"{best} of {e.n} {e.called} {are} enough:\n{share} gives {float(e.insertion[best]):.2f}"

    @property
    def importance(self) -> tuple[str, str]:
        """Title and unit of the map."""
        e = self.explanation
        if e.flat:
            low, high = e.reach
            return f"nothing decides:\nthe score moves by {np.nan_to_num(high - low):.3f}", "change of the score"
        if e.attribution is not None:
            return f"what {e.notes.get('search', 'the method')} gives each {e.called[:-1]}", "attribution"
        return f"what each {e.called[:-1]} adds", "change of the score"

    @property
    def numbered(self) -> int:
        """How many regions bear their number: those that are enough, three at least."""
        e = self.explanation
        return 0 if e.flat else min(max(self.best, 3), NUMBERED, len(e.order))


def differences(explanations: Sequence[ExplanationData]) -> list[str]:
    """A word for each: what of input, search and objective is not the same for all; else its number."""
    told = [(e.id or "", str(e.notes.get("search", "")), str(e.notes.get("objective", ""))) for e in explanations]
    differing = [part for part in zip(*told, strict=True) if len(set(part)) > 1]
    if not differing:
        return [str(e.index) for e in explanations] if len(explanations) > 1 else [""]
    return [", ".join(filter(None, each)) for each in zip(*differing, strict=True)]
