"""Pictures as inputs: paths, Pillow's images, uint8 arrays and tensors."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from torch import Tensor

from pysmdl.inputs import image_files
from pysmdl.inputs.base import Input
from pysmdl.inputs.frames import are_pixels, pixels_of
from pysmdl.inputs.image import InputSpec


class ImageReader:
    """Takes whatever no other reader does: what is wrong with it is said where it is read."""

    def takes(self, given: Any) -> bool:
        return True

    def read(self, given: Any, spec: InputSpec, computed: bool) -> Input:
        picture = image_files.load(pixels_of(given) if are_pixels(given) else given)
        x, content = spec.view(picture)
        image, points = picture.shape[:2], None
        if spec.pipeline is not None and spec.pipeline.runs:
            content, points = spec.pipeline.whole(image, content)
        grid = content.shape[:2]
        doubt = spec.doubt_levels() if spec.pipeline is None else spec.pipeline.doubt(picture, x, spec)
        frame = spec.frame(image)
        if spec.pipeline is not None and spec.pipeline.runs and frame is None:  # nobody knows where it lies
            return Input(x, content, content, doubt=doubt)
        return Input(x, content, picture, spec.scale(image, grid), doubt, frame, points)

    def lend(self, given: Any) -> tuple[Any, bool]:
        if isinstance(given, (str, os.PathLike)):
            return given, True
        if isinstance(given, np.ndarray):
            return given.copy(), True
        if isinstance(given, Tensor):
            return given.clone(), not given.is_cuda
        return image_files.load(given), True  # Pillow's file may be closed by then
