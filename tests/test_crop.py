"""The square in the middle that a model sees: against Pillow by hand, its frame, boxes and label maps under it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import pysmdl
from pysmdl.errors import RegionError
from pysmdl.explainer import Explainer
from pysmdl.inputs import reader_of
from pysmdl.inputs.image import InputSpec, input_spec
from pysmdl.scorers import classifier, detector

from toys import image, linear_model

CROP = {"size": 12, "crop": 0.5}
SHAPES = {"portrait": (60, 40), "landscape": (40, 60), "odd": (41, 53), "both odd, square": (37, 37), "even": (48, 48)}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("crop", [0.875, 0.5, 1.0, 1])
@pytest.mark.parametrize("how", ["bilinear", "bicubic", "nearest"])
def test_the_middle_is_cut_out_and_resized_at_once(shape, crop, how):
    pixels, (height, width) = image(height=shape[0], width=shape[1]), shape
    side = crop * min(shape)
    frame = ((width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2)
    spec = input_spec(size=(16, 20), crop=crop, interpolation=how)
    by_hand = Image.fromarray(pixels).resize((20, 16), Image.Resampling[how.upper()], box=frame)
    np.testing.assert_array_equal(spec.grid(pixels), np.asarray(by_hand))
    np.testing.assert_allclose(spec.frame(shape), frame)
    np.testing.assert_allclose(spec.scale(shape), (20 / side, 16 / side))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_opencv_resizes_whole_pixels(shape):
    cv2 = pytest.importorskip("cv2")
    pixels, spec = image(height=shape[0], width=shape[1]), input_spec(size=12, crop=0.8, interpolation="cv2-bilinear")
    side = round(0.8 * min(shape))
    y, x = (shape[0] - side) // 2, (shape[1] - side) // 2
    cut = np.ascontiguousarray(pixels[y : y + side, x : x + side])
    np.testing.assert_array_equal(spec.grid(pixels), cv2.resize(cut, (12, 12)))
    assert spec.frame(shape) == (x, y, x + side, y + side)
    assert input_spec(size=4, crop=0.01, interpolation="cv2-bilinear").grid(pixels).shape == (4, 4, 3)


def test_a_crop_at_the_models_size_changes_no_pixel():
    pixels = image(height=32, width=48)
    np.testing.assert_array_equal(input_spec(size=32, crop=1).grid(pixels), pixels[:, 8:40])
    np.testing.assert_array_equal(input_spec(size=16, crop=0.5).grid(pixels), pixels[8:24, 16:32])


def test_what_lies_well_outside_makes_no_difference():
    inside, outside = image(1, height=40, width=60), image(2, height=40, width=60)
    outside[6:34, 16:44] = inside[6:34, 16:44]  # Pillow's filter reaches over the edge
    scorer, settings = classifier(linear_model(), **CROP), {"regions": "grid:9", "progress": False}
    one, two = (pysmdl.explain(each, scorer, 1, **settings) for each in (inside, outside))
    np.testing.assert_array_equal(one.insertion, two.insertion)
    assert one.labels.shape == (12, 12)
    uncropped = pysmdl.explain(inside, classifier(linear_model(), size=12), 1, **settings)
    assert not np.array_equal(one.insertion, uncropped.insertion)


def test_the_picture_stays_whole_and_the_frame_says_where_the_grid_lies():
    pixels = image(height=40, width=60)
    item = Explainer(classifier(linear_model(), **CROP), regions="grid:4").prepare(pixels)
    np.testing.assert_array_equal(item.pixels, pixels)
    assert item.frame == (20, 10, 40, 30)
    assert Explainer(classifier(linear_model(), size=12), regions="grid:4").prepare(pixels).frame is None
    spec = classifier(linear_model(), **CROP).input
    assert reader_of(pixels).read(pixels, spec, True).content.shape == (12, 12, 3)
    tensor = torch.zeros(3, 12, 12)  # in model space it is cropped already
    assert reader_of(tensor).read(tensor, spec, True).frame is None


def finds(batch):
    """A detector that finds one box on its grid of 12 x 12."""
    boxes = torch.tensor([[[3.0, 0.0, 9.0, 6.0]]]).expand(len(batch), 1, 4)
    return boxes, batch.mean((1, 2, 3))[:, None, None].clamp(0, 1)


@pytest.mark.parametrize("shape", [(40, 60), (60, 40)])
def test_a_box_is_in_the_pixels_of_the_whole_image(shape):
    x0, y0 = input_spec(**CROP).frame(shape)[:2]
    target = pysmdl.Box((x0 + 5, y0, x0 + 15, y0 + 10), 0)  # 20 pixels are 12 points
    found = pysmdl.explain(
        image(height=shape[0], width=shape[1]), detector(finds, **CROP), target, regions="grid:4", progress=False
    )
    assert found.reading["iou"][0, -1] == 1
    assert found.target == target.describe()
    with pytest.raises(ValueError, match=rf"xyxy must overlap what the model sees.*crop {x0:g}, {y0:g}.*got \(0\.0"):
        pysmdl.explain(image(height=shape[0], width=shape[1]), detector(finds, **CROP), pysmdl.Box((0, 0, 5, 9), 0))


@pytest.mark.parametrize(("shape", "crop"), [((41, 53), 0.8), ((60, 40), 0.5), ((36, 36), 1.0)])
def test_label_maps_and_masks_of_the_images_size_are_cut_out_likewise(shape, crop):
    scorer = classifier(linear_model(), size=12, crop=crop)
    y, x = np.indices(shape)
    labels = 2 * (y >= shape[0] // 2) + (x >= shape[1] // 2)
    drawn = Image.fromarray(labels.astype(np.uint8))
    by_hand = drawn.resize((12, 12), Image.Resampling.NEAREST, box=scorer.input.frame(shape))
    for given in (labels, np.stack([labels == i for i in range(4)])):
        item = Explainer(scorer, regions=given).prepare(image(height=shape[0], width=shape[1]))
        np.testing.assert_array_equal(item.regions.labels, np.asarray(by_hand))


def test_a_region_outside_of_the_crop_is_refused():
    labels = np.ones((40, 60), int)
    labels[:5] = 0
    explainer = Explainer(classifier(linear_model(), **CROP), regions=labels)
    with pytest.raises(RegionError, match=r"sees only a crop of the image, 20, 10, 40, 30 .* lie outside: 0; give"):
        explainer.prepare(image(height=40, width=60))
    labels[10, 20] = 0  # one pixel within, between the points of the grid
    explainer = Explainer(classifier(linear_model(), size=5, crop=0.5), regions=labels)
    with pytest.raises(RegionError, match="on the model's grid 5x5 no point is left of these regions"):
        explainer.prepare(image(height=40, width=60))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop": 0, "size": 8}, "crop must be above 0 and at most 1, a share of the image's shorter side; got 0"),
        ({"crop": 1.2, "size": 8}, "crop must be above 0 and at most 1.*; got 1.2"),
        ({"crop": float("nan"), "size": 8}, "crop must be above 0 and at most 1.*; got nan"),
        ({"crop": "half", "size": 8}, "crop must be above 0 and at most 1.*; got 'half'"),
        ({"crop": 0.5}, "crop needs size, .*; got crop=0.5 without it"),
        ({"crop": 0.5, "size": 8, "mask_at": "image"}, "crop works with mask_at=\"model\".*; got mask_at='image'"),
    ],
)
def test_bad_crops_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        classifier(linear_model(), **settings)


def middle_by_hand(picture, resize, size, cut):
    """Resized by Pillow, and its middle at whole pixels, as torchvision (round half to even) or Hugging Face do."""
    height, width = picture.shape[:2]
    if isinstance(resize, tuple):
        high, wide = resize
    elif height <= width:
        high, wide = resize, int(resize * width / height)
    else:
        high, wide = int(resize * height / width), resize
    resized = np.asarray(Image.fromarray(picture).resize((wide, high), Image.Resampling.BILINEAR))
    top, left = ((high - size[0]) // 2, (wide - size[1]) // 2)
    if cut == "round":
        top, left = round((high - size[0]) / 2), round((wide - size[1]) / 2)
    box = (left * width / wide, top * height / high, (left + size[1]) * width / wide, (top + size[0]) * height / high)
    return resized[top : top + size[0], left : left + size[1]], box


@pytest.mark.parametrize("shape", [(41, 60), (60, 41), (23, 23), (101, 37)])
@pytest.mark.parametrize(("resize", "size"), [(19, (12, 12)), (15, (12, 9)), ((20, 31), (12, 16)), (12, (12, 12))])
@pytest.mark.parametrize("cut", ["round", "floor"])
def test_resize_cuts_the_middle_out_at_whole_pixels(shape, resize, size, cut):
    picture = image(3, *shape)
    spec = InputSpec(size=size, resize=resize, cut=cut)
    content, box = middle_by_hand(picture, resize, size, cut)
    np.testing.assert_array_equal(spec.grid(picture), content)
    whole = resize == size or (content.shape[:2] == size and box == (0, 0, shape[1], shape[0]))
    np.testing.assert_allclose(spec.frame(shape) or (0, 0, shape[1], shape[0]), box, atol=1e-9)
    assert (spec.frame(shape) is None) == whole
    x0, y0, x1, y1 = box
    np.testing.assert_allclose(spec.scale(shape), (size[1] / (x1 - x0), size[0] / (y1 - y0)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resize": 20}, "resize needs size.*got resize=20 with size=None"),
        ({"resize": 20, "size": 12, "crop": 0.5}, "and no crop; got resize=20 with .*crop=0.5"),
        ({"resize": 20, "size": 12, "mask_at": "image"}, "mask_at='image'"),
        (
            {"resize": 11, "size": 12},
            r"resize must be at least size, which is cut out of it; got 11 and size=\(12, 12\)",
        ),
        ({"resize": (20, 11), "size": 12}, r"got \(20, 11\)"),
        ({"resize": 0, "size": 12}, "size must be"),
        ({"cut": "up"}, "cut must be one of 'floor', 'round'; got 'up'"),
    ],
)
def test_resizes_that_make_no_sense(settings, message):
    with pytest.raises(ValueError, match=message):
        pysmdl.scorers.classifier(linear_model(), **settings)
