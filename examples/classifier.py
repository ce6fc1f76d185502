"""Why does a classifier read this digit? Its regions by importance, the curves that prove it, a picture.

python examples/classifier.py [folder for the picture]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pysmdl

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())

# A net of yours becomes a scorer by pysmdl.scorers.classifier(net, mean=..., std=..., size=...). This one is built in.
scorer = pysmdl.builtin.load("digits")
scene = pysmdl.builtin.images()[3]  # a photograph with a handwritten digit: its path, and which digit it is

found = pysmdl.explain(scene["path"], scorer, target=scene["truth"], regions="slico:25")

print(f"{scene['file']}: {found.n} regions, most important first: {found.order.tolist()}")
print(f"how sure the model is of {scene['truth']}")
print("regions   with these alone   without these")
for j in range(0, found.n + 1, 3):
    print(f"{j:7}   {found.insertion[j]:16.3f}   {found.deletion[j]:13.3f}")
print(f"area under the curve {found.insertion_auc:8.3f}   {found.deletion_auc:13.3f}")
print(f"{found.best_step(within=0.02)} regions are enough; that took {found.evaluations} forward passes")

found.plot(names=pysmdl.builtin.CLASS_NAMES).savefig(folder / "classifier.png", dpi=130)
print(f"{folder / 'classifier.png'} shows them")
