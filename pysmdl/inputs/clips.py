"""Clips as inputs: frames as uint8 arrays, each made an image as the model sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pysmdl.inputs.base import Input
from pysmdl.inputs.image import InputSpec


class ClipReader:
    """uint8 [T, H, W, 3], RGB: the model is given [B, 3, T, H, W] in its own space."""

    def takes(self, given: Any) -> bool:
        return isinstance(given, np.ndarray) and given.ndim == 4 and given.shape[3] == 3 and given.dtype == np.uint8

    def read(self, given: Any, spec: InputSpec, computed: bool) -> Input:
        seen = [spec.view(np.ascontiguousarray(frame)) for frame in given]
        frames = np.stack([content for _, content in seen])
        x = torch.stack([x for x, _ in seen], 1)
        return Input(x, frames, None, modality="clip", shown=frames, divided="tubes:4x4x4")

    def lend(self, given: Any) -> tuple[Any, bool]:
        return given.copy(), True
