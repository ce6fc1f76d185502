"""What several metrics share: which view is which, and checks of what they are given."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.explanation import Explanation
from pysmdl.types import Bools

KEPT, REMOVED = 0, 1  # the two views, as Explanation's arrays [2, ...] have them
ROUNDING = 1e-6  # of areas, which are sums in float32


def listed(explanations: Any, other: type = Explanation) -> list[Any]:
    """One or several explanations as a list, or what may stand in their place.

    Raises:
        ValueError: there is none, or something else among them.
    """
    kinds = (Explanation, other)
    found = [explanations] if isinstance(explanations, kinds) else list(explanations)
    if not found:
        raise ValueError("explanations must hold at least one; got none")
    if others := {type(each).__name__ for each in found if not isinstance(each, kinds)}:
        raise ValueError(f"explanations must be pysmdl.Explanation, each of them; got {', '.join(sorted(others))}")
    return found


def within(explanation: Explanation, area: float) -> Bools:
    """Which curve points cover at most this share of the area. [k + 1].

    Raises:
        ValueError: area is not from 0 to 1.
    """
    if not 0 <= area <= 1:
        raise ValueError(f"area must be from 0 to 1; got {area}")
    inside: Bools = explanation.area <= area + ROUNDING
    return inside


def of_points(explanation: Explanation, name: str, values: Any) -> NDArray[Any]:
    """What an explanation says of each view at each of its points, [2, k + 1, ...].

    Raises:
        ValueError: it is of another number of points.
    """
    array = np.asarray(values)
    wanted = [2, len(explanation.area)]
    if list(array.shape[:2]) != wanted:
        raise ValueError(
            f"explanation must have {name} of both views at each of its points, {wanted}; got {list(array.shape)}"
        )
    return array
