"""What other threads, and a lack of them or of memory, do to an op: an error at worst, never the end of the process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("pysmdl._C")

BOUNDED = pytest.mark.skipif(
    "asan" in os.environ.get("LD_PRELOAD", ""), reason="the sanitizer needs terabytes of addresses"
)
LIMIT = """
import resource
def leave(mebibytes):  # of addresses, to this process
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + mebibytes * 2**20,) * 2)
"""
WORK = """
import numpy as np
from pysmdl import _C
points = 400_000
x = np.random.default_rng(0).random((1, 3, points), np.float32)
labels, rows, source = np.zeros((1, points), np.int32), np.ones((40, 1), np.int32), np.zeros(40, np.int32)
out = np.empty((40, 3, points), np.float32)
def compose(threads):
    _C.compose(x, x, labels, rows, source, out, threads)
    assert all((row == x[0]).all() for row in out)
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)


@pytest.mark.slow
@BOUNDED
@pytest.mark.parametrize("first", ["numpy", "torch"])
def test_threads_that_cannot_start_are_done_without(first):
    """Of 64 stacks of 8 MiB only a few fit; torch's OpenMP would end the process for the first that does not."""
    done = run(f"import {first}\n{WORK}{LIMIT}compose(1)\nleave(40)\ncompose(64)\ncompose(64)")
    assert done.returncode == 0, done.stderr
    assert not done.stderr


@pytest.mark.slow
@BOUNDED
@pytest.mark.parametrize("first", ["numpy", "torch"])
def test_memory_that_ends_in_a_worker_is_the_callers_error(first):
    """A row of 2^24 classes takes 64 MiB in each thread."""
    code = f"""
import {first}
import numpy as np
from pysmdl import _C
logits, targets = np.zeros((4, 1 << 24), np.float16), np.zeros((4, 1), np.int32)
out = np.empty((4, 3), np.float32)
_C.class_scores(logits[:, :100_000], targets, out, False, 4)  # the threads are there
{LIMIT}
leave(48)
try:
    _C.class_scores(logits, targets, out, False, 4)
except MemoryError:
    print("MemoryError")
_C.class_scores(logits[:, :100_000], targets, out, False, 4)
assert np.allclose(out[:, 2], 1e-5)
"""
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "MemoryError"


RACES = {  # what is made, and the call; `index` is written to
    "compose": """
x, index = np.zeros((1, 3, 2000), np.float32), np.zeros(512, np.int32)
labels, rows, out = np.zeros((1, 2000), np.int32), np.ones((512, 1), np.int32), np.empty((512, 3, 2000), np.float32)
def call(): _C.compose(x, x, labels, rows, index, out, 1)
""",
    "class_scores": """
logits, index, out = np.zeros((600, 2000), np.float32), np.zeros((600, 1), np.int32), np.empty((600, 3), np.float32)
def call(): _C.class_scores(logits, index, out, True, 1)
""",
    "distance_gains": """
distances, index = np.ones((500, 500), np.float32), np.zeros(2000, np.int32)
nearest, out = np.ones(2000, np.float32), np.empty(2000, np.float32)
def call(): _C.distance_gains(distances, nearest, index, index.copy(), out)
""",
    "match_boxes": """
boxes, confidences = np.tile(np.float32([0, 0, 1, 1]), (900, 100, 1)), np.ones((900, 100, 5), np.float32)
index, out = np.zeros((900, 1), np.int32), np.empty((900, 7), np.float32)
target, mode = boxes[:, 0].copy(), np.zeros(900, np.int32)
def call(): _C.match_boxes(boxes, confidences, target, index, mode, out, 0.0, 1)
""",
    "pack_tokens": """
x, index = np.ones((1, 50, 64), np.float32), np.zeros(500, np.int32)
labels, rows = np.zeros((1, 50), np.int32), np.ones((500, 1), np.int32)
out, offsets = np.empty((25_000, 64), np.float32), np.arange(0, 25_001, 50, dtype=np.int32)
def call(): _C.pack_tokens(x, labels, rows, index, offsets, out, 1)
""",
    "improve_chain": """
from pysmdl.search.surrogate import Fitted
flip = np.where(np.random.default_rng(0).random((60, 300)) < 0.5, 9, -9).astype(np.int8)
numbers = dict(smooth=4.0, reach=0.3, offset=0.0, soft=0.02, kept=1.0, removed=1.0, bounded=True)
fitted, index = Fitted(flip, np.ones(300), np.ones(60), np.ones(60), **numbers), np.arange(60, dtype=np.int32)
def call():
    index[:] = np.arange(60)
    _C.improve_chain(fitted, index, 60, 1, 60, 1e-6)
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("op", RACES)
def test_a_thread_that_writes_to_an_index_meanwhile_harms_nobody(op):
    """What was checked is what is used: numbers that come later are not even seen."""
    code = f"""
import sys, threading
import numpy as np
from pysmdl import _C
sys.setswitchinterval(1e-6)
{RACES[op]}
last, stop = index.reshape(-1)[-1:], threading.Event()
def write():
    while not stop.is_set():
        last[0] = 1 << 26
        last[0] = 0
writer = threading.Thread(target=write, daemon=True)
writer.start()
answered = 0
for _ in range(150):
    try:
        call()
        answered += 1
    except ValueError:
        pass
stop.set()
writer.join()
print(answered)
"""
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= 150
