"""What rows of a text have in common at their beginning: which of them run on the keys and values of which others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pysmdl.models.text import Ids, TokenRows, in_front

CALL = 192  # tokens that a call of the network costs beside its own: rows are filled up rather than run apart
WHOLE = -1  # the trunk that is no row of the batch: the text itself


@dataclass(frozen=True)
class Group:
    """Rows that are run together, each from the same token on.

    Attributes:
        rows: Which.
        start: Their first tokens that are not run.
        trunk: The row whose keys and values these have; WHOLE: the text's.
    """

    rows: Ids
    start: int
    trunk: int


def packed(rows: TokenRows) -> TokenRows:
    """The rows without the tokens that nobody attends to, the others where they were."""
    first, lengths = in_front(rows.seen)
    if (lengths == rows.lengths).all():
        return rows
    ids, positions = (np.take_along_axis(each, first, 1) for each in (rows.ids, rows.positions))
    seen = np.take_along_axis(rows.seen, first, 1)
    return TokenRows(ids, seen, positions, lengths, rows.after, rows.whole, tally=rows.tally)


def planned(rows: TokenRows, most: Ids) -> tuple[list[Group], list[Group]]:
    """What is run first, a row each, as others begin alike, and then all other rows.

    A row may be a trunk: others run on its keys and values as far as they agree with it. Trunks are the rows that spare
    most tokens, one after the other, as long as they spare more than two calls cost.

    Args:
        rows: Of one text.
        most: How many first tokens of each may be left out, since nothing is asked of them. [b].
    """
    starts = np.minimum(rows.starts(), most)
    on = np.full(len(rows), WHOLE)
    common = np.minimum(alike(_codes(rows)), most)  # [trunk, row]
    trunks: list[Group] = []
    free = np.ones(len(rows), bool)
    while free.sum() > 1:
        spared = np.where(free, common - starts, 0).clip(0)
        np.fill_diagonal(spared, 0)
        best = int(spared.sum(1).argmax())
        if spared[best].sum() <= 2 * CALL:
            break
        if free[best]:
            trunks.append(Group(np.array([best]), int(starts[best]), int(on[best])))
            free[best] = False
        found = free & (spared[best] > 0)
        starts[found], on[found] = common[best, found], best
    rest = np.flatnonzero(free)
    groups = [
        group
        for trunk in np.unique(on[rest])
        for group in _batched(rest[on[rest] == trunk], starts, rows.lengths, int(trunk))
    ]
    return trunks, groups


def alike(codes: Ids) -> Ids:
    """How many first entries each two rows have in common. [b, L] to [b, b]."""
    order = np.array(sorted(range(len(codes)), key=lambda row: codes[row].tobytes()))
    differ = codes[order[1:]] != codes[order[:-1]]
    beside = np.where(differ.any(1), differ.argmax(1), codes.shape[1])
    common = np.full((len(codes), len(codes)), codes.shape[1], np.int64)
    for place, row in enumerate(order[:-1]):
        later = order[place + 1 :]
        common[row, later] = common[later, row] = np.minimum.accumulate(beside[place:])
    return common


def _codes(rows: TokenRows) -> Ids:
    """A number for all that tells a token from another; another one for each row's end. [b, L]."""
    codes = rows.ids | (rows.positions << 32) | (rows.seen.astype(np.int64) << 60)
    if rows.blank is not None:  # these rows have the text's own ids, each in its place
        codes = rows.blank.view(np.int32).astype(np.int64)
    beyond = np.arange(codes.shape[1]) >= rows.lengths[:, None]
    return np.where(beyond, -1 - np.arange(len(codes))[:, None], codes)


def _batched(chosen: Ids, starts: Ids, lengths: Ids, trunk: int) -> list[Group]:
    """Rows of one trunk in the groups that cost least: a call each, and all rows from the first one's start on."""
    chosen = chosen[np.argsort(starts[chosen], kind="stable")]
    costs: NDArray[np.float64] = np.append(np.full(len(chosen), np.inf), 0)  # of the rows from each on
    cuts = np.zeros(len(chosen), np.int64)
    for first in range(len(chosen) - 1, -1, -1):
        longest = np.maximum.accumulate(lengths[chosen[first:]]) - starts[chosen[first]]
        cost = CALL + longest * np.arange(1, len(longest) + 1) + costs[first + 1 :]
        cuts[first] = first + 1 + cost.argmin()
        costs[first] = cost.min()
    groups, first = [], 0
    while first < len(chosen):
        groups.append(Group(chosen[first : cuts[first]], int(starts[chosen[first]]), trunk))
        first = int(cuts[first])
    return groups
