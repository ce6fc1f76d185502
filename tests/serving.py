"""A classifier behind a server on loopback, for tests: slow, and as unreliable as it is told to be."""

from __future__ import annotations

import io
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image

SIDE = 12
WEIGHTS = np.random.default_rng(3).normal(size=(3 * SIDE * SIDE, 4))

Trouble = Callable[[int], Any]
"""The number of a request, from 0, to what happens to it: a status, (status, headers), "reset", "hang", or None."""


def logits(pixels: np.ndarray) -> list[float]:
    """Of pixels [12, 12, 3], linear in them."""
    return [float(each) for each in pixels.transpose(2, 0, 1).ravel() / 255 @ WEIGHTS / 8]


def pixels_of(body: bytes) -> np.ndarray:
    if body[:6] == b"\x93NUMPY":
        return np.load(io.BytesIO(body))
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGB"))


class Served:
    """What the server saw.

    Attributes:
        url: Where it listens.
        bodies: How often each body came.
        kinds: Content types.
        times: When each request came.
        most: Requests that it worked on at once, at most.
    """

    def __init__(self, delay: float, trouble: Trouble, answer: Callable[[bytes], Any] | None = None) -> None:
        self.delay, self.trouble, self.answer = delay, trouble, answer
        self.bodies: Counter[bytes] = Counter()
        self.kinds: set[str] = set()
        self.times: list[float] = []
        self.url = ""
        self.most = self._now = 0
        self.lock = threading.Lock()

    @property
    def count(self) -> int:
        return len(self.times)

    def enter(self, body: bytes, kind: str) -> Any:
        with self.lock:
            number = len(self.times)
            self.times.append(time.monotonic())
            self.bodies[body] += 1
            self.kinds.add(kind)
            self._now += 1
            self.most = max(self.most, self._now)
        return self.trouble(number)

    def leave(self) -> None:
        with self.lock:
            self._now -= 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    served: Served

    def do_POST(self) -> None:
        kind = self.headers["content-type"]
        body = self.rfile.read(int(self.headers["content-length"]))
        what = self.served.enter(body, kind.partition(";")[0])
        try:
            time.sleep(2.0 if what == "hang" else self.served.delay)
        finally:
            self.served.leave()
        if what == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        status, headers = what if isinstance(what, tuple) else (what if isinstance(what, int) else 200, {})
        self.reply(status, headers, json.dumps(self.answer(body, kind)).encode() if status == 200 else b"not now")

    def answer(self, body: bytes, kind: str) -> Any:
        if self.served.answer is not None:
            return self.served.answer(body)
        if not kind.startswith("multipart/"):
            return logits(pixels_of(body))
        border = b"--" + kind.partition("boundary=")[2].encode()
        parts = [part.partition(b"\r\n\r\n")[2][:-2] for part in body.split(border)[1:-1]]
        return [logits(pixels_of(part)) for part in parts]

    def reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
        try:
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            self.close_connection = True  # whoever asked has gone

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, address: Any) -> None:
        """Connections that were reset are the test's doing."""


@contextmanager
def serving(
    delay: float = 0.0, trouble: Trouble = lambda number: None, answer: Callable[[bytes], Any] | None = None
) -> Iterator[Served]:
    """A server; `answer`: what it makes of a body, in place of its logits."""
    served = Served(delay, trouble, answer)
    server = Server(("127.0.0.1", 0), type("Own", (Handler,), {"served": served}))
    served.url = f"http://127.0.0.1:{server.server_address[1]}/classify"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
