"""What may go along with a round of one input: room in its last batch, by what batches of this kind have taken."""

from __future__ import annotations

from pysmdl.engine.device.tuner import Tuner

WORTH = 0.5  # rows that go along may cost this much of what they promise: chances are guesses, and times vary


class Spare:
    """Room beside a round, see :class:`pysmdl.engine.requests.ahead.Room`.

    Args:
        tuner: Of the batches of the input's kind, with their times.
        wave: Rows that are answered in the time of one; None: that is in the times.
        said: The caller's own bound; True: as many as there is room for, whatever they take. None: as the times say.
        captured: Whether each number of rows takes a graph of its own; then only what is sure goes along unsaid, as
            times vary, and with them would what is likely: hardly a graph would be replayed.
    """

    def __init__(self, tuner: Tuner, wave: int | None, said: bool | int | None, captured: bool = False) -> None:
        self._tuner, self._wave, self._said, self._captured = tuner, wave, said, captured

    @property
    def _most(self) -> int:
        """Rows of a batch; twice as many where it is still being found out whether these are better."""
        return self._wave or self._tuner.rows * (1 if self._tuner.tuned else 2)

    def left(self, rows: int) -> int:
        """Rows that the last batch of so many has room for, within the caller's bound."""
        if self._captured and self._said is None:
            return 0
        room = -rows % self._most
        return room if self._said is None or self._said is True else min(self._said, room)

    def worth(self, rows: int, more: int, saved: int, chance: float) -> bool:
        """Whether `more` rows beside `rows` cost clearly less than they promise: with this chance, a batch of `saved`.

        What is sure to be asked (chance 1) costs a GPU no more now than later, and saves it a wait for the host.
        """
        if self._said is not None or chance == 1:
            return True
        costs = self._seconds(rows + more) - self._seconds(rows)
        return costs <= WORTH * chance * self._seconds(saved)

    def _seconds(self, rows: int) -> float:
        """Of so many rows in batches as large as they may be."""
        full, part = divmod(rows, self._most)
        of = self._tuner.times.of
        return (of(part) if part else 0.0) + (full * of(self._most) if full else 0.0)
