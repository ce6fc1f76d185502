"""Real data that installed packages carry: scikit-learn's handwritten digits pasted on photographs of scikit-image.

Digits and photographs are split before anything is pasted: a test scene shows a digit and a photograph that no training
scene has shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE = 64
TRAIN_PHOTOS = (
    "astronaut", "chelsea", "rocket", "retina", "immunohistochemistry", "hubble_deep_field", "brick", "camera", "coins",
    "grass", "gravel", "moon", "page", "motorcycle", "grace_hopper", "colorwheel", "clock",
)  # fmt: skip
TEST_PHOTOS = ("coffee", "china", "flower")


@dataclass(frozen=True)
class Scene:
    """A digit on a photograph.

    Attributes:
        image: uint8 [64, 64, 3], RGB.
        digit: What was written, 0 to 9.
        box: Where: x0, y0, x1, y1 in pixels.
    """

    image: NDArray[np.uint8]
    digit: int
    box: tuple[int, int, int, int]


def photos(names: tuple[str, ...]) -> list[NDArray[np.uint8]]:
    """The named photographs, RGB."""
    import matplotlib.cbook
    import skimage.data
    import sklearn.datasets

    found = []
    for name in names:
        if name in ("china", "flower"):
            image = sklearn.datasets.load_sample_image(f"{name}.jpg")
        elif name == "grace_hopper":
            with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
                image = np.asarray(Image.open(file).convert("RGB"))
        elif name == "motorcycle":
            image = skimage.data.stereo_motorcycle()[0]
        else:
            image = getattr(skimage.data, name)()
        found.append(np.repeat(image[:, :, None], 3, 2) if image.ndim == 2 else image[:, :, :3])
    return found


def split_digits() -> dict[str, tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """scikit-learn's 1797 digits in a fixed random order: 1197 to train, 200 to tune, 400 to test."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    parts = {"train": order[:1197], "tune": order[1197:1397], "test": order[1397:]}
    return {name: (data.images[index] / 16, data.target[index]) for name, index in parts.items()}


class Scenes:
    """Draws scenes of one part, the same for the same seed.

    Args:
        part: "train", "tune" or "test".
        seed: Of the draw.
    """

    def __init__(self, part: str, seed: int) -> None:
        self.digits, self.targets = split_digits()[part]
        self.photos = photos(TRAIN_PHOTOS if part == "train" else TEST_PHOTOS)
        self.varied = part == "train"  # turn digits and recolour photographs a little; test scenes stay as drawn
        self.rng = np.random.default_rng(seed)

    def draw(self, index: int | None = None) -> Scene:
        """One scene, of digit number `index` of the part or of a random one."""
        rng = self.rng
        index = int(rng.integers(len(self.targets))) if index is None else index
        image = self._background().astype(np.float32)
        if self.varied and rng.random() < 0.4:  # two photographs in one: few photographs, many backgrounds
            image += np.float32(rng.uniform(0.2, 0.8)) * (self._background() - image)
        side = int(rng.integers(26, 41))
        top, left = int(rng.integers(0, SIZE - side + 1)), int(rng.integers(0, SIZE - side + 1))
        wide = int(side * rng.uniform(0.75, 1)) if self.varied else side
        drawn = Image.fromarray((self.digits[index] * 255).astype(np.uint8)).resize((wide, side), Image.BICUBIC)
        ink = np.asarray(drawn.rotate(rng.uniform(-12, 12), Image.BILINEAR) if self.varied else drawn)
        alpha = (ink.astype(np.float32) / 255)[:, :, None]
        place = image[top : top + side, left : left + wide]
        colour = self._contrasting(place)
        image[top : top + side, left : left + wide] = place * (1 - alpha) + colour * alpha
        box = (left, top, left + wide, top + side)
        return Scene(image.round().clip(0, 255).astype(np.uint8), int(self.targets[index]), box)

    def _background(self) -> NDArray[np.uint8]:
        photo = self.photos[self.rng.integers(len(self.photos))]
        height, width = photo.shape[:2]
        side = int(self.rng.integers(SIZE, min(height, width, 4 * SIZE) + 1))
        top, left = self.rng.integers(0, height - side + 1), self.rng.integers(0, width - side + 1)
        crop = Image.fromarray(np.ascontiguousarray(photo[top : top + side, left : left + side]))
        view = np.asarray(crop.resize((SIZE, SIZE), Image.BILINEAR))
        if self.varied:
            view = view[:, :: self.rng.choice((-1, 1)), self.rng.permutation(3)]
            view = (255 * (view / 255) ** self.rng.uniform(0.6, 1.6)).astype(np.uint8)
        return view

    def _contrasting(self, place: NDArray[np.float32]) -> NDArray[np.float32]:
        """A random colour well lighter or well darker than what it is written on."""
        light = place.mean() < 128
        base = self.rng.uniform(175, 255, 3) if light else self.rng.uniform(0, 80, 3)
        return base.astype(np.float32)
