"""Whether the concepts that a model names are the ones that are there, and where it sees them (Aysel, Cai and
Prügel-Bennett, "Concept-Based Explainable Artificial Intelligence: Metrics and Benchmarks", 2025)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pysmdl.checks import as_array
from pysmdl.errors import number, whole_number
from pysmdl.explanation import Explanation
from pysmdl.metrics.maps import saliency_map

PARTS = 12  # of which a concept's is expected to fill one


def cgim(importance: ArrayLike, shares: ArrayLike) -> NDArray[np.float64]:
    """Concept global importance: whether a concept counts for the classes that have it.

        CGIM_j = cosine of importance[j] and shares[j]

    Args:
        importance: What concept j counts for class k: a linear head's weights, the concept's mean activation on the
            class, or their product. [J, K].
        shares: The share of the class's images that have the concept. [J, K].

    Returns:
        -1 to 1 for each concept, NaN where one of both is all zeros. [J].

    Raises:
        ValueError: they are not of one shape [J, K].
    """
    one, other = (as_array(*each).astype(np.float64) for each in (("importance", importance), ("shares", shares)))
    if one.ndim != 2 or one.shape != other.shape:
        raise ValueError(f"importance and shares must be [J, K]; got {list(one.shape)} and {list(other.shape)}")
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.where(lengths > 0, (one * other).sum(1) / np.where(lengths > 0, lengths, 1), np.nan)


def cem(values: ArrayLike, present: ArrayLike, count: int = 1) -> float:
    """Concept existence: the share of the most important concepts of an image that it has.

    Args:
        values: What each concept does to the decision, its weight times its activation. [J].
        present: Whether the image has it. [J], bool.
        count: Concepts that are looked at, the most important ones; of ties the first.

    Raises:
        ValueError: another shape, or more concepts than there are.
    """
    most = _most(values, count)
    there = as_array("present", present).astype(bool)
    if there.shape != (np.size(values),):
        raise ValueError(f"present must be [{np.size(values)}], one a concept; got {list(there.shape)}")
    return float(there[most].mean())


def clm(
    values: ArrayLike,
    maps: Sequence[NDArray[Any]] | NDArray[Any] | Explanation | Iterable[Explanation],
    centres: ArrayLike,
    count: int = 1,
    alpha: float = 1.0,
) -> float:
    """Concept location: the share of the most important concepts of an image that are seen where their part is.

        seen: the part's centre is one of the alpha * H * W / 12 highest points of the concept's map

    Of points that are equal, as those of a region are, it counts with which chance.

    Args:
        values, count: As in :func:`cem`.
        maps: Of each concept [J, H, W], or its explanation by ``value_map(positive=True)``.
        centres: x, y of each concept's part in pixels of the map, NaN where it is not to be seen. [J, 2].
        alpha: Twelfths of the picture. The paper's are 1, 3 and 6.

    Raises:
        ValueError: another shape, or a centre outside the picture.
    """
    most, alpha = _most(values, count), number("alpha", alpha, above=0)
    several = list(maps) if not isinstance(maps, Explanation) else [maps]
    places = as_array("centres", centres).astype(np.float64)
    if len(several) != np.size(values) or places.shape != (np.size(values), 2):
        raise ValueError(
            f"maps and centres must be one a concept, {np.size(values)}; got {len(several)} and {list(places.shape)}"
        )
    return float(np.mean([_seen(saliency_map(several[j]), places[j], alpha) for j in most]))


def _most(values: ArrayLike, count: int) -> NDArray[np.intp]:
    given, count = as_array("values", values).astype(np.float64), whole_number("count", count, 1)
    if given.ndim != 1 or count > given.size or not np.isfinite(given).all():
        raise ValueError(f"values must be finite, [J] of at least count={count} concepts; got {list(given.shape)}")
    return np.argsort(-given, kind="stable")[:count]


def _seen(found: NDArray[np.float64], centre: NDArray[np.float64], alpha: float) -> float:
    """The chance that a point is among the highest ones."""
    if np.isnan(centre).any():
        return 0.0
    height, width = found.shape
    column, row = np.floor(centre).astype(int).tolist()
    if not (0 <= column < width and 0 <= row < height):
        raise ValueError(f"centres must lie in the map, {width} x {height}; got {centre.tolist()}")
    value, room = found[row, column], alpha * height * width / PARTS
    above, equal = (found > value).sum(), (found == value).sum()
    return float(np.clip((room - above) / equal, 0, 1))
