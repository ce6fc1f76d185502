"""A job's inputs on their way into workers' hands: pieces of them, and what may kill a worker alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import islice

from pysmdl.jobs.entries import Entry
from pysmdl.jobs.ray_hand import Hand
from pysmdl.jobs.state import State
from pysmdl.jobs.suspects import Suspects

PIECE = 4  # inputs that are handed over at a time
LEAST = 4  # inputs that a worker has at hand near the end
AHEAD = 1.5  # seconds' inputs beyond what its engine takes at once, before: thrice the time between two reports


class Feed:
    """What is left of a job, handed to workers as they need it.

    Args:
        entries: All of it.
        at_once: Inputs that an engine takes at once.
        suspects: What workers died of, perhaps.
    """

    def __init__(self, entries: Iterable[Entry], at_once: int, suspects: Suspects) -> None:
        self._entries, self._at_once, self._suspects = iter(entries), at_once, suspects
        self._ended = False

    def left(self, hands: Iterable[Hand]) -> bool:
        """Whether anything is, here or in workers' hands."""
        return not self._ended or bool(self._suspects) or any(hand.leased for hand in hands)

    def give(self, hand: Hand, hands: Sequence[Hand], state: State) -> None:
        """Keep as much in a worker's hands as its engine takes, and less near the end, for the others' sake. Suspects
        go to one that has nothing: to the new one in a dead one's place, first of all.
        """
        if hand.leased and hand.fed == hand.done and (self._ended or hand.suspects or self._suspects):
            hand.flush()
        if hand.begun is None or (hand.suspects and hand.leased):
            return
        hand.suspects = False
        if self._suspects and not hand.leased:
            hand.give(self._suspects.next())
            hand.suspects = True
            return
        most = self._most(hand, len(hands), state)
        while not self._ended and hand.fed - hand.done < most:
            hand.give(self._next(PIECE))

    def _most(self, hand: Hand, count: int, state: State) -> int:
        most = self._at_once + max(3 * PIECE, math.ceil(AHEAD * hand.rate))
        if state.total is None:
            return most
        return max(LEAST, min(most, (state.total - state.done - state.failed) // (2 * count)))

    def _next(self, count: int) -> list[Entry]:
        piece = list(islice(self._entries, count))
        self._ended = len(piece) < count
        return piece
