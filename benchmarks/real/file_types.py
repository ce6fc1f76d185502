"""Magika: what kind of file it is, from the first and the last 1024 of its bytes; lines and headers are regions.

A byte that is absent is the padding that a short file has. (github.com/google/magika, standard_v3_3; files by magika.)
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import pysmdl

from real.files import session, there

ENDS, PADDING = 1024, 256


class Magika:
    """Batch of ids [B, 2048] to the probabilities of 214 kinds of files [B, 214]."""

    def __init__(self) -> None:
        self._session = session(there("models/magika/model.onnx"))
        self.names = json.loads(there("models/magika/config.min.json").read_text())["target_labels_space"]

    def __call__(self, batch: Any) -> NDArray[np.float32]:
        return self._session.run(None, {"bytes": np.asarray(batch, np.int32)})[0]

    def scorer(self) -> pysmdl.scorers.Scorer:
        """As pysmdl takes it."""
        made = pysmdl.scorers.classifier(self, gives="probabilities", takes="numpy")
        made.names = self.names
        return made


def ids(content: bytes) -> Tensor:
    """A file as it goes in, its first bytes and its last, without the spaces around. [2048]."""
    content = content.strip()
    first, last = list(content[:ENDS]), list(content[-ENDS:])
    fill = [PADDING] * (ENDS - len(first))
    return torch.tensor([*first, *fill, *fill, *last])


def parts(content: bytes, spans: list[tuple[int, int]]) -> NDArray[np.int32]:
    """A label map [2048] of spans of a file's bytes, each with its bytes at both ends; what is in none is no region."""
    size = len(content.strip())
    of_byte = np.full(size, -1, np.int32)
    for number, (start, stop) in enumerate(spans):
        of_byte[start:stop] = number
    fill = np.full(max(0, ENDS - size), -1, np.int32)
    return np.concatenate((of_byte[:ENDS], fill, fill, of_byte[-ENDS:]))
