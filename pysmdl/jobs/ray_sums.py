"""What all workers of a job on Ray did, those that are gone, too: the job's state, summed from their reports."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from pysmdl.jobs.ray_hand import Hand
from pysmdl.jobs.ray_worker import News
from pysmdl.jobs.state import State

log = logging.getLogger("pysmdl")


class Sums:
    """Keeps a job's state.

    Args:
        state: Is told how far it is.
        count: Workers at a time.
    """

    def __init__(self, state: State, count: int) -> None:
        self._state, self._count = state, count
        self._past = News()  # of workers that are gone
        self._put_aside: set[str] = set()
        self._failed = 0  # with the workers

    @property
    def failed(self) -> int:
        """Inputs that did, with workers or by taking them along."""
        return len(self._put_aside) + self._failed

    def heard(self, hand: Hand, news: News) -> None:
        """A worker's report.

        Raises:
            Exception: it ended the worker.
        """
        hand.done, hand.last = news.done, news
        self._state.stored += len(news.stored)
        self._failed += len(news.failed)
        for id in news.failed:
            log.error("input %r failed; the store's failures say why", id)
        for id in (*news.stored, *news.failed):
            hand.leased.pop(id, None)
        if news.error is not None:
            raise news.error

    def gone(self, hand: Hand, stored: Iterable[str], failed: Iterable[str], lost: int) -> None:
        """A worker died; of what it had in hand so much is in the store, whether or not it could say so."""
        self._state.stored += len(hand.leased.keys() & set(stored))
        self._failed += len(hand.leased.keys() & set(failed))
        self._past.done += hand.fed - lost
        self._past.outlive(hand.last)

    def put_aside(self, id: str) -> None:
        """An input that takes its worker along."""
        self._put_aside.add(id)

    def tell(self, hands: Sequence[Hand]) -> None:
        """Bring the state up to date."""
        state, every = self._state, [self._past, *(hand.last for hand in hands)]
        state.evaluations = sum(news.evaluations for news in every)
        shares = [news.model_seconds or 0.0 for news in every]
        state.model_seconds = sum(shares) / self._count if any(shares) else None
        state.rows, state.room = (sum(getattr(news, name) for news in every) for name in ("rows", "room"))
        state.failed = self.failed
        state.done = self._past.done + sum(hand.done for hand in hands) - self._failed
        state.workers = [hand.line for hand in hands]
