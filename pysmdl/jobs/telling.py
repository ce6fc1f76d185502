"""What one sees of a job: a table on a terminal, lines in a log, a status beside the store, Prometheus."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pysmdl.jobs.places import Place
from pysmdl.jobs.state import State, line, prometheus
from pysmdl.progress.bar import terminal
from pysmdl.progress.lines import clock

SHOWN, WRITTEN, LOGGED = 0.5, 2.0, 30.0  # seconds between two states

log = logging.getLogger("pysmdl")


@contextmanager
def telling(state: State, place: Place, share: str, progress: bool, port: int | None = None) -> Iterator[None]:
    """Tell of a state while what is inside changes it, from a thread of its own; what cannot be told does not matter.

    Args:
        state: How far the job is.
        place: The store, which gets status-SHARE.json.
        share: Of the job.
        progress: Whether it is shown: as a table on a terminal, else as lines on standard error.
        port: Of 127.0.0.1, where Prometheus finds the numbers; None: nowhere.

    Raises:
        OSError: the port is taken.
    """
    with ExitStack() as stack:
        tellers: list[Callable[[], None]] = [_every(WRITTEN, lambda: write(state, place, share))]
        if progress and terminal(sys.stderr):
            tellers.append(stack.enter_context(_table(state)))
        elif progress:
            tellers.append(_every(LOGGED, lambda: _say(state), at_once=False))
        if port is not None:
            stack.enter_context(serving(state, port))
        over = threading.Event()
        thread = threading.Thread(target=_tell, args=(tellers, over), name="pysmdl-telling", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(5.0)
            state.end("failed" if sys.exc_info()[0] is not None else "done")
            write(state, place, share)


def write(state: State, place: Place, share: str) -> None:
    """status-SHARE.json, whole or not at all; not where the store is away."""
    with suppress(Exception):
        place.write(f"status-{share}.json", json.dumps(state.now().plain()).encode() + b"\n")


@contextmanager
def serving(state: State, port: int) -> Iterator[int]:
    """Serve the numbers on 127.0.0.1; gives the port."""

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = prometheus(state.now().plain()).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Metrics)
    except OSError as error:
        raise OSError(error.errno, f"metrics_port {port} cannot be had: {error.strerror}") from None
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="pysmdl-metrics", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def _tell(tellers: list[Callable[[], None]], over: threading.Event) -> None:
    while not over.wait(SHOWN):
        for tell in list(tellers):
            try:
                tell()
            except Exception:  # the terminal is gone, say: the job goes on
                tellers.remove(tell)


def _every(seconds: float, tell: Callable[[], None], at_once: bool = True) -> Callable[[], None]:
    last = 0.0 if at_once else time.monotonic()

    def told() -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            tell()

    return told


def _say(state: State) -> None:
    print(line(state.now().plain()), file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def _table(state: State) -> Iterator[Callable[[], None]]:
    """A table that changes, on standard error."""
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        yield lambda: live.update(table(state.now().plain()), refresh=True)


def table(state: dict[str, Any]) -> Any:
    """A status as a table of Rich's."""
    from rich.table import Table

    found = Table("done", "stored", "failed", "before", "a second", "left", "evaluations", "model", "batches")
    total = "" if state["total"] is None else f" of {state['total']}"
    left = "-" if state["seconds_left"] is None else clock(state["seconds_left"])
    shares = ("-" if state[name] is None else f"{state[name]:.0%}" for name in ("model_share", "batch_fill"))
    counts = (f"{state['done']}{total}", *(str(state[name]) for name in ("stored", "failed", "before")))
    found.add_row(*counts, f"{state['rate']:.2f}", left, str(state["evaluations"]), *shares)
    for each in state["workers"]:
        found.add_row(each)
    return found
