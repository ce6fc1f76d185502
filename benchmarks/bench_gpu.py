"""Figures that only a GPU can give: seconds for an image, what it saves to load images ahead, and what the exact
re-check of mixed precision does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from skimage import data

import pysmdl

from bench_efficiency import BOTH, vit, vit_l
from measuring import ROUNDS, clock, interleaved, over, picture

pytestmark = pytest.mark.gpu
LIMA = pysmdl.lima(confidence=0, effectiveness=0, consistency=20, collaboration=1)


def vit_b() -> Any:
    return pysmdl.scorers.classifier(vit(768, 12, 12, 16, torch.bfloat16), mean=0.5, std=0.5, size=224)


EXACT = {"search": "exact", "objective": BOTH}  # its seconds an image come with its efficiency
DROPPING = {"search": "bidirectional", "objective": LIMA, "removal": "token-drop"}
CASES: dict[str, tuple[Callable[[], Any], dict[str, Any], int, str]] = {
    "ViT-L/14 bf16, LiMA, token dropping": (vit_l, DROPPING, 16, "<= 0.35"),
    "ViT-B/16 bf16, LiMA, token dropping, one image alone": (vit_b, DROPPING, 1, "<= 0.1"),
}


def explained(scorer: Any, images: Sequence[Any], **settings: Any) -> tuple[float, list[pysmdl.Explanation]]:
    """Seconds for each image, and the explanations in order."""
    began = clock()
    settings = {"regions": "grid:49", "progress": False, "ordered": True, **settings}
    found = list(pysmdl.explain_many([(image, 1) for image in images], scorer, **settings))
    return (clock() - began) / len(images), found


@pytest.mark.parametrize("case", CASES)
def test_seconds_an_image(benchmark, report, case):
    make, settings, count, target = CASES[case]
    scorer = make()
    config = pysmdl.EngineConfig(max_searches=count)
    evaluations: list[int] = []

    def run(pair: int) -> float:
        spent, found = explained(scorer, [picture(1000 * pair + i) for i in range(count)], config=config, **settings)
        evaluations.append(found[0].evaluations)
        return spent

    found = explained(scorer, [picture(999_999)], config=config, **settings)[1][0]
    # nothing removed is the same model, in whatever way one removes
    masked = explained(scorer, [picture(999_999)], **{**settings, "removal": "baseline", "k": 1})[1][0]
    assert abs(masked.deletion[0] - found.deletion[0]) <= 0.02
    _, spent = interleaved(benchmark, lambda i: 0.0, run)
    report(
        f"gpu: {case}", spent, unit="s / image", target=target,
        parameters=f"N = 49, full orders, {evaluations[-1]} evaluations, {count} in flight",
    )  # fmt: skip


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> list[Path]:
    """JPEGs of 500 x 375, as ImageNet's are."""
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"{i}.jpg" for i in range(32)]
    for i, path in enumerate(paths):
        Image.fromarray(data.astronaut()[i : 375 + i, :500]).save(path, quality=92)
    return paths


def test_images_from_disk(benchmark, report, photos):
    """Read, resized and divided into superpixels in the engine's own thread, and ahead of it."""
    scorer, divided = vit_b(), {}

    def run(pair: int, loaders: int | None) -> float:
        config = pysmdl.EngineConfig(loaders=loaders, max_searches=16)
        shown = photos[pair % 8 :] + photos[: pair % 8]
        spent, found = explained(scorer, shown, regions="slico", config=config, **DROPPING)
        divided[loaders] = [each.labels.tobytes() for each in found]
        return spent

    inline, ahead = interleaved(benchmark, lambda i: run(i, 0), lambda i: run(i, None))
    assert divided[0] == divided[None], "the same images, divided alike"
    report(
        "gpu: images from disk, loaded in turn over loaded ahead", ahead, over(inline, ahead), unit="s / image",
        parameters="ViT-B/16 bf16, LiMA, token dropping, 16 in flight, JPEGs of 500 x 375, slico",
    )  # fmt: skip


def test_mixed_precision_gives_the_order_of_float32(benchmark, report):
    mixed_orders(benchmark, report, pysmdl.scorers.classifier(vit(384, 12, 6, 16), mean=0.5, std=0.5, size=224), 50)


def mixed_orders(benchmark: Any, report: Callable[..., None], scorer: Any, count: int) -> None:
    """A share of the images in each pair: float32, then mixed precision. Gate: the same order on every image.

    All batches are of one size: float32 itself rounds differently in batches of different sizes.
    """
    found: dict[str, list[pysmdl.Explanation]] = {"model": [], "mixed": []}

    def run(pair: int, precision: str) -> float:
        config = pysmdl.EngineConfig(precision=precision, deterministic=True)
        images = [picture(100 * pair + i) for i in range(count // ROUNDS)]
        spent, explanations = explained(scorer, images, config=config, regions="grid:36", **EXACT)
        found[precision] += explanations
        return spent

    slow, fast = interleaved(benchmark, lambda i: run(i, "model"), lambda i: run(i, "mixed"), warm=0)
    orders = [[each.order.tolist() for each in found[name]] for name in found]
    same = sum(one == other for one, other in zip(*orders, strict=True))
    assert same == len(orders[0]), f"mixed precision gave float32's order on {same} of {len(orders[0])} images"
    checked = sum(each.notes["rechecked"] for each in found["mixed"]) / sum(each.evaluations for each in found["mixed"])
    report(
        "gpu: float32 over mixed precision, ViT-S/16", fast, over(slow, fast), unit="s / image",
        parameters=f"N = 36, exact, the same order on {same} of {same} images; {checked:.0%} of the rows in float32",
    )  # fmt: skip
