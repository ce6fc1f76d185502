"""Why does a detector find this box? Which regions it needs to see, and which it must not lose (VPS).

python examples/detector.py [folder for the picture]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import pysmdl

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())


def coloured_things(batch):
    """A toy detector: images [B, 3, H, W] to a pair for each: boxes [q, 4] in pixels, confidences [q, 3 classes]."""
    answers = []
    for pixels in batch.numpy():
        boxes, confidences = np.zeros((3, 4), np.float32), np.zeros((3, 3), np.float32)
        for colour in range(3):
            lit = pixels[colour] > np.delete(pixels, colour, axis=0).max(0) + 0.3
            if lit.any():
                y, x = np.nonzero(lit)
                boxes[colour] = x.min(), y.min(), x.max() + 1, y.max() + 1
                confidences[colour, colour] = len(x) / 24**2  # the more of it is seen, the surer
        answers.append((boxes, confidences.clip(0, 1)))
    return answers


image = np.random.default_rng(0).integers(90, 130, (96, 96, 3), dtype=np.uint8)
image[12:36, 60:84], image[60:84, 12:36] = (200, 30, 30), (30, 30, 200)  # a red thing and a blue one

scorer = pysmdl.scorers.detector(coloured_things)
found = pysmdl.explain(image, scorer, target=pysmdl.Box((60, 12, 84, 36), labels=0), regions="grid:64")

print(f"IoU x confidence of the box: {found.insertion[-1]:.2f} on the whole image")
for j in range(1, 5):
    print(
        f"{found.insertion[j]:.2f} with its first {j} of {found.n} regions alone, {found.deletion[j]:.2f} without them"
    )
found.plot().savefig(folder / "detector.png", dpi=130)
print(f"{folder / 'detector.png'} shows them")
