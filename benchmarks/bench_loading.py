"""Images from disk: what reading and dividing them costs a job whose device would rather go on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from skimage import data
from torch import Tensor

import pysmdl

from measuring import clock, interleaved, over

IMAGES, PER_ROW = 16, 1e-4  # seconds: what a ViT-B takes a row on a large GPU


def answers_later(batch: Tensor) -> Tensor:
    """Holds neither the cores nor Python for as long as it takes, as a device or a remote model does."""
    time.sleep(PER_ROW * len(batch))
    return torch.zeros(len(batch), 10)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> list[Path]:
    """JPEGs of 500 x 375, as ImageNet's are."""
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"{i}.jpg" for i in range(IMAGES)]
    for i, path in enumerate(paths):
        Image.fromarray(data.astronaut()[i : 375 + i, :500]).save(path, quality=92)
    return paths


@pytest.mark.parametrize("search", ["bidirectional", "scoped"])
def test_loading_ahead(benchmark, report, photos, search):
    scorer = pysmdl.scorers.classifier(answers_later, mean=0.5, std=0.5, size=224)
    objective = pysmdl.lima(confidence=0, effectiveness=0)
    found: dict[int, list[pysmdl.Explanation]] = {}

    def run(loaders: int) -> float:
        config = pysmdl.EngineConfig(loaders=loaders, max_searches=8)
        began = clock()
        stream = pysmdl.explain_many(
            [(path, 1) for path in photos], scorer, search=search, objective=objective, config=config, ordered=True,
            progress=False,
        )  # fmt: skip
        found[loaders] = list(stream)
        return clock() - began

    inline, ahead = interleaved(benchmark, lambda i: run(0), lambda i: run(2))
    orders = [[each.order.tolist() for each in found[loaders]] for loaders in (0, 2)]
    assert orders[0] == orders[1]
    rows = sum(each.evaluations for each in found[2])
    report(
        f"loading: {search}, images loaded in turn over loaded ahead", [1e3 * each / IMAGES for each in ahead],
        over(inline, ahead), unit="ms / image",
        parameters=f"500 x 375 JPEG, slico of 224 x 224, {rows // IMAGES} evaluations an image, a model that takes "
        f"{1e6 * PER_ROW:.0f} us a row elsewhere, 2 threads",
    )  # fmt: skip
