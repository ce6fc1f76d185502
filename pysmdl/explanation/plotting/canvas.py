"""What all pictures of one explanation draw on: its image at a size to draw, and where each region lies there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pysmdl.explanation.data import ExplanationData
from pysmdl.explanation.sheets import cornered
from pysmdl.explanation.values import labels_at, spread, window
from pysmdl.explanation.views import kept_points
from pysmdl.inputs.image_files import Pixels, load
from pysmdl.types import Ints

SIDE = 900  # pixels of the longer side, at most; and at least so many, so that borders are lines:
LEAST = 320


@dataclass(frozen=True, eq=False)
class Canvas:
    """An image to draw on.

    Attributes:
        explanation: What is drawn.
        pixels: uint8 [h, w, 3].
        labels: The region of each pixel, -1 where there is none. [h, w].
    """

    explanation: ExplanationData
    pixels: Pixels
    labels: Ints

    @cached_property
    def grey(self) -> NDArray[np.float64]:
        """The image without its colours, lightened, to be tinted. [h, w, 1], 0 to 1."""
        light: NDArray[np.float64] = self.pixels @ np.array([0.2126, 0.7152, 0.0722]) / 255
        least = 0.0 if self.explanation.modality == "text" else 0.45  # letters are to be read
        return (least + (1 - least) * light)[:, :, None]

    @cached_property
    def borders(self) -> NDArray[np.bool_]:
        """Where two regions meet, or a region ends. [h, w]."""
        found = np.zeros(self.labels.shape, bool)
        covers = self.explanation.covers
        for where in (self.labels,) if covers is None else map(self.inside, range(len(covers))):
            found[:, 1:] |= where[:, 1:] != where[:, :-1]
            found[1:] |= where[1:] != where[:-1]
        return found

    def inside(self, region: int) -> NDArray[np.bool_]:
        """The pixels of a region. [h, w]."""
        covers = self.explanation.covers
        found: NDArray[np.bool_] = self.labels == region if covers is None else self._spread(covers[region]) == 1
        return found

    def _spread(self, points: NDArray[np.bool_]) -> Ints:
        """What holds of each point of the grid, of each pixel; -1 where the model does not look."""
        return labels_at(points.astype(np.int32), (self.pixels.shape[0], self.pixels.shape[1]), self.explanation.frame)

    def of_each(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the regions that cover a pixel are worth together, of values without NaN [n]. [h, w]."""
        e, found = self.explanation, np.zeros(self.labels.shape)
        if e.covers is None:
            return spread(values, self.labels, density=False)
        for region in np.flatnonzero(values).tolist():
            found += values[region] * self.inside(region)
        return found

    def spot(self, region: int) -> tuple[float, float] | None:
        """Where a region's number stands, x and y; None where it is too small to be seen. In an image its point that is
        furthest from its border, of several the one nearest to their mean; on a sheet its upper left corner, or the
        middle of its left edge, clear of what is written in it.
        """
        from scipy.ndimage import distance_transform_edt

        inside = self.inside(region)
        if not inside.any():
            return None
        rows, columns = np.nonzero(inside)
        top, left = int(rows.min()), int(columns.min())
        if self.explanation.modality != "image":
            left = int(columns[rows == top].min())
            below = inside[top:, left]
            high = 0 if cornered(self.explanation) else len(below) if below.all() else int(below.argmin())
            return float(left), float(top + high // 2)
        depth = distance_transform_edt(np.pad(inside[top : rows.max() + 1, left : columns.max() + 1], 1))
        deepest = np.argwhere(depth >= depth.max() - 0.5)
        y, x = deepest[np.square(deepest - deepest.mean(0)).sum(1).argmin()]
        return float(left + x - 1), float(top + y - 1)

    def dimmed(self, shown: NDArray[np.bool_]) -> Pixels:
        """What the model sees of the image, all but these pixels [h, w] darkened to a fifth."""
        found = np.where(shown[:, :, None], self.pixels, self.pixels // 5).astype(np.uint8)
        frame = self.explanation.frame
        return found if frame is None else found[window(frame, self.labels.shape)]

    def faded(self, image: NDArray[Any]) -> NDArray[Any]:
        """An image [h, w, 3] with what the model does not see of it faded to near white; uint8, or floats in 0..1."""
        if self.explanation.frame is None:
            return image
        seen = window(self.explanation.frame, self.labels.shape)
        white = 255 if image.dtype == np.uint8 else 1.0
        found = (image * 0.35 + white * 0.65).astype(image.dtype)
        found[seen] = image[seen]
        return found

    def first(self, count: int) -> NDArray[np.bool_]:
        """The pixels of the first regions, and those always shown. [h, w]."""
        first = self.explanation.order[:count]
        if self.explanation.covers is not None:
            shown: NDArray[np.bool_] = self._spread(kept_points(self.explanation, first)) != 0
            return shown
        return np.isin(self.labels, first) | (self.labels < 0)

    def scaled(self, points: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 in pixels of the image as given, to those of this one."""
        height, width = self.explanation.size or self.pixels.shape[:2]
        x, y = self.pixels.shape[1] / width, self.pixels.shape[0] / height
        return points[0] * x, points[1] * y, points[2] * x, points[3] * y

    @property
    def framed(self) -> tuple[float, float, float, float] | None:
        """Where the model looks, x0, y0, x1, y1 in this image; None where that is all of it."""
        if self.explanation.frame is None:
            return None
        height, width = self.pixels.shape[:2]
        x0, y0, x1, y1 = self.explanation.frame
        return x0 * width, y0 * height, x1 * width, y1 * height


def canvas(explanation: ExplanationData, pixels: Any = None) -> Canvas:
    """The canvas of an explanation, on its own image or one that is given.

    Raises:
        ValueError: no image to draw on.
        ImageError: what was handed in is no image.
    """
    image = explanation.pixels if pixels is None else load(pixels)
    if image is None:
        raise ValueError(
            "there is no image to draw on: an explanation saved without its picture, or of a tensor that is none, "
            "needs plot(pixels=...)"
        )
    height, width = image.shape[:2]
    factor = min(SIDE / max(height, width), 1.0)
    if max(height, width) < LEAST:
        factor = float(-(-LEAST // max(height, width)))
    if factor != 1:
        how = Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.NEAREST
        size = max(1, round(width * factor)), max(1, round(height * factor))
        image = np.asarray(Image.fromarray(image).resize(size, how, reducing_gap=3.0 if factor < 1 else None))
    labels = labels_at(explanation.labels, (image.shape[0], image.shape[1]), explanation.frame)
    return Canvas(explanation, image, labels)
