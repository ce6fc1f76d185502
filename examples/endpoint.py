"""A model behind a server: it is sent pictures, many at a time, and what it has answered once is kept on disk.

python examples/endpoint.py
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

import numpy as np
from PIL import Image

import pysmdl


class Slow(BaseHTTPRequestHandler):
    """Somebody else's model: a picture in, after 50 ms a list of numbers out, a logit for each colour."""

    def do_POST(self):
        picture = np.asarray(Image.open(BytesIO(self.rfile.read(int(self.headers["content-length"])))))
        time.sleep(0.05)
        body = json.dumps((picture.mean((0, 1)) / 8).tolist()).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing: a line a picture would hide the answer."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_address[1]}/"

image = np.random.default_rng(0).integers(90, 130, (64, 64, 3), dtype=np.uint8)
image[16:32, 32:48] = 200, 30, 30
with tempfile.TemporaryDirectory() as folder:
    for run in ("first", "second"):
        scorer = pysmdl.scorers.endpoint(url, cache=folder, retries=5)
        began = time.monotonic()
        found = pysmdl.explain(image, scorer, 0, regions="grid:16", search="exact", progress=False)
        spent = time.monotonic() - began
        print(f"{run} run: {found.evaluations} views, {scorer.model.requests} asked, {spent:.1f} s")
print(f"region {found.order[0]} decides; one after the other that is {0.05 * found.evaluations:.1f} s")
server.shutdown()
server.server_close()
