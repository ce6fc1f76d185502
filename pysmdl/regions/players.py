"""Players by name: the columns of a row, and those that have no grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pysmdl.errors import RegionError, whole_number
from pysmdl.regions.label_maps import checked_weights
from pysmdl.types import Regions


def columns(names: Sequence[str] | int, categorical: Mapping[str, Sequence[str]] | None = None) -> Regions:
    """The columns of a row, each a player that counts for one; those of a category, one-hot, are one player together.

    Args:
        names: Of the columns in their order, or their number.
        categorical: The columns of each category, by its name: it stands where the first of them does.

    Raises:
        ValueError: a column that is none, or stands in two categories.
    """
    if isinstance(names, int):
        return Regions(np.arange(names, dtype=np.int32), names, weights=np.ones(names))
    of_column: dict[str, str] = {}
    if categorical is not None and not isinstance(categorical, Mapping):
        raise ValueError(f"categorical must be a dict of a category's name to its columns; got {categorical!r}")
    for category, members in (categorical or {}).items():
        for name in [members] if isinstance(members, str) else members:
            if name not in names or name in of_column:
                raise ValueError(
                    f"categorical, or players, must name each column once at most; got {name!r} in {category!r}"
                )
            of_column[name] = category
    players = list(dict.fromkeys(of_column.get(name, name) for name in names))
    labels = np.array([players.index(of_column.get(name, name)) for name in names], np.int32)
    return Regions(labels, len(players), tuple(players), weights=np.ones(len(players)))


def named_by_columns(regions: Regions, names: Sequence[str]) -> Regions:
    """Players of a row that have no names, as those of a label map, called by their columns."""
    if regions.names or regions.labels.shape != (len(names),):
        return regions
    of_player = (", ".join(np.array(names, object)[regions.labels == player]) for player in range(regions.n))
    return replace(regions, names=tuple(of_player))


def players(names: Sequence[str] | int, groups: Sequence[str] = (), weights: Any = None) -> Regions:
    """Players that have no grid, for a removal that knows what each stands for: sentences, options, parts of a scene.

    Args:
        names: Their names, or their number.
        groups: What each belongs to.
        weights: What each counts for on the curves' axis; None: one.

    Raises:
        ValueError: no player.
        RegionError: groups or weights of another number.
    """
    named = () if isinstance(names, int) else tuple(names)
    n = whole_number("players", names if isinstance(names, int) else len(named), 1)
    if len(groups) not in (0, n):
        raise RegionError(f"groups must be {n}, one a player; got {len(groups)}")
    counts = np.ones(n) if weights is None else checked_weights(weights, n)
    return Regions(np.arange(n, dtype=np.int32), n, named, tuple(groups), counts)


def without_grid(spec: Any) -> bool:
    """Whether these are players that have no grid: a number, names, or what :func:`players` makes."""
    if isinstance(spec, Regions):
        return spec.labels.shape == (spec.n,) and spec.weights is not None
    texts = isinstance(spec, (list, tuple)) and len(spec) > 0 and all(isinstance(each, str) for each in spec)
    return texts or (isinstance(spec, int) and not isinstance(spec, bool))
