"""Requests under way: so many at once, each tried again after what passes, all held back when the server says so."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import time
from typing import Any

from pysmdl.errors import ScorerError, described

PASSES = (408, 425, 429, 500, 502, 503, 504)  # statuses after which the same request may be answered
FIRST, LONGEST = 0.1, 10.0  # seconds: the mean wait before the first retry, which doubles with each, and its bound
PATIENCE = 300.0  # seconds: a server that wants to be left alone for longer has failed


class Refused(Exception):
    """A request that may be answered when it is sent again; `after` seconds, where the server said so."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


@dataclass
class Call:
    """Requests that are of use together alone: once one has failed for good, none of the others is sent any more; what
    is under way when the budget is spent comes to its end.
    """

    failed: BaseException | None = None
    spent: Exception | None = None


class Spent(ScorerError):
    """No more requests may be sent."""


class Ended(Exception):
    """A function of the caller's own ends the process, or Ctrl-C came in it: on the loop that would end the loop."""


class Sender:
    """Sends through a function, on one event loop.

    Args:
        send: One try of one request. What passes is a Refused, a time-out or an OSError; all else is final.
        what: Whom it asks, for errors.
        concurrency: Requests in flight at once.
        retries: How often each is sent again.
        timeout: Seconds of one try.
        most: Tries in all; None: any number.
    """

    def __init__(
        self,
        send: Callable[[Any], Awaitable[Any]],
        what: str,
        concurrency: int,
        retries: int,
        timeout: float,
        most: int | None = None,
    ) -> None:
        self._send, self._what, self._retries, self._timeout = send, what, retries, timeout
        self._places = asyncio.Semaphore(concurrency)
        self._held_until = 0.0
        self._most, self._sent = most, 0

    async def ask(self, request: Any, call: Call) -> Any:
        """The reply to a request.

        Raises:
            ScorerError: the last try failed too, or one failed for good.
            Spent: no more tries are left.
            Ended: SystemExit or KeyboardInterrupt was raised, its cause.
            CancelledError: another request of the call has failed.
        """
        for tried in range(self._retries + 1):
            async with self._places:
                await self._held()
                if call.failed is not None:
                    raise asyncio.CancelledError
                self._spend()
                try:
                    return await asyncio.wait_for(self._try(request), self._timeout)
                except asyncio.TimeoutError:
                    why = f"no reply within {self._timeout:g} s"
                except (Refused, OSError) as error:
                    why = str(error) or type(error).__name__
                    self._hold(getattr(error, "after", None))
                except (ScorerError, Ended):
                    raise
                except Exception as error:  # of a function of the caller's own
                    raise ScorerError(f"{self._what} failed: {described(error)}") from error
            if tried < self._retries:
                await asyncio.sleep(min(LONGEST, FIRST * 2**tried) * random.uniform(0.5, 1.5))
        raise ScorerError(f"{self._what} failed {self._retries + 1} times, the last time with: {why}")

    async def _try(self, request: Any) -> Any:
        try:
            return await self._send(request)
        except (SystemExit, KeyboardInterrupt) as error:
            raise Ended from error

    def _spend(self) -> None:
        if self._sent == self._most:
            raise Spent(f"{self._what} was sent max_requests={self._most} requests; what they said is kept")
        self._sent += 1

    def _hold(self, seconds: float | None) -> None:
        """Send nothing for so long."""
        if seconds is None:
            return
        if seconds > PATIENCE:
            raise ScorerError(f"{self._what} asks to be left alone for {seconds:g} s")
        self._held_until = max(self._held_until, asyncio.get_running_loop().time() + seconds)

    async def _held(self) -> None:
        while (left := self._held_until - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(left)


def seconds_after(header: str | None) -> float | None:
    """What a Retry-After header says, a number of seconds or a date; None where it says nothing."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time())
    except ValueError:
        return None


@lru_cache(maxsize=1)
def loop_of(process: int) -> asyncio.AbstractEventLoop:
    """The event loop of all requests of a process, in a thread that ends with it."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="pysmdl-requests", daemon=True).start()
    return loop
