"""Superpixels: SLICO of scikit-image, and, as an extra, OpenCV's SLICO and SEEDS, which the papers used."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pysmdl.errors import RegionError, need, number, whole_number
from pysmdl.inputs.image_files import Pixels
from pysmdl.regions.label_maps import from_labels
from pysmdl.types import Regions

LEVELS = 3  # of blocks in SEEDS, each two by two of the level below


def slico(pixels: Pixels, n: int = 50) -> Regions:
    """SLICO (Achanta et al. 2012, the form without a compactness parameter), scikit-image's. About n regions.

    Args:
        pixels: uint8 [H, W, 3], RGB.
        n: Wanted number of regions; the algorithm decides.
    """
    from skimage.segmentation import slic

    return _dense(slic(pixels, n_segments=whole_number("n", n, 1), slic_zero=True, start_label=0, channel_axis=2))


def slico_opencv(pixels: Pixels, n: int = 50, *, region_size: int | None = None, ruler: float = 20.0) -> Regions:
    """OpenCV's SLICO, exactly as the published scripts of all four systems call it: 20 iterations and nothing after.

    They never call ``enforceLabelConnectivity``, so a region may have specks apart from it.

    Args:
        pixels: uint8 [H, W, 3], RGB (converted to the BGR that OpenCV expects).
        n: Wanted number of regions; region_size is int(sqrt(H * W / n)) where that is not given.
        region_size: Mean side of a region in pixels; the papers use 30 on 224 x 224.
        ruler: OpenCV's smoothness parameter; the papers use 20.

    Raises:
        MissingPackageError: OpenCV's contrib build is not installed.
        ValueError: n is no whole number of at least 1, or ruler not finite and at least 0.
        RegionError: the regions would be twice as wide as the image's shorter side, or more; OpenCV would crash.
    """
    ximgproc = _ximgproc("regions='slico-opencv'")
    height, width = pixels.shape[:2]
    n = whole_number("n", n, 1)
    ruler = number("ruler", ruler, least=0)
    size = max(1, int(math.sqrt(height * width / n))) if region_size is None else region_size
    if size not in range(1, 2 * min(height, width)):  # else the first centre lies outside the image
        raise RegionError(
            f"region_size must be 1 to {2 * min(height, width) - 1} on an image of {height}x{width}; got {size}"
            + (f", for n={n}: take a larger n, or regions='slico'" if region_size is None else "")
        )
    bgr = np.ascontiguousarray(pixels[:, :, ::-1])
    found = ximgproc.createSuperpixelSLIC(bgr, ximgproc.SLICO, int(size), ruler)
    found.iterate(20)
    return _dense(found.getLabels())


def seeds(pixels: Pixels, n: int = 50) -> Regions:
    """SEEDS (Van den Bergh et al. 2012), OpenCV's: 3 levels, 5 bins, 10 iterations. About n regions, at least 10.

    Raises:
        MissingPackageError: OpenCV's contrib build is not installed.
        RegionError: OpenCV cannot cut such an image into so many regions; it would crash, or never end.
    """
    ximgproc = _ximgproc("regions='seeds'")
    height, width = pixels.shape[:2]
    n = whole_number("n", n, 1)
    if not _seeds_fit(height, width, n):
        others = [count for count in range(10, 501) if _seeds_fit(height, width, count)]
        nearest = f"n={min(others, key=lambda count: abs(count - n))}" if others else "a larger image"
        raise RegionError(
            f"SEEDS cannot cut {height}x{width} pixels into about n={n} regions; take {nearest}, or regions='slico'"
        )
    found = ximgproc.createSuperpixelSEEDS(width, height, 3, n, LEVELS, 2, 5)
    found.iterate(np.ascontiguousarray(pixels[:, :, ::-1]), 10)
    return _dense(found.getLabels())


def _seeds_fit(height: int, width: int, n: int) -> bool:
    """Whether OpenCV's SEEDS works: with two levels of blocks or three, and a block left at the top.

    It takes as many levels as leave a pixel to each of the smallest blocks. It does not see that there may be no row or
    column of blocks, that a single level has nothing to start from, or that rounding may leave no block at the top.
    """
    rows = int(np.sqrt(np.float32(max(n, 10)) * np.float32(height) / np.float32(width)))  # in float32, as OpenCV
    columns = rows * width // height
    for halvings in range(LEVELS - 1, 0, -1):
        sides = ((height, rows << halvings), (width, columns << halvings))
        if all(0 < blocks <= side for side, blocks in sides):
            return all((side // -(-side // blocks)) >> halvings for side, blocks in sides)
    return False


def _ximgproc(what: str) -> Any:
    try:
        import cv2
    except ImportError:
        raise need("OpenCV", what, "pysmdl[opencv]") from None
    ximgproc = getattr(cv2, "ximgproc", None)  # other builds over the contrib one leave an empty one
    if not hasattr(ximgproc, "createSuperpixelSLIC"):
        raise need("OpenCV's contrib build", what, "opencv-contrib-python-headless<5")
    return ximgproc


def _dense(labels: Any) -> Regions:
    """Ids 0..n-1 in the order of the algorithm's own ids; some leave gaps."""
    used = np.bincount(labels.ravel()) > 0
    return from_labels((used.cumsum() - 1).astype(np.int32)[labels])
