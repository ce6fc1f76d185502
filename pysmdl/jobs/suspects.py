"""Which input ends the process that explains it: found by halving what was in hand when a worker died."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from pysmdl.jobs.entries import Entry


class Suspects:
    """Pieces that may hold an input which takes its worker along. A worker gets one, and nothing else meanwhile.

    Args:
        attempts: Times that an input alone may take its worker along before it counts as failed.
    """

    def __init__(self, attempts: int) -> None:
        self._attempts = attempts
        self._pieces: deque[list[Entry]] = deque()
        self.deaths: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def next(self) -> list[Entry]:
        """The oldest piece."""
        return self._pieces.popleft()

    def lost(self, piece: Sequence[Entry]) -> Entry | None:
        """A worker died with these in hand: halves of them are suspects. One that was alone often enough is returned:
        it is the one.
        """
        if len(piece) > 1:
            half = len(piece) // 2
            self._pieces += [list(piece[:half]), list(piece[half:])]
            return None
        for entry in piece:
            self.deaths[entry.id] = self.deaths.get(entry.id, 0) + 1
            if self.deaths[entry.id] >= self._attempts:
                return entry
            self._pieces.append([entry])
        return None
