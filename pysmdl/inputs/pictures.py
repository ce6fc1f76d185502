"""Pictures as inputs: paths, Pillow's images and uint8 arrays."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from pysmdl.inputs import image_files
from pysmdl.inputs.base import Input
from pysmdl.inputs.image import InputSpec


class ImageReader:
    """Takes whatever no other reader does: what is wrong with it is said where it is read."""

    def takes(self, given: Any) -> bool:
        return True

    def read(self, given: Any, spec: InputSpec, computed: bool) -> Input:
        picture = image_files.load(given)
        content, image = spec.grid(picture), picture.shape[:2]
        return Input(spec.normalise(content), content, picture, spec.scale(image), frame=spec.frame(image))

    def lend(self, given: Any) -> tuple[Any, bool]:
        if isinstance(given, (str, os.PathLike)):
            return given, True
        if isinstance(given, np.ndarray):
            return given.copy(), True
        return image_files.load(given), True  # Pillow's file may be closed by then
