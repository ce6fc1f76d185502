"""The forms in which people have label maps and masks, and LiMA's division by SAM's masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl.errors import RegionError
from pysmdl.regions import Regions, from_labels, from_masks, lima_masks, partition

from toys import STRIPES, explain, image, linear_model, same


def lima_by_hand(masks):
    """LiMA's words, mask by mask; no code of pysmdl."""
    masks = [mask.copy() for mask in masks]
    for i in range(len(masks)):
        for j in range(i + 1, len(masks)):
            shared = masks[i] & masks[j]
            loser = j if masks[i].sum() < masks[j].sum() else i
            masks[loser] = masks[loser] & ~shared
    kept = [mask for mask in masks if mask.mean() >= 0.0005]
    labels = np.full(masks[0].shape, len(kept))
    for region, mask in enumerate(kept):
        labels[mask] = region
    return labels


@pytest.mark.parametrize("seed", range(5))
def test_lima_shares_overlaps_out_pair_by_pair(seed):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:50, :61]
    centres, radii = rng.uniform(0, 55, (12, 2)), rng.uniform(0.3, 25, 12)
    masks = np.array([(y - cy) ** 2 + (x - cx) ** 2 <= r**2 for (cy, cx), r in zip(centres, radii, strict=True)])
    by_hand = lima_by_hand(masks)
    np.testing.assert_array_equal(lima_masks(masks).labels, by_hand)
    assert not np.array_equal(from_masks(masks, empty="drop").labels, by_hand)
    sams = [{"segmentation": mask, "area": int(mask.sum())} for mask in masks]
    np.testing.assert_array_equal(lima_masks(sams).labels, by_hand)


def test_lima_gives_equals_to_the_second_and_drops_specks():
    masks = np.zeros((4, 40, 50), bool)
    masks[0, :10, :10] = masks[1, 5:15, :10] = True
    masks[2, 39, 49] = True  # 1 of 2000 points: 0.05 % of the image, not below it
    masks[3, 20, :20] = True
    made = lima_masks(masks)
    assert made.n == 5
    assert (made.labels[5:15, :10] == 1).all()
    assert (made.labels[:5, :10] == 0).all()
    assert (made.labels[39, 49], made.labels[39, 0]) == (2, 4)
    wider = np.pad(masks, ((0, 0), (0, 0), (0, 1)))
    assert lima_masks(wider).n == 4, "of 2040 points it is below"
    assert lima_masks(np.zeros((2, 8, 8), bool)).n == 1
    assert lima_masks(np.ones((1, 8, 8), bool)).n == 1, "there is no remainder"
    with pytest.raises(RegionError, match="n at least 1"):
        lima_masks([])


COUNTED = np.array([[0, 1, 1], [2, 2, 3]])
FORMS = {
    "negative strides": lambda a: np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1],
    "foreign byte order": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "uint64": lambda a: a.astype(np.uint64),
    "int8": lambda a: a.astype(np.int8),
    "from 1": lambda a: a + 1,
    "uint8 from 1": lambda a: (a + 1).astype(np.uint8),
    "nested lists": lambda a: a.tolist(),
    "a tensor": torch.from_numpy,
    "a tensor of bytes": lambda a: torch.from_numpy(a.astype(np.uint8)),
    "one more dimension": lambda a: a[None],
    "Regions": lambda a: Regions(a, 4),
    "Regions of a foreign byte order": lambda a: Regions(a.astype(">i2"), 4),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_label_map_may_have_any_form(form):
    made = partition(FORMS[form](COUNTED), None, (2, 3))
    np.testing.assert_array_equal(made.labels, COUNTED)
    assert (made.n, made.labels.dtype, made.labels.flags.c_contiguous) == (4, np.int32, True)


def test_a_map_that_counts_from_1_may_show_points_always():
    np.testing.assert_array_equal(from_labels(np.array([[-1, 2], [1, 1]])).labels, [[-1, 1], [0, 0]])
    assert from_labels(np.ones((2, 2), int)).n == 1
    np.testing.assert_array_equal(from_labels(np.array([3, 1, 2])).labels, [2, 0, 1])
    with pytest.raises(RegionError, match="missing: 0, 2"):
        from_labels(np.array([1, 1, 3]))


MASKS = np.array([[[1, 0, 0], [0, 0, 0]], [[0, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0]]], bool)
MASK_FORMS = {
    "bool": lambda a: a,
    "0 and 1": lambda a: a.astype(np.int64),
    "0 and 255": lambda a: a.astype(np.uint8) * 255,
    "foreign byte order": lambda a: a.astype(">i4"),
    "negative strides": lambda a: np.ascontiguousarray(a[:, ::-1])[:, ::-1],
    "a list": list,
    "a tuple of bytes": lambda a: tuple(a.astype(np.uint8) * 255),
    "a bool tensor": torch.from_numpy,
    "a list of tensors": lambda a: list(torch.from_numpy(a)),
    "SAM's dicts": lambda a: [{"segmentation": mask, "predicted_iou": 0.9} for mask in a],
    "dicts of bytes": lambda a: [{"segmentation": mask.astype(np.uint8)} for mask in a],
}


@pytest.mark.parametrize("form", MASK_FORMS)
def test_masks_may_have_any_form(form):
    np.testing.assert_array_equal(partition(MASK_FORMS[form](MASKS), None, (2, 3)).labels, [[0, 1, 1], [2, 2, 3]])
    np.testing.assert_array_equal(from_masks(MASK_FORMS[form](MASKS)).labels, [[0, 1, 1], [2, 2, 3]])


def test_one_mask_of_numbers_is_told_from_a_label_map():
    given = np.array([[[1, 0, 0], [0, 0, 0]]])
    with pytest.raises(RegionError, match=r"\[1, 2, 3\] of 0 and 1 may be one mask or a label map: give"):
        partition(given, None, (2, 3))
    np.testing.assert_array_equal(partition(given.astype(bool), None, (2, 3)).labels, [[0, 1, 1], [1, 1, 1]])
    np.testing.assert_array_equal(partition(given * 255, None, (2, 3)).labels, [[0, 1, 1], [1, 1, 1]])
    np.testing.assert_array_equal(partition(given[0], None, (2, 3)).labels, [[1, 0, 0], [0, 0, 0]])


def test_label_maps_and_masks_may_have_the_pictures_size():
    quarters = np.arange(8)[:, None] // 4 * 2 + np.arange(12) // 6
    wanted = [[0, 1, 1], [2, 3, 3]]  # centres at rows 2 and 6, columns 2, 6 and 10
    assert partition(quarters, None, (2, 3), (8, 12)).labels.tolist() == wanted
    masks = quarters == np.arange(3)[:, None, None]
    assert partition(masks, None, (2, 3), (8, 12)).labels.tolist() == wanted
    assert partition(Regions(quarters, 4), None, (2, 3), (8, 12)).labels.tolist() == wanted
    with pytest.raises(RegionError, match=r"grid \[2, 3\] or the picture's size \[8, 12\]; got \[4, 6\]"):
        partition(quarters[::2, ::2], None, (2, 3), (8, 12))
    quarters[0, 0] = 4
    with pytest.raises(RegionError, match=r"grid 2x3 no point is left of these regions of the 8x12 label map: 4; join"):
        partition(quarters, None, (2, 3), (8, 12))


def test_an_explanation_takes_a_label_map_of_the_pictures_size():
    picture = image(height=24, width=36)
    labels = np.arange(24)[:, None] // 8 * 3 + np.arange(36) // 12 + 1
    scorer = pysmdl.scorers.classifier(linear_model(), size=12)
    on_grid = np.arange(12)[:, None] // 4 * 3 + np.arange(12) // 4
    found = pysmdl.explain(picture, scorer, 1, regions=labels, progress=False)
    assert same(found, pysmdl.explain(picture, scorer, 1, regions=on_grid, progress=False))
    masks = [{"segmentation": labels == i} for i in range(1, 10)]
    assert same(found, pysmdl.explain(picture, scorer, 1, regions=masks, progress=False))


@pytest.mark.parametrize("loaders", [0, 2])
def test_masks_in_a_list_may_be_filled_anew(loaders):
    mask = np.empty((12, 12), bool)

    def items():
        for seed in range(8):
            mask[:] = np.arange(12) <= seed
            yield {"image": image(seed), "target": 1, "regions": [{"segmentation": mask}]}

    config = pysmdl.EngineConfig(loaders=loaders)
    found = pysmdl.explain_many(items(), linear_model(), progress=False, ordered=True, config=config)
    assert [(each.labels == 0).sum() for each in found] == [12 * (seed + 1) for seed in range(8)]


def test_a_function_of_the_pixels_may_paint_on_them():
    def paint(pixels):
        pixels[:] = 7
        return np.arange(144).reshape(12, 12) // 36

    found = explain(linear_model(), regions=paint)
    np.testing.assert_array_equal(found.pixels, image())
    assert same(found, explain(linear_model(), regions=STRIPES))
