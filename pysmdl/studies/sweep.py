"""Whether explanations stand where settings that should not matter are others: seeds, divisions, baselines, budgets."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.errors import one_of
from pysmdl.explainer import Explainer
from pysmdl.explanation import Explanation
from pysmdl.metrics import pairwise_similarity
from pysmdl.settings import spelt_out

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pysmdl.settings import Settings

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sweep:
    """Explanations of each input under each combination of settings.

    Attributes:
        settings: The combinations. [s].
        explanations: By combination, then input. [s][inputs].
    """

    settings: tuple[dict[str, Any], ...]
    explanations: tuple[tuple[Explanation, ...], ...]

    def similarity(self, measure: str = "spearman") -> Values:
        """Of each input, how alike its maps are under each two combinations (:func:`pysmdl.metrics.similarity`).

        Returns:
            [inputs, s, s], symmetric.
        """
        return np.stack([pairwise_similarity(each, measure) for each in zip(*self.explanations, strict=True)])

    def summary(self, measure: str = "spearman") -> dict[str, float]:
        """What a table says of it: over pairs of combinations "mean", "least" and "deviation" of the similarity, of
        each input, then their means over inputs that have any; and "score_deviation", that of the insertion AUC over
        the combinations, which can be small where maps have nothing in common.
        """
        one, other = np.triu_indices(len(self.settings), 1)
        pairs = self.similarity(measure)[:, one, other]
        pairs = pairs[~np.isnan(pairs).all(1)]
        scores = np.array([[each.insertion_auc for each in row] for row in self.explanations])
        of_inputs = {
            "mean": np.nanmean(pairs, 1), "least": np.nanmin(pairs, 1), "deviation": np.nanstd(pairs, 1),
        }  # fmt: skip
        told = {name: float(each.mean()) if len(each) else float("nan") for name, each in of_inputs.items()}
        return told | {"score_deviation": float(scores.std(0).mean())}


@spelt_out(Explainer)
def sweep(
    items: Iterable[Any], model: Any, *, over: Mapping[str, Sequence[Any]], **settings: Unpack[Settings]
) -> Sweep:
    """Explain each input under every combination of some settings (Bansal, Agarwal and Nguyen, "SAM: The Sensitivity of
    Attribution Methods to Hyperparameters", CVPR 2020).

    Args:
        items: Inputs as :func:`pysmdl.explain_many` takes them; one input in a list. They are kept.
        model: As in :func:`pysmdl.explain`.
        over: By setting of :func:`pysmdl.explain` the values that it takes: ``{"seed": range(5), "baseline": ["black",
            "blur"]}``.
        **settings: As there, the same for all.

    Raises:
        ValueError: nothing to compare, no such setting, a setting twice, or no input.
    """
    if twice := sorted(over.keys() & settings.keys()):
        raise ValueError(f"over has {twice[0]!r}, which is given by itself, too: leave one of them out")
    known = list(inspect.signature(Explainer).parameters)[1:]  # but the model
    if unknown := next((name for name in over if name not in known), None):
        raise one_of("over", unknown, known)
    values = {name: list(each) for name, each in over.items()}
    chosen = tuple(dict(zip(values, each, strict=True)) for each in itertools.product(*values.values()))
    if len(chosen) < 2:
        raise ValueError(f"over must have two combinations of settings at least; got {len(chosen)}")
    inputs = list(items)
    if not inputs:
        raise ValueError("items must be inputs, one at least; got none")
    explainers = [Explainer(model, **{**settings, **own}) for own in chosen]  # all are checked before one runs
    return Sweep(chosen, tuple(tuple(each.run(inputs, ordered=True)) for each in explainers))
