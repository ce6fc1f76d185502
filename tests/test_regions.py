"""Divisions of an input, and what is refused as one."""

from __future__ import annotations

import subprocess
import sys
import types

import numpy as np
import pytest
from skimage import data
from skimage.measure import label

from pysmdl.builtin import haar
from pysmdl.errors import MissingPackageError, RegionError
from pysmdl.regions import (
    REGIONS,
    Regions,
    from_labels,
    from_masks,
    grid,
    partition,
    prior,
    seeds,
    slico,
    slico_opencv,
)
from pysmdl.regions.label_maps import merge_small, snap_to_patches

from toys import image

PICTURE = np.asarray(image(height=60, width=80))


@pytest.mark.parametrize("name", REGIONS)
@pytest.mark.parametrize("count", [1, 12, 49])
def test_a_partition_covers_the_grid_with_every_id(name, count):
    made = partition(f"{name}:{count}", PICTURE, PICTURE.shape[:2])
    assert made.labels.dtype == np.int32
    assert made.labels.shape == (60, 80)
    assert np.array_equal(np.unique(made.labels), np.arange(made.n))
    assert made.areas().sum() == 60 * 80
    assert max(1, count / 3) <= made.n <= max(4, 2 * count)


@pytest.mark.parametrize("name", REGIONS)
def test_a_partition_is_the_same_every_time(name):
    np.testing.assert_array_equal(partition(name, PICTURE, (60, 80)).labels, partition(name, PICTURE, (60, 80)).labels)


@pytest.mark.parametrize(
    ("height", "width", "n", "wanted"), [(14, 14, 49, 49), (3, 3, 49, 9), (1, 10, 5, 5), (20, 10, 50, 50), (7, 7, 1, 1)]
)
def test_grid_counts(height, width, n, wanted):
    made = grid(np.zeros((height, width, 3), np.uint8), n)
    assert made.n == wanted
    assert made.areas().max() - made.areas().min() <= made.areas().max() / 2


def test_slico_opencv_takes_the_papers_region_size():
    made = slico_opencv(np.asarray(image(height=224, width=224)), region_size=30)
    assert 30 <= made.n <= 81


@pytest.mark.parametrize("settings", [{"region_size": 30}, {"n": 50}])
def test_slico_opencv_is_what_the_published_scripts_call(settings):
    cv2 = pytest.importorskip("cv2")
    cat = cv2.resize(data.chelsea(), (224, 224))
    bgr = np.ascontiguousarray(cat[:, :, ::-1])
    published = cv2.ximgproc.createSuperpixelSLIC(bgr, cv2.ximgproc.SLICO, 30 if "region_size" in settings else 31, 20)
    published.iterate(20)
    made = slico_opencv(cat, **settings)
    np.testing.assert_array_equal(made.labels, published.getLabels())
    assert made.n == 49
    apart = sum(label(made.labels == region, return_num=True)[1] for region in range(made.n))
    assert apart > made.n, "specks stay where they are"


@pytest.mark.parametrize("call", [grid, slico, slico_opencv, seeds])
@pytest.mark.parametrize("n", [0, -3, 2.5, float("nan")])
def test_a_number_of_regions_is_whole(call, n):
    with pytest.raises(ValueError, match="n must be a whole number of at least 1; got"):
        call(PICTURE, n)


@pytest.mark.parametrize("ruler", [float("nan"), float("inf"), -1])
def test_a_ruler_is_finite(ruler):
    with pytest.raises(ValueError, match="ruler must be a finite number of at least 0; got"):
        slico_opencv(PICTURE, ruler=ruler)


@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (2, 2), (5, 5), (7, 7), (9, 9), (10, 10), (1, 200), (200, 2), (30, 1000), (50, 2000)],
)
def test_seeds_refuses_what_would_end_the_process(height, width):
    small = np.zeros((height, width, 3), np.uint8)
    with pytest.raises(RegionError, match=rf"SEEDS cannot cut {height}x{width} pixels into about n=50 regions; take "):
        seeds(small)
    assert partition("slico", small, (height, width)).n >= 1, "what the message says works"


def test_seeds_names_a_count_that_works():
    small = np.asarray(image(height=30, width=1000))
    with pytest.raises(RegionError, match=r"n=50 regions; take n=134, or regions='slico'"):
        seeds(small)
    assert seeds(small, 134).n > 50
    with pytest.raises(RegionError, match="take a larger image"):
        seeds(small[:1])


@pytest.mark.slow
def test_seeds_takes_every_reasonable_image_and_count():
    """In a process of its own: a mistake here ends it."""
    code = """
import numpy as np
from pysmdl.regions import seeds
for height, width in ((64, 64), (64, 256), (256, 64), (97, 131), (224, 224)):
    for n in (30, 50, 100, 200):
        pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
        assert seeds(pixels, n).n >= n / 4, (height, width, n)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize(
    ("height", "width", "settings", "message"),
    [
        (1, 200, {}, "region_size must be 1 to 1 on an image of 1x200; got 2, for n=50: take a larger n, or regions='"),
        (30, 40, {"region_size": 60}, "region_size must be 1 to 59 on an image of 30x40; got 60$"),
        (30, 40, {"region_size": 0}, "got 0$"),
        (30, 40, {"region_size": 7.5}, r"got 7\.5$"),
    ],
)
def test_slico_opencv_refuses_what_would_end_the_process(height, width, settings, message):
    with pytest.raises(RegionError, match=message):
        slico_opencv(np.zeros((height, width, 3), np.uint8), **settings)


def test_slico_opencv_takes_the_widest_regions_there_may_be():
    assert slico_opencv(np.asarray(image(height=30, width=40)), region_size=59).n == 1
    assert slico_opencv(np.asarray(image(height=1, width=200)), 200).n >= 1


def test_prior_groups_patches_of_like_saliency():
    saliency = np.arange(16).reshape(4, 4)
    made = prior(saliency, n=4, patches=4)(np.zeros((8, 8, 3), np.uint8))
    assert made.n == 4
    assert made.areas().tolist() == [16] * 4
    assert (made.labels[6:] == 0).all(), "the most salient quarter is region 0"
    assert (made.labels[:2] == 3).all()
    uneven = prior(np.ones((3, 5)), n=7, patches=5)(np.zeros((50, 50, 3), np.uint8))
    assert uneven.n == 7
    assert uneven.areas().max() <= 4 * 100


def test_masks_smaller_ones_win_and_the_rest_is_a_region():
    masks = np.zeros((3, 4, 4), bool)
    masks[0, :, :3] = True
    masks[1, :2, :2] = True
    masks[2, 0, 0] = True
    labels = from_masks(masks).labels
    np.testing.assert_array_equal(labels, [[2, 1, 0, 3], [1, 1, 0, 3], [0, 0, 0, 3], [0, 0, 0, 3]])
    shown = from_masks(masks, remainder="shown")
    assert shown.n == 3
    assert (shown.labels[:, 3] == -1).all()


def test_masks_with_nothing_of_their_own():
    masks = np.zeros((3, 2, 2), bool)
    masks[0], masks[2] = True, [[True, False], [False, False]]
    with pytest.raises(RegionError, match=r"without a point of their own .*: 1; drop them"):
        from_masks(masks)
    dropped = from_masks(masks, empty="drop")
    np.testing.assert_array_equal(dropped.labels, [[1, 0], [0, 0]])
    same = np.ones((2, 2, 2), bool)
    with pytest.raises(RegionError, match=": 1; drop"):
        from_masks(same)


def test_a_given_label_map_keeps_its_ids():
    labels = np.array([[3, 3, 1], [0, 2, -1]], np.int64)
    made = partition(labels, None, (2, 3))
    np.testing.assert_array_equal(made.labels, labels)
    assert made.n == 4


@pytest.mark.parametrize("as_regions", [False, True])
def test_labels_are_copied(as_regions):
    buffer = np.array([[0, 1], [1, 1]], np.int32)
    made = partition(Regions(buffer, 2) if as_regions else buffer, None, (2, 2))
    buffer[:] = 0
    assert made.labels.tolist() == [[0, 1], [1, 1]]


BAD = {
    "n above the ids": (Regions(np.array([[0, 1, 1]] * 2, np.int32), 3), "n of the given Regions must be 2.*; got 3"),
    "n below the ids": (Regions(np.array([[0, 1, 2]] * 2, np.int32), 2), "n of the given Regions must be 3.*; got 2"),
    "missing id of Regions": (Regions(np.array([[0, 2, 2]] * 2, np.int32), 3), "missing: 1"),
    "floats in Regions": (Regions(np.zeros((2, 3)), 1), "must hold whole numbers; got float64"),
    "wrong shape": (np.zeros((2, 2), int), r"regions must cover the input's grid \[2, 3\]; got \[2, 2\]"),
    "floats": (np.zeros((2, 3)), "must hold whole numbers; got float64"),
    "no region": (np.full((2, 3), -1), "needs at least one region"),
    "empty": (np.zeros((0, 3), int), "needs at least one region"),
    "missing id": (np.array([[0, 1, 3], [3, 3, 5]]), r"0\.\.5, each at least once; missing: 2, 4"),
    "below -1": (np.array([[0, 1, -2], [0, 0, 0]]), "got -2"),
    "huge id": (np.array([[0, 1, 2], [0, 0, 2**40]]), "each at least once; got 1099511627776"),
    "no masks": (np.zeros((0, 2, 3), bool), "n at least 1"),
    "one mask without n": (np.zeros(3, bool), r"masks must be bool \[n, \*grid\]"),
    "one mask": (np.zeros((2, 3), bool), r"masks must be bool \[n, \*grid\], here \[n, H, W\]; got bool \[2, 3\]"),
    "beyond uint32": (np.full((2, 3), 2**64 - 1, np.uint64), "each at least once; got 18446744073709551615"),
    "beyond int32": (np.full((2, 3), 2**31, np.int64), "each at least once; got 2147483648"),
    "numbers that are no masks": (np.full((2, 2, 3), 7), r"masks must be bool, or whole numbers of 0 and 1 or"),
    "masks of floats": (np.ones((2, 2, 3)), r"masks must be bool, or whole numbers .*; got float64 \[2, 2, 3\]"),
    "a list of two shapes": ([np.ones((2, 3), bool), np.ones((2, 2), bool)], r"must be of one shape; got \(2, 2\), \("),
    "no masks in a list": ([], "n at least 1|here"),
    "dicts of something else": ([{"bbox": [0, 0, 1, 1]}], 'must have "segmentation"'),
    "run lengths": (
        [{"segmentation": {"counts": [1], "size": [2, 3]}}],
        r"must have size \[H, W\] and counts that add up to H \* W; got size \[2, 3\]",
    ),
    "a number": (50, 'regions must be a name, such as "slico:50", a label map or masks; got 50'),
    "masked entries": (np.ma.masked_equal([[0, 1, 2]] * 2, 1), "must have no masked entries: say what they are"),
    "words": (np.array([["a"] * 3] * 2), "must be an array of real numbers"),
    "nothing": (None, "must be an array of real numbers"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_regions_are_refused(case):
    given, message = BAD[case]
    with pytest.raises(RegionError, match=message):
        partition(given, None, (2, 3))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "sam",
            r"regions must be one of 'bands:8x6', 'columns', 'grid', .*, 'slico', .*; got 'sam'",
        ),
        ("slico:many", "NAME or NAME:COUNT"),
        ("grid:", "NAME or NAME:COUNT with a count of at least 1; got 'grid:'"),
        ("slico:0", "count of at least 1"),
    ],
)
def test_bad_names_are_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        partition(spec, PICTURE, (60, 80))


def test_names_need_an_image():
    with pytest.raises(RegionError, match="'slico' needs an image; give a label map"):
        partition("slico", None, (5,))


@pytest.mark.parametrize("name", ["slico-opencv", "seeds"])
def test_missing_opencv_says_what_to_install(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingPackageError, match=rf"regions='{name}' needs OpenCV.*pip install 'pysmdl\[opencv\]'"):
        partition(name, PICTURE, (60, 80))


@pytest.mark.parametrize("ximgproc", [None, types.SimpleNamespace()])
def test_an_opencv_without_superpixels_or_cascades_says_what_to_install(ximgproc, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", types.SimpleNamespace(**{"ximgproc": ximgproc} if ximgproc else {}))
    for name in ("slico-opencv", "seeds"):
        with pytest.raises(MissingPackageError, match=r"OpenCV's contrib build.*opencv-contrib-python-headless<5"):
            partition(name, PICTURE, (60, 80))
    with pytest.raises(MissingPackageError, match=r"face detector needs OpenCV 4.*opencv-contrib-python-headless<5"):
        haar.HaarFaces()


def test_bad_priors_are_refused():
    with pytest.raises(RegionError, match=r"finite array \[h, w\]"):
        prior(np.array([[np.nan, 1], [1, 1]]))
    with pytest.raises(RegionError, match="the prior must be an array of real numbers"):
        prior(np.ones((2, 2), complex))
    with pytest.raises(ValueError, match="patches must be a whole number of at least 1; got inf"):
        prior(np.ones((4, 4)), patches=float("inf"))
    with pytest.raises(ValueError, match=r"n must be a whole number of at least 1; got 2\.5"):
        prior(np.ones((4, 4)), n=2.5)
    with pytest.raises(RegionError, match=r"n must be 1 to patches\^2 = 16; got 17"):
        prior(np.ones((4, 4)), n=17, patches=4)
    with pytest.raises(RegionError, match="n must be at most 4"):
        prior(np.ones((4, 4)), n=9, patches=4)(np.zeros((2, 2, 3), np.uint8))


def test_snapping_to_patches_is_a_majority():
    labels = np.zeros((4, 6), np.int32)
    labels[:, 3:] = 1
    labels[0, 5] = 2
    labels[2:, 4:] = -1
    snapped = snap_to_patches(Regions(labels, 3), 2)
    np.testing.assert_array_equal(snapped.labels[::2, ::2], [[0, 0, 1], [0, 0, -1]])
    with pytest.raises(RegionError, match="patch must be 1 to 4, for a grid of 4x6; got 5"):
        snap_to_patches(Regions(labels, 3), 5)


def test_points_beyond_the_last_whole_patch_go_with_the_nearest():
    """SigLIP sees 27 x 27 patches of 14 in a picture of 384 points, and nothing of its last 6."""
    labels = np.repeat(np.arange(7)[None] // 2, 5, 0)
    snapped = snap_to_patches(Regions(labels.astype(np.int32), 4), 2)
    np.testing.assert_array_equal(snapped.labels, np.repeat([[0, 0, 1, 1, 2, 2, 2]], 5, 0))


def test_merging_small_regions():
    labels = np.zeros((6, 6), np.int32)
    labels[:, 4:] = 1
    labels[0, 3] = 2
    labels[5, 5] = 3
    merged = merge_small(from_labels(labels), 3)
    assert merged.n == 2
    assert merged.labels[5, 5] == 1
    assert merged.labels[0, 3] == 0
    assert merge_small(from_labels(np.zeros((2, 2), np.int32)), 100).n == 1


@pytest.mark.parametrize("made", ["grid:4", np.arange(4).reshape(2, 2), np.eye(4, dtype=bool).reshape(4, 2, 2)])
def test_a_function_of_the_pixels_may_give_whatever_regions_may_be(made):
    pixels = np.zeros((2, 2, 3), np.uint8)
    assert partition(lambda given: made, pixels, (2, 2)).labels.tolist() == [[0, 1], [2, 3]]
    with pytest.raises(RegionError, match="need an image"):
        partition(lambda given: made, None, (2, 2))


FORGED = {
    "labels beyond n": Regions(np.full((4, 4), 2**31 - 1, np.int32), 1),
    "labels below -1": Regions(np.full((4, 4), -9, np.int32), 1),
    "another n": Regions(np.zeros((4, 4), np.int32), 2),
}


@pytest.mark.parametrize("case", FORGED)
@pytest.mark.parametrize("call", [merge_small, snap_to_patches])
def test_regions_that_are_not_what_they_say_reach_no_compiled_loop(case, call):
    with pytest.raises(RegionError):
        call(FORGED[case], 2)


def test_compiled_loops_take_images_alone():
    with pytest.raises(RegionError, match=r"regions must be of an image, \[H, W\]; got \[4\]"):
        merge_small(Regions(np.arange(4), 4), 2)
    with pytest.raises(ValueError, match="smallest must be a whole number of at least 1; got nan"):
        merge_small(Regions(np.arange(4).reshape(2, 2), 4), float("nan"))
