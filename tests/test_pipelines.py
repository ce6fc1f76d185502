"""A transform of the caller's own: measured on pictures, run for each photograph, laid over the photograph."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

import pysmdl

from library_models import agrees, photograph
from toys import linear_net

MEAN, STD = np.array([0.4, 0.5, 0.6], np.float32), np.array([0.2, 0.25, 0.3], np.float32)


def of_pixels(picture, order=(0, 1, 2)):
    """Pillow's picture to a normalised tensor [3, H, W]."""
    x = (np.asarray(picture, np.float32)[:, :, list(order)] / 255 - MEAN) / STD
    return torch.from_numpy(x.transpose(2, 0, 1).copy())


def cut(picture):
    return of_pixels(picture.crop((20, 10, 120, 90)).resize((12, 12)))


def net():
    model = linear_net()
    with torch.no_grad():
        model[1].weight.mul_(4)
    return model


def test_a_transform_of_ones_own_equals_itself():
    model = net()
    agrees(model, lambda picture: cut(picture)[None], lambda x: model(x).softmax(1), 2, 2, transform=cut)


def test_mean_std_and_order_are_measured():
    scorer = pysmdl.adapt(net(), transform=lambda picture: of_pixels(picture.resize((12, 12)), (2, 1, 0)))
    spec = scorer.input
    np.testing.assert_allclose(spec.mean, MEAN, rtol=1e-5)
    np.testing.assert_allclose(spec.std, STD, rtol=1e-5)
    assert (spec.channel_order, spec.size, spec.pipeline.runs) == ("bgr", (12, 12), True)
    x, content = spec.view(photograph())
    np.testing.assert_array_equal(content, np.asarray(Image.fromarray(photograph()).resize((12, 12))))
    torch.testing.assert_close(spec.normalise(content), x)


@pytest.mark.parametrize("grey", [False, True])
def test_a_frame_is_measured_where_nothing_says_where_it_lies(grey):
    def transform(picture):
        return cut(picture.convert("L").convert("RGB") if grey else picture)

    found = pysmdl.explain(photograph(), net(), transform=transform, regions="grid:4", progress=False)
    np.testing.assert_allclose(np.multiply(found.frame, (170, 117, 170, 117)), (20, 10, 120, 90), atol=0.6)
    assert found.pixels.shape == (117, 170, 3)


def test_all_of_a_photograph_is_framed_to_its_ends():
    scorer = pysmdl.adapt(net(), transform=lambda picture: of_pixels(picture.resize((12, 12))))
    assert scorer.input.frame((117, 170)) == (0, 0, 170, 117)


@pytest.mark.parametrize(
    "turned", [ImageOps.mirror, lambda each: each.rotate(90), lambda each: ImageOps.expand(each, 60)]
)
def test_what_lies_nowhere_on_the_photograph_is_drawn_as_the_model_sees_it(turned):
    found = pysmdl.explain(
        photograph(),
        net(),
        transform=lambda picture: of_pixels(turned(picture).resize((12, 12))),
        regions="grid:4",
        progress=False,
    )
    assert found.frame is None
    assert found.pixels.shape == (12, 12, 3)
    np.testing.assert_array_equal(found.pixels, np.asarray(turned(Image.fromarray(photograph())).resize((12, 12))))


def test_a_transform_that_keeps_the_size_takes_each_photograph_as_it_is():
    model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(12, 4)).eval()
    scorer = pysmdl.adapt(model, transform=of_pixels)
    assert "classes, images of any size, by its own pipeline, mean 0.4 0.5 0.6, std 0.2 0.25 0.3, cpu" in repr(scorer)
    found = pysmdl.explain(photograph(), scorer, regions="grid:4", progress=False)
    assert (found.labels.shape, found.frame) == ((117, 170), (0, 0, 1, 1))


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (lambda picture: cut(picture) + torch.rand(1), "transform makes another input of the same picture each time"),
        (lambda picture: 0 * cut(picture), r"makes \(0, 0, 0\) of black and \(0, 0, 0\) of white, from which no mean"),
        (lambda picture: -cut(picture), "from which no mean and std follow"),
        (np.asarray, r"transform must make floats \[C, H, W\] of a picture.*got torch.uint8 \[301, 207, 3\]"),
        (lambda picture: picture.nothing, "transform failed on a picture of Pillow's: AttributeError"),
    ],
)
def test_transforms_that_are_of_no_use_are_refused(transform, message):
    with pytest.raises(ValueError, match=message):
        pysmdl.adapt(net(), transform=transform)


def test_pixels_that_cannot_be_told_from_the_input_are_warned_of(caplog):
    """Contrast that depends on the picture: what is drawn, and black, are not what the model sees."""

    def transform(picture):
        return cut(picture) * (40 if picture.height == 117 else 1)

    pysmdl.explain(photograph(), net(), transform=transform, regions="grid:4", progress=False)
    (record,) = caplog.records
    assert "differs from what its regions and pictures are made of by up to" in record.getMessage()
