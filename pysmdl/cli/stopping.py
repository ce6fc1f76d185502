"""Ctrl-C, and the signals that mean the same: at once, or when what is being written is written."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME = 1.0  # seconds: a signal that comes so soon after another means no more than that


class _Once:
    """Whether a signal is the first, or comes long enough after the first to be meant anew."""

    def __init__(self) -> None:
        self._first: float | None = None

    def __call__(self) -> bool:
        now = time.monotonic()
        new = self._first is None or now - self._first > SAME
        self._first = now if self._first is None else self._first
        return new


@contextmanager
def stoppable() -> Iterator[list[int]]:
    """What runs inside is stopped by SIGTERM and SIGHUP as by Ctrl-C, unless they are ignored or handled already. The
    list gets the signals that came.
    """
    new, came = _Once(), list[int]()

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if new():
            raise KeyboardInterrupt

    own = (signal.SIG_DFL, signal.default_int_handler)
    before = _handle({each: stop for each in SIGNALS if signal.getsignal(each) in own})
    try:
        yield came
    finally:
        _handle(before)


@contextmanager
def held() -> Iterator[None]:
    """Signals wait until what runs inside is done, unless somebody insists."""
    came: list[int] = []
    new = _Once()

    def hold(number: int, frame: FrameType | None) -> None:
        insists = new() and bool(came)
        came.append(number)
        if insists:
            raise KeyboardInterrupt

    before = _handle({each: hold for each in SIGNALS if callable(signal.getsignal(each))})
    try:
        yield
    finally:
        _handle(before)
        if came:
            signal.raise_signal(came[0])


@contextmanager
def asking(ask: Callable[[int], None], seconds: float) -> Iterator[None]:
    """Signals ask what runs inside to end: the first with 1, one that insists with 2, and so many seconds after either
    it is asked with 0. Afterwards the signal takes its course.
    """
    came: list[int] = []
    new = _Once()

    def stop(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGALRM:
            ask(0)
        elif new():
            came.append(number)
            signal.setitimer(signal.ITIMER_REAL, seconds)
            ask(min(len(came), 2))

    signals = [each for each in SIGNALS if callable(signal.getsignal(each))]
    before = _handle(dict.fromkeys((*signals, signal.SIGALRM), stop))
    try:
        yield
    finally:
        if before:
            signal.setitimer(signal.ITIMER_REAL, 0)
        _handle(before)
        if came:
            signal.raise_signal(came[0])


def _handle(handlers: dict[signal.Signals, Any]) -> dict[signal.Signals, Any]:
    """Set handlers; returns those of before. Only the main thread may, and only it is stopped by signals."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {each: signal.signal(each, handler) for each, handler in handlers.items()}
