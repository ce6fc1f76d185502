"""Held-out scenes like the golden data: one or two white handwritten digits on darkened photographs, with their boxes.

The golden networks read them about as well as their own data; ``python benchmarks/study_data.py`` prints how well.
Only digits and photographs of one part of :mod:`digit_scenes` are drawn; what the golden networks were trained on is
not recorded, so for them "held-out" means new draws, for the vision transformer of ``train_vit.py`` new digits and
photographs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digit_scenes import SIZE, Scenes

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class StudyScene:
    """Digits on a photograph.

    Attributes:
        image: uint8 [64, 64, 3], RGB.
        digits: What was written, from left to right.
        boxes: Where each of them is: x0, y0, x1, y1 in pixels.
    """

    image: NDArray[np.uint8]
    digits: tuple[int, ...]
    boxes: tuple[Box, ...]


class StudyScenes:
    """Draws scenes of one part, the same for the same seed.

    Args:
        part: "train", "tune" or "test" of digit_scenes.
        count: Digits in a scene: 1 (anywhere) or 2 (one in the left half, one in the right).
        seed: Of the draw.
    """

    def __init__(self, part: str, count: int, seed: int) -> None:
        if count not in (1, 2):
            raise ValueError(f"count must be 1 or 2; got {count}")
        self.count = count
        self._scenes = Scenes(part, seed)
        self._rng = self._scenes.rng

    def __iter__(self) -> Iterator[StudyScene]:
        while True:
            yield self.draw()

    def draw(self) -> StudyScene:
        """One scene of random digits."""
        image = self._scenes._background() * self._rng.uniform(0.5, 0.7)  # darkened, so that white stands out
        ends = [(0, SIZE)] if self.count == 1 else [(0, SIZE // 2), (SIZE // 2, SIZE)]
        written = [self._write(image, *end) for end in ends]
        digits, boxes = zip(*written, strict=True)
        return StudyScene(image.round().clip(0, 255).astype(np.uint8), digits, boxes)

    def _write(self, image: NDArray[np.float64], left: int, right: int) -> tuple[int, Box]:
        """Write a random digit between two columns of the image, in place."""
        rng = self._rng
        index = int(rng.integers(len(self._scenes.targets)))
        side = int(rng.integers(22, 31))
        wide = int(side * rng.uniform(0.75, 1)) if self._scenes.varied else side  # as in digit_scenes
        x, y = int(rng.integers(left, right - wide + 1)), int(rng.integers(0, SIZE - side + 1))
        drawn = Image.fromarray((self._scenes.digits[index] * 255).astype(np.uint8)).resize(
            (wide, side), Image.BILINEAR
        )
        if self._scenes.varied:
            drawn = drawn.rotate(rng.uniform(-12, 12), Image.BILINEAR)
        alpha = np.asarray(drawn, np.float64)[:, :, None] / 255
        place = image[y : y + side, x : x + wide]
        place += alpha * (rng.uniform(215, 255) - place)
        return int(self._scenes.targets[index]), (x, y, x + wide, y + side)


def chosen(part: str, count: int, seed: int, wanted: int, reads: Callable[[StudyScene], bool]) -> list[StudyScene]:
    """The first `wanted` scenes that a model reads right: only a right answer has a region to find."""
    scenes = StudyScenes(part, count, seed)
    found: list[StudyScene] = []
    while len(found) < wanted:
        scene = scenes.draw()
        if reads(scene):
            found.append(scene)
    return found
