"""Many images on one engine: batches are shared, a bad input takes no other along, results are saved as they are done.

python examples/stream.py [folder for the results]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pysmdl

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())


def inputs():
    """Read as places become free, so they may come from a database or a socket and never fit into memory at once."""
    for scene in pysmdl.builtin.images():
        yield {"image": scene["path"], "target": scene["truth"], "id": Path(scene["file"]).stem}
    yield {"image": folder / "nowhere.png", "id": "nowhere"}  # there is no such file


failures = {}  # by an input's number, from 0
stream = pysmdl.explain_many(
    inputs(),
    pysmdl.builtin.load("digits"),
    regions="slico:16",
    trace=["predicted"],  # also the curves of what the model says itself
    on_error=failures.__setitem__,
)
for found in stream:  # in the order in which they are done; ordered=True keeps that of the inputs
    found.save(folder / f"{found.id}.npz")

for path in sorted(folder.glob("*.npz")):
    found = pysmdl.load(path)
    print(f"{path.name}: {found.target} with {found.best_step(within=0.02)} of {found.n} regions")
for number, error in failures.items():
    print(f"input {number} failed: {error}")
