"""A black box for real: OpenCV's Haar cascade for faces (Viola and Jones 2001). No gradient, no tensor, no network."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.errors import need
from pysmdl.scorers import Scorer, detector


class HaarFaces:
    """Images in 0..1 to faces: a list with boxes [q, 4] and confidences [q, 1] for each row.

    A cascade gives no probability but the margin m of its last stage; m / (m + 4) maps it to 0..1, growing with m.
    """

    def __init__(self) -> None:
        try:
            import cv2
        except ImportError:
            raise need("OpenCV", "the Haar face detector", "pysmdl[opencv]") from None
        if not hasattr(cv2, "CascadeClassifier"):
            raise need("OpenCV 4", "the Haar face detector", "opencv-contrib-python-headless<5")
        self._cv2 = cv2
        self._cascade = cv2.CascadeClassifier(
            os.path.join(os.path.dirname(cv2.__file__), "data", "haarcascade_frontalface_default.xml")
        )

    def __call__(self, batch: Tensor) -> list[tuple[Tensor, Tensor]]:
        pixels = (batch.permute(0, 2, 3, 1) * 255).round().byte().cpu().numpy()
        return [self._faces(row) for row in pixels]

    def _faces(self, pixels: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        grey = self._cv2.cvtColor(pixels, self._cv2.COLOR_RGB2GRAY)
        found: Any = self._cascade.detectMultiScale3(grey, 1.1, 2, outputRejectLevels=True)
        corners = np.asarray(found[0], np.float32).reshape(-1, 4)
        margin = np.maximum(np.asarray(found[2], np.float32).reshape(-1, 1), 0)
        boxes = np.concatenate((corners[:, :2], corners[:, :2] + corners[:, 2:]), axis=1)
        return torch.from_numpy(boxes), torch.from_numpy(margin / (margin + 4))


def haar_face(device: str | torch.device | None = None) -> Scorer:
    """The cascade as a detector with one class, 0; images keep their size."""
    if device not in (None, "cpu"):
        raise ValueError(f"the Haar face detector runs on the CPU; got device {device!r}")
    return detector(HaarFaces())


def portrait(side: int = 128) -> NDArray[np.uint8]:
    """The portrait that ships with scikit-image (Eileen Collins, NASA), head and shoulders. [side, side, 3], RGB."""
    import skimage.data

    from pysmdl.inputs import image_files

    return image_files.resize(np.ascontiguousarray(skimage.data.astronaut()[:256, 96:352]), (side, side))
