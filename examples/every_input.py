"""A sound, a table's row and a pair of inputs: the same call, a picture each.

python examples/every_input.py [folder for the pictures]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import pysmdl
from pysmdl import scorers

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
t = np.arange(16000) / 8000
beep = np.sin(2 * np.pi * 440 * t) * (np.abs(t - 1.4) < 0.2)


def heard(batch):  # [B, N] to logits [B, 2]: silence, a tone of 440 Hz
    wave = torch.from_numpy(np.exp(2j * np.pi * 440 * t)).to(torch.complex64)
    return torch.stack((torch.full((len(batch),), 0.5), (batch.to(wave.dtype) @ wave).abs() / 500), 1)


sound = pysmdl.explain({"array": beep, "sampling_rate": 8000}, scorers.classifier(heard), 1, players="time:20")
columns, rows = ["age", "height", "weight"], np.array([[30.0, 180, 80], [50, 160, 60], [40, 170, 70]])
risk = scorers.table(lambda x: x @ np.array([0.1, -0.02, 0.05]), columns, data=rows)  # any predict, or an estimator
row = pysmdl.explain([70.0, 165, 90], risk)

pair = {"sound": torch.from_numpy(beep).float(), "text": "a short beep"}  # an image and a text likewise


def fits(batch):  # {"sound": [B, N], "text": B strings} to [B]
    return batch["sound"].abs().mean(1) * torch.tensor([1.0 + ("beep" in text) for text in batch["text"]])


several = pysmdl.explain(pair, scorers.scalar(fits), players={"sound": "time:4", "text": "words"})

for name, e in (("sound", sound), ("row", row), ("several", several)):
    e.plot().savefig(folder / f"{name}.png")
    print(e.verbalise())
print(several.by_group())
print(f"{folder} has their pictures")
