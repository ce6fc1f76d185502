"""Explanations made by hand for tests of the report: pictures, curves and ids that are known beforehand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache

import numpy as np

import pysmdl

from toys import made

COLUMNS, ROWS = 6, 4  # regions of a picture, numbered in rows


def picture(seed: int = 0, height: int = 80, width: int = 120) -> np.ndarray:
    """Smooth colours, uint8 [height, width, 3]."""
    y, x = np.mgrid[:height, :width] / (height, width)[0]
    waves = [np.sin(seed + (channel + 2) * x * 3 + channel) * np.cos(y * (seed % 5 + 2)) for channel in range(3)]
    return (127 + 120 * np.stack(waves, 2)).astype(np.uint8)


def grid_of_regions(height: int = 80, width: int = 120) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return (y * ROWS // height) * COLUMNS + x * COLUMNS // width


def sample(seed: int = 0, full: float = 0.9, **rest) -> pysmdl.Explanation:
    """A picture of 6 x 4 equal regions, the best first from the upper left for seed 0; its score rises to `full`."""
    n = COLUMNS * ROWS
    shares = np.linspace(0, 1, n + 1)
    order = np.roll(np.arange(n), -seed)
    settings = {
        "labels": grid_of_regions(),
        "order": order,
        "pixels": picture(seed),
        "size": (80, 120),
        "target": 3,
        "names": {3: "cat", 5: "dog"},
        "predicted": np.full((2, n + 1), 3),
        "id": f"picture {seed}",
        "index": seed,
        "notes": {"search": "guided", "objective": "pair"},
        "provenance": {"model": "a net", "source": "/somewhere/photo.jpg"},
        "evaluations": 100 + seed,
        "seconds": 0.25,
    }
    return made(full * shares**0.5, full * (1 - shares) ** 2, shares, **{**settings, **rest})


def mixed() -> list[pysmdl.Explanation]:
    """Twelve: of two classes, right, wrong and untold, one flat, one without a picture, a box, a pair of one input."""
    found = [sample(seed, full=0.3 + 0.05 * seed) for seed in range(8)]
    found[1].target = found[2].target = 5  # the model says 3
    found[4] = sample(4, full=0.01)
    found[5] = sample(5, pixels=None)
    found[6] = sample(6, target={"xyxy": [30, 20, 90, 60], "labels": [0], "mode": "object"}, predicted=None)
    found[7] = sample(7, frame=(0.25, 0.0, 0.75, 1.0))
    second = sample(3, full=0.6, notes={"search": "exact", "objective": "pair"}, id="picture 0")
    unmeasured = sample(8)
    unmeasured.insertion[5:9] = np.nan
    return [
        *found,
        second,
        unmeasured,
        sample(9, full=3.0),
        sample(10, attribution=np.linspace(-1, 1, 24, dtype=np.float32)),
    ]


def entries(page) -> Iterator[tuple[dict, int]]:
    """What a page holds of each explanation, and in how many bytes."""
    for text in re.findall(r'(<script type="application/json" id="e\d+">.*?</script>)', page.read_text(), re.DOTALL):
        yield json.loads(text[text.index(">") + 1 : text.rindex("<")]), len(text.encode())


@cache
def noise(side: int) -> np.ndarray:
    """What compresses worst. uint8 [side, side, 3]."""
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
