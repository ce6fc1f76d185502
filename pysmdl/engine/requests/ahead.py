"""Rows of rounds to come that go along with the one asked for, where the device has room for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from heapq import heappop, heappush
from itertools import count, islice
from typing import Protocol

import numpy as np

from pysmdl.engine.requests.memo import Memo
from pysmdl.errors import ScorerError
from pysmdl.search.vocabulary import Ask
from pysmdl.types import Floats, Ints

RANKS = 8  # candidates of a round that are thought of as its winner
FOLLOWED = 16  # asks that are thought of as following one: each takes the host some 50 us
# How often the winner was the first, second, ... of the round before (49 regions of photographs, a CNN, exact and
# backward): what is believed before a search has shown its own, with the weight of twelve rounds.
BELIEVED = 12 * np.array([0.46, 0.17, 0.10, 0.05, 0.04, 0.03, 0.02, 0.02, 0.11])

Views = Callable[[Ask], Mapping[str, Ints]]


class Room(Protocol):
    """What a device has room for beside a round."""

    def left(self, rows: int) -> int:
        """How many rows may go along with so many."""

    def worth(self, rows: int, more: int, saved: int, chance: float) -> bool:
        """Whether `more` rows beside `rows` cost less than they promise: with this chance, a batch of `saved`."""


class Ahead:
    """Of one input: which rows went ahead of their ask, and which are likely to be asked for.

    Args:
        memo: Wants them.
        k: Regions that the search orders.
        room: None: nothing goes ahead.

    Attributes:
        sent: Rows that went ahead.
    """

    def __init__(self, memo: Memo, k: int, room: Room | None) -> None:
        self._memo, self._k, self._room = memo, k, room
        self._unasked: set[int] = set()  # numbers of rows that nobody has asked for yet
        self._unsound: set[int] = set()  # those of which the model gave no number
        self._won = BELIEVED.copy()
        self._last: Ask | None = None
        self.sent = 0

    @property
    def for_nobody(self) -> int:
        """Rows that went ahead and were never asked for."""
        return len(self._unasked)

    def unasked(self, start: int, stop: int) -> Ints:
        """Which of the rows start..stop-1 nobody has asked for yet, as offsets."""
        return np.array([row - start for row in range(start, stop) if row in self._unasked], np.int32)

    def answered(self, first: int, answer: Floats) -> None:
        """Look at the answers [b, V] to the rows from this number on."""
        if self._unasked:
            self._unsound.update((first + np.flatnonzero(~np.isfinite(answer).all(1))).tolist())

    def asked(self, ids: Ints) -> int:
        """How many of these rows went ahead: it is now that they are asked for.

        Raises:
            ScorerError: the model gave no number for one of them.
        """
        if not self._unasked:
            return 0
        bad = len(self._unsound.intersection(ids.tolist())) if self._unsound else 0
        if bad:
            raise ScorerError(f"the model returned NaN or infinity for {bad} of {len(ids)} rows that went ahead")
        before = len(self._unasked)
        self._unasked.difference_update(ids.tolist())
        return before - len(self._unasked)

    def go(self, ask: Ask, new: int, views: Views) -> None:
        """Have what is likely to follow an ask go along with its `new` rows; with none nothing has to be sent."""
        if self._room is None:
            return
        self._learn(ask)
        if not new:
            return
        if ask.ahead is not None:
            rows = self._unknown(np.concatenate(list(views(ask.ahead).values())))
            if self._room.worth(new, len(rows), len(rows), 1.0):
                new += self._want(rows)
        left = self._room.left(new) if ask.likely else 0
        for chance, follows in islice(self._following(ask), FOLLOWED):
            if left <= 0:
                return
            rows = self._unknown(np.concatenate(list(views(follows).values())))
            more = min(left, len(rows))
            if not more:
                continue
            if not self._room.worth(new, more, len(rows), chance * more / len(rows)):
                return
            self._want(rows[:more])
            new, left = new + more, left - more

    def _following(self, ask: Ask) -> Iterator[tuple[float, Ask]]:
        """Asks that may follow, each with its chance, the most likely first: of the next round and of those after."""
        share = (self._won / self._won.sum()).tolist()
        turn, bases = count(), set()
        found = [(-1.0, next(turn), ask)]
        while found:
            chance, _, here = heappop(found)
            base = frozenset(here.base.tolist())
            if base in bases:  # reached in another order, its subsets are the same
                continue
            bases.add(base)
            if here is not ask:
                yield -chance, here
            if not here.complement and len(here.base) + 1 >= self._k:
                continue
            for rank, winner in enumerate(here.likely[:RANKS]):
                heappush(found, (chance * share[rank], next(turn), here.after(winner)))

    def _learn(self, ask: Ask) -> None:
        """Count at which place of what looked likely the winner of the round before stood."""
        last, self._last = self._last, ask
        if last is not None and last.likely and len(ask.base) == len(last.base) + 1:
            winner = int(ask.base[-1])
            rank = last.likely.index(winner) if winner in last.likely else RANKS
            self._won[min(rank, RANKS)] += 1

    def _unknown(self, rows: Ints) -> Ints:
        return rows[~self._memo.knows(rows)]

    def _want(self, rows: Ints) -> int:
        """Have these rows go along; returns how many of them are new."""
        before = self._memo.wanted
        self._memo.want(rows)
        self._unasked.update(range(before, self._memo.wanted))
        self.sent += self._memo.wanted - before
        return self._memo.wanted - before
