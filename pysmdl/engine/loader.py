"""Loader: reads a call's inputs, and makes them ready before their turn where threads may."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any


class Loader:
    """The inputs, one call each that gives it loaded, in their order.

    Args:
        inputs: What the caller gave. Read in the engine's own thread, a few ahead of what is taken.
        load: Makes one ready, as far as that needs no device; None: they are.
        threads: That load ahead, where there is more than one input; 0: each is loaded when it is called for.
        lend: An input as it may be loaded later, the caller's memory filled anew by then, and whether by a thread.

    Attributes:
        single: Whether there is known to be a single input.
        broken: What reading the inputs raised, which ended them; None while all is well.
        ended: Whether all were taken.
    """

    def __init__(
        self,
        inputs: Iterable[Any],
        load: Callable[[Any], Any] = lambda given: given,
        threads: int = 0,
        lend: Callable[[Any], tuple[Any, bool]] = lambda given: (given, True),
    ) -> None:
        self.single = isinstance(inputs, Sized) and len(inputs) == 1
        self.broken: Exception | None = None
        self.ended = False
        self._source: Iterator[Any] | None = iter(inputs)
        self._load, self._lend = load, lend
        self._pool = ThreadPoolExecutor(threads, "pysmdl-loader") if threads and not self.single else None
        self._most = 2 * threads if self._pool else 1
        self._jobs: deque[Callable[[], Any]] = deque()

    @property
    def ready(self) -> bool:
        """Whether the next one, or the end, needs no waiting for a thread."""
        if self._pool is None:
            return True
        self._read()
        head = self._jobs[0] if self._jobs else None
        return not isinstance(head, _Lent) or head.done

    def take(self) -> Callable[[], Any] | None:
        """A call that gives the next input loaded, or raises what loading it raised; None at the end."""
        self._read()
        if not self._jobs:
            self.ended = True
            return None
        return self._jobs.popleft()

    def give_back(self, load: Callable[[], Any]) -> None:
        """What was taken comes next again; called anew, it loads anew what did not load."""
        self._jobs.appendleft(load)
        self.ended = False

    def close(self) -> None:
        """Let go of the threads; what they are at ends by itself."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _read(self) -> None:
        while self._source is not None and len(self._jobs) < self._most:
            try:
                given = next(self._source)
            except StopIteration:
                self._source = None
            except Exception as error:
                self._source, self.broken = None, error
            else:
                self._jobs.append(self._job(given))

    def _job(self, given: Any) -> Callable[[], Any]:
        if self._pool is not None:
            with suppress(Exception):  # what is wrong with it is said at its turn
                lent, threaded = self._lend(given)
                load = partial(self._load, lent)
                return _Lent(load, self._pool.submit(load)) if threaded else load
        return partial(self._load, given)


class _Lent:
    """A call for what a thread loads ahead. What failed there for want of memory is loaded anew, here."""

    def __init__(self, load: Callable[[], Any], future: Future[Any]) -> None:
        self._load, self._future = load, future

    @property
    def done(self) -> bool:
        return self._future.done()

    def __call__(self) -> Any:
        try:
            return self._future.result()
        except MemoryError:
            return self._load()
