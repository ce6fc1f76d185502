"""A function of your own: plain NumPy, no gradients, no layers. Which part of a picture makes it say what it says?

python examples/black_box.py
"""

from __future__ import annotations

import numpy as np

import pysmdl

NAMES = ("red", "green", "blue")


def strongest_colour(batch):
    """Images [B, 3, H, W], 0 to 1, to a score for each colour [B, 3]: how far it stands out from the other two."""
    pixels = batch.numpy()
    others = np.stack([np.delete(pixels, colour, axis=1).max(1) for colour in range(3)], axis=1)
    return 40 * np.maximum(pixels - others, 0).mean((2, 3))


rng = np.random.default_rng(0)
image = rng.integers(90, 130, (96, 96, 3), dtype=np.uint8)  # grey noise,
image[12:36, 60:84] = 200, 30, 30  # with a red patch at the upper right
image[70:78, 10:18] = 30, 30, 200  # and a smaller blue one at the lower left

found = pysmdl.explain(image, strongest_colour, regions="grid:64", baseline="blur", k=6)  # target: what it says itself

row, column = np.divmod(found.order, 8)  # a grid of 8 x 8 regions, numbered by rows
print(f"it says {NAMES[found.target]}, because of the cells (row, column):")
for j, cell in enumerate(zip(row.tolist(), column.tolist(), strict=True)):
    print(f"{j + 1:3}. {cell}: {found.insertion[j + 1]:.3f} with the first {j + 1} alone")
