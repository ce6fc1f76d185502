"""The models that come with pysmdl: a small net that reads a digit in a photograph, OpenCV's face detector, and a
network for real photographs whose weights the packages of pysmdl[demo] carry.

The small net is trained by benchmarks/train_builtin.py; its accuracy on held-out scenes is in the README.
"""

from __future__ import annotations

import json
from importlib.resources import files
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from pysmdl.errors import one_of
from pysmdl.scorers import Scorer, classifier

MEAN, STD, SIZE = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 64
CLASS_NAMES = tuple(str(digit) for digit in range(10))


class DigitNet(nn.Module):
    """Four 3x3 convolutions, the spatial maximum of each channel, two linear layers. [B, 3, 64, 64] to [B, 10]."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 24, 48, 96, 96)
        self.convolutions = nn.ModuleList(nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(widths))
        self.hidden = nn.Linear(96, 64)
        self.head = nn.Linear(64, 10)

    def features(self, x: Tensor) -> Tensor:
        """[B, 3, 64, 64] to [B, 64]."""
        for i, convolution in enumerate(self.convolutions):
            x = convolution(x).relu()
            if i < 3:
                x = nn.functional.max_pool2d(x, 2)
        hidden: Tensor = self.hidden(x.amax((2, 3)))
        return hidden.relu()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


def digits(device: str | torch.device | None = None) -> Scorer:
    """The trained net as a scorer; images of any size are squashed to 64 x 64 first."""
    from safetensors.torch import load_file

    with torch.device("meta"):  # weights to begin with would be drawn from the caller's generator
        net = DigitNet()
    net.load_state_dict(load_file(str(files(__package__) / "digits.safetensors")), assign=True)
    net.to(device or "cpu").eval().requires_grad_(False)
    scorer = classifier(net, features=net.features, mean=MEAN, std=STD, size=SIZE, device=device)
    scorer.names = CLASS_NAMES
    return scorer


def _haar_face(device: str | torch.device | None = None) -> Scorer:
    from pysmdl.builtin.haar import haar_face

    return haar_face(device)


def _imagenet(device: str | torch.device | None = None) -> Scorer:
    from pysmdl.builtin.imagenet import imagenet

    return imagenet(device)


MODELS = {"digits": digits, "haar-face": _haar_face, "imagenet": _imagenet}


def load(name: str, device: str | torch.device | None = None) -> Scorer:
    """A built-in model by name."""
    if name not in MODELS:
        raise one_of("model", f"builtin:{name}", [f"builtin:{known}" for known in MODELS])
    return MODELS[name](device)


def images() -> list[dict[str, Any]]:
    """The held-out scenes that ship with it: dicts with path, truth (the digit written) and box (where)."""
    folder = files(__package__) / "images"
    listed = json.loads((folder / "scenes.json").read_text())
    return [{**entry, "path": str(folder / entry["file"])} for entry in listed]
