"""Colours: for what a region did, signed, and for curves. Told apart by people who see no red or no green, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.colors import ListedColormap

KEPT, GONE, OTHER, MARK = (
    "#1b6ca8",
    "#c8553d",
    "#7a5ba8",
    "#444444",
)  # insertion, deletion, another class, what is enough
STEPS = 256

# OKLab (Ottosson 2020): equal steps look equal. To cone responses, cubed, then to linear sRGB.
CONES = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
)
LINEAR = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def ramp(hues: tuple[float, float], chroma: float, darkest: float) -> NDArray[np.float64]:
    """White to a colour, its lightness falling in equal steps. [256, 3], sRGB in 0..1.

    Args:
        hues: In degrees, at white and at the end.
        chroma: At the end.
        darkest: Lightness at the end; white has 1.
    """
    t = np.linspace(0, 1, STEPS)
    hue = np.radians(hues[0] + (hues[1] - hues[0]) * t)
    lab = np.stack((1 - (1 - darkest) * t, chroma * t * np.cos(hue), chroma * t * np.sin(hue)), 1)
    linear = np.clip((lab @ CONES.T) ** 3 @ LINEAR.T, 0, 1)
    shown: NDArray[np.float64] = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.clip(shown, 0, 1)


def colours(signed: bool) -> ListedColormap:
    """For values from 0 up, white to burnt orange; signed: blue, white, orange, white at 0."""
    from matplotlib.colors import ListedColormap

    up = ramp((80, 45), 0.17, 0.5)
    if not signed:
        return ListedColormap(up, "pysmdl")
    return ListedColormap(np.concatenate((ramp((225, 262), 0.17, 0.45)[::-1], up)), "pysmdl-signed")
