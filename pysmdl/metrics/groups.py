"""Whether explanations are worth as much to some groups of inputs as to others."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.checks import as_array
from pysmdl.errors import number, one_of
from pysmdl.explanation import Explanation
from pysmdl.metrics.checks import listed

KINDS = ("accuracy", "error")


@dataclass(frozen=True)
class Gaps:
    """A quality of explanations by group.

    Attributes:
        overall: Of all inputs.
        groups: By group.
        largest: The most that a group has less than all, signed.
        mean: The mean over pairs of groups of what lies between them.
    """

    overall: float
    groups: dict[Any, float]
    largest: float
    mean: float


def group_gaps(values: Any, groups: Sequence[Any], of: Callable[[NDArray[Any]], Any] = np.mean) -> Gaps:
    """Gaps of a quality between groups of inputs (Balagopalan et al., "The Road to Explainability is Paved with Bias",
    FAccT 2022).

        largest = max over g of F(all) - F(g)             mean = mean over g < h of |F(g) - F(h)|

    Args:
        values: What is known of each explanation, more is better: :func:`fidelity`, an insertion AUC, a share in a box.
            [inputs] or [inputs, ...].
        groups: Of each input, its group. [inputs], two or more of them.
        of: F, from some inputs' values to a number: a mean, or of [inputs, 2] an area under ROC.

    Raises:
        ValueError: another number of inputs, or a single group.
    """
    if not callable(of):
        raise TypeError(f"of must be callable, some inputs' values to a number; got {of!r}")
    given, labels = as_array("values", values), list(groups)
    if given.ndim == 0 or len(given) != len(labels):
        raise ValueError(f"groups must name one of each of {list(given.shape)[:1]} inputs; got {len(labels)}")
    named = {name: np.array([each == name for each in labels]) for name in dict.fromkeys(labels)}
    if len(named) < 2:
        raise ValueError(f"groups must be two at least; got {list(named)}")
    found = {name: float(of(given[member])) for name, member in named.items()}
    overall = float(of(given))
    apart = [abs(one - other) for one, other in itertools.combinations(found.values(), 2)]
    return Gaps(overall, found, max(overall - each for each in found.values()), float(np.mean(apart)))


def fidelity(
    explanations: Explanation | Iterable[Explanation], kind: str = "accuracy", at: float = 0.5
) -> NDArray[np.float64]:
    """How well the models that were fitted around inputs say what the model itself does of these. [inputs].

    Args:
        explanations: By ``search="lime"``, in whose notes the fitted model's score is.
        kind: "accuracy": 1 where both scores lie on the same side of `at`, else 0; "error": the distance of both.
        at: Where the decision turns, of a probability of two classes 0.5.

    Raises:
        ValueError: no such kind, or an explanation of another method.
    """
    if kind not in KINDS:
        raise one_of("kind", kind, KINDS)
    found, at = listed(explanations), number("at", at)
    if any("surrogate" not in each.notes for each in found):
        raise ValueError('explanations must be of a method that fits a model and says so, search="lime"')
    fitted = np.array([each.notes["surrogate"] for each in found], np.float64)
    own = np.array([each.deletion[0] for each in found], np.float64)
    if kind == "error":
        return np.abs(fitted - own)
    same: NDArray[np.float64] = ((fitted > at) == (own > at)).astype(np.float64)
    return same
