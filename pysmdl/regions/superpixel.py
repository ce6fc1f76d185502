"""Superpixels: SLICO of scikit-image, and, as an extra, OpenCV's SLICO and SEEDS, which the papers used."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pysmdl.errors import need
from pysmdl.images import Pixels
from pysmdl.regions.label_maps import from_labels
from pysmdl.types import Regions


def slico(pixels: Pixels, n: int = 50) -> Regions:
    """SLICO (Achanta et al. 2012, the form without a compactness parameter), scikit-image's. About n regions.

    Args:
        pixels: uint8 [H, W, 3], RGB.
        n: Wanted number of regions; the algorithm decides.
    """
    from skimage.segmentation import slic

    return _dense(slic(pixels, n_segments=n, slic_zero=True, start_label=0, channel_axis=2))


def slico_opencv(pixels: Pixels, n: int = 50, *, region_size: int | None = None, ruler: float = 20.0) -> Regions:
    """OpenCV's SLICO, as the published scripts call it: 20 iterations, specks below 20 % joined to a neighbour.

    Args:
        pixels: uint8 [H, W, 3], RGB (converted to the BGR that OpenCV expects).
        n: Wanted number of regions; sets region_size where that is not given.
        region_size: Mean side of a region in pixels; the papers use 30 on 224 x 224.
        ruler: OpenCV's smoothness parameter; the papers use 20.

    Raises:
        MissingPackageError: OpenCV's contrib build is not installed.
    """
    ximgproc = _ximgproc("regions='slico-opencv'")
    size = region_size or max(1, round(math.sqrt(pixels.shape[0] * pixels.shape[1] / n)))
    bgr = np.ascontiguousarray(pixels[:, :, ::-1])
    found = ximgproc.createSuperpixelSLIC(bgr, ximgproc.SLICO, size, ruler)
    found.iterate(20)
    found.enforceLabelConnectivity(20)
    return _dense(found.getLabels())


def seeds(pixels: Pixels, n: int = 50) -> Regions:
    """SEEDS (Van den Bergh et al. 2012), OpenCV's: 3 levels, 5 bins, 10 iterations. About n regions.

    Raises:
        MissingPackageError: OpenCV's contrib build is not installed.
    """
    ximgproc = _ximgproc("regions='seeds'")
    height, width = pixels.shape[:2]
    found = ximgproc.createSuperpixelSEEDS(width, height, 3, n, 3, 2, 5)
    found.iterate(np.ascontiguousarray(pixels[:, :, ::-1]), 10)
    return _dense(found.getLabels())


def _ximgproc(what: str) -> Any:
    try:
        import cv2
    except ImportError:
        raise need("OpenCV", what, "pysmdl[opencv]") from None
    if not hasattr(cv2, "ximgproc"):
        raise need("OpenCV's contrib build", what, "opencv-contrib-python-headless<5")
    return cv2.ximgproc


def _dense(labels: Any) -> Regions:
    """Ids 0..n-1 in the order of the algorithm's own ids; some leave gaps."""
    _, dense = np.unique(labels, return_inverse=True)
    return from_labels(dense.reshape(np.shape(labels)).astype(np.int32))
