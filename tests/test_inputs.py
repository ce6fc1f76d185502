"""What goes in: images of every kind, normalisation, channel order, masking before or after a resize, baselines."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import pysmdl
from pysmdl.errors import ImageError, MissingPackageError
from pysmdl.inputs import image_files
from pysmdl.inputs.image import input_spec
from pysmdl.scorers import InputSpec, classifier

from toys import image, linear_model, same

RGB = image(height=9, width=11)


def saved(tmp_path, pil, name="image.png", **options):
    pil.save(tmp_path / name, **options)
    return tmp_path / name


@pytest.mark.parametrize("kind", ["path", "str", "pil", "array"])
def test_the_same_image_however_it_comes(kind, tmp_path):
    path = saved(tmp_path, Image.fromarray(RGB))
    given = {"path": path, "str": str(path), "pil": Image.fromarray(RGB), "array": RGB}[kind]
    np.testing.assert_array_equal(image_files.load(given), RGB)


def test_grey_palette_and_16_bit(tmp_path):
    grey = Image.fromarray(RGB).convert("L")
    for each in (grey, np.asarray(grey), np.asarray(grey)[:, :, None], saved(tmp_path, grey)):
        loaded = image_files.load(each)
        np.testing.assert_array_equal(loaded, np.repeat(np.asarray(grey)[:, :, None], 3, 2))
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    np.testing.assert_array_equal(image_files.load(saved(tmp_path, deep, "deep.png"))[:, :, 0], np.asarray(grey))
    palette = Image.fromarray(RGB).convert("P")
    np.testing.assert_array_equal(image_files.load(palette), np.asarray(palette.convert("RGB")))


def test_transparency_lies_on_white(tmp_path):
    rgba = np.dstack((RGB, np.full(RGB.shape[:2], 255, np.uint8)))
    rgba[:4, :, 3] = 0
    rgba[4, :, 3] = 128
    for given in (rgba, saved(tmp_path, Image.fromarray(rgba))):
        loaded = image_files.load(given)
        assert (loaded[:4] == 255).all()
        np.testing.assert_array_equal(loaded[5:], RGB[5:])
        np.testing.assert_allclose(loaded[4], RGB[4] * (128 / 255) + 127, atol=1.5)


def test_orientation_tag_is_applied(tmp_path):
    tags = Image.Exif()
    tags[0x0112] = 6  # turned a quarter to the right for display
    path = saved(tmp_path, Image.fromarray(RGB), "turned.png", exif=tags)
    np.testing.assert_array_equal(image_files.load(path), np.rot90(RGB, -1))


BAD_IMAGES = {
    "missing": (lambda p: p / "no.png", "no such image"),
    "text": (lambda p: (p / "a.png").write_text("not an image") and p / "a.png", "cannot read .* as an image"),
    "folder": (lambda p: p, "cannot read"),
    "float array": (lambda p: RGB.astype(np.float32), "an image array must be uint8; got float32; floats in model"),
    "float share": (lambda p: RGB / 255, "must be uint8; got float64; of 0 to 1: .*astype"),
    "channels first": (lambda p: RGB.transpose(2, 0, 1), r"must be \[H, W, 3\].*got \[3, 9, 11\]"),
    "empty": (lambda p: np.zeros((0, 3, 3), np.uint8), r"got \[0, 3, 3\]"),
    "a number": (lambda p: 7, "image must be a path, a PIL image.*got int"),
}


@pytest.mark.parametrize("case", BAD_IMAGES)
def test_bad_images_are_refused(case, tmp_path):
    make, message = BAD_IMAGES[case]
    with pytest.raises(ImageError, match=message):
        image_files.load(make(tmp_path))


def test_tensors_of_pixels_are_images():
    scorer = pysmdl.scorers.scalar(lambda batch: batch[:, 0].mean((1, 2)))
    settings = {"regions": "grid:4", "search": "exact", "progress": False}
    same = pysmdl.explain(RGB, scorer, **settings)
    for given in (torch.from_numpy(RGB.copy()), torch.from_numpy(RGB.copy()).permute(2, 0, 1)):
        found = pysmdl.explain(given, scorer, **settings)
        np.testing.assert_array_equal(found.pixels, same.pixels)
        np.testing.assert_array_equal(found.insertion, same.insertion)


def test_truncated_image_is_refused(tmp_path):
    path = saved(tmp_path, Image.fromarray(image(height=80, width=80)))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ImageError, match=r"cannot read .*image.png as an image: .*truncated"):
        image_files.load(path)


def test_image_bomb_is_refused(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.fromarray(RGB))
    for limit in (40, 60):  # more than twice the limit, and more than the limit
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(ImageError, match=r"too large to decode safely .*99 pixels"):
            image_files.load(path)


# Model space


def test_normalisation_is_per_channel_and_bgr_is_explicit():
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    rgb, bgr = InputSpec(mean, std), InputSpec(mean, std, channel_order="bgr")
    x = rgb.normalise(RGB)
    assert x.shape == (3, 9, 11)
    assert x.dtype == torch.float32
    for c in range(3):
        np.testing.assert_allclose(x[c], (RGB[:, :, c] / 255 - mean[c]) / std[c], atol=1e-6)
        np.testing.assert_allclose(bgr.normalise(RGB)[c], (RGB[:, :, 2 - c] / 255 - mean[c]) / std[c], atol=1e-6)
    for spec in (rgb, bgr):
        np.testing.assert_array_equal(spec.denormalise(spec.normalise(RGB)), RGB)


def test_bgr_changes_the_answer_and_swapping_channels_brings_it_back():
    plain, swapped = classifier(linear_model()), classifier(linear_model(), channel_order="bgr")
    settings = {"regions": "grid:9", "progress": False}
    one = pysmdl.explain(image(), plain, 1, **settings)
    two = pysmdl.explain(image(), swapped, 1, **settings)
    back = pysmdl.explain(np.ascontiguousarray(image()[:, :, ::-1]), swapped, 1, **settings)
    assert not np.array_equal(one.insertion, two.insertion)
    np.testing.assert_array_equal(one.insertion, back.insertion)


def test_a_tensor_in_model_space_is_taken_as_it_is():
    spec = {"mean": (0.5, 0.4, 0.3), "std": 0.25}
    scorer = classifier(linear_model(), **spec)
    x = scorer.input.normalise(image())
    one = pysmdl.explain(x, scorer, 1, progress=False)
    two = pysmdl.explain(image(), scorer, 1, progress=False)
    np.testing.assert_array_equal(one.labels, two.labels)
    np.testing.assert_array_equal(one.insertion, two.insertion)


class Shapes:
    """A model that notes the shapes it is given and the mean of each row."""

    def __init__(self):
        self.shapes, self.batches = set(), []

    def __call__(self, batch):
        self.shapes.add(tuple(batch.shape[1:]))
        self.batches.append(batch.clone())
        return batch.mean((2, 3)) * 5


def test_masking_after_the_resize_is_the_default():
    model = Shapes()
    found = pysmdl.explain(
        image(height=50, width=70), classifier(model, size=(16, 20)), 0, regions="grid:20", progress=False
    )
    assert model.shapes == {(3, 16, 20)}
    assert found.labels.shape == (16, 20)
    assert found.overlay().shape == (50, 70)
    single = [
        row for batch in model.batches for row in batch if (row == 0).all(0).sum() == (16 - 4) * 20 + 4 * (20 - 4)
    ]
    assert single, "a single region must be shown with hard edges on the model's own grid"


def test_masking_before_the_resize_is_explicit():
    model = Shapes()
    scorer = classifier(model, size=(16, 20), mask_at="image")
    pixels = image(height=48, width=60)
    found = pysmdl.explain(pixels, scorer, 0, regions="grid:20", progress=False)
    assert model.shapes == {(3, 16, 20)}
    assert found.labels.shape == (48, 60)
    kept = np.isin(found.labels, found.order[:1])
    by_hand = torch.from_numpy(np.where(kept[:, :, None], pixels, 0).transpose(2, 0, 1) / 255).float()[None]
    by_hand = torch.nn.functional.interpolate(by_hand, (16, 20), mode="bilinear", antialias=True)
    nearest = min((row - by_hand[0]).abs().max().item() for batch in model.batches for row in batch)
    assert nearest < 1e-6


def test_size_resizes_as_pillow_does():
    spec = input_spec(size=5, interpolation="bicubic")
    np.testing.assert_array_equal(spec.grid(RGB), np.asarray(Image.fromarray(RGB).resize((5, 5), Image.BICUBIC)))


@pytest.mark.parametrize("shape", [(48, 60), (37, 51), (10, 11), (224, 301)])
def test_published_scripts_resize_with_opencv(shape):
    cv2 = pytest.importorskip("cv2")
    pixels = image(height=shape[0], width=shape[1])
    spec = input_spec(size=(32, 40), interpolation="cv2-bilinear")
    np.testing.assert_array_equal(spec.grid(pixels), cv2.resize(pixels, (40, 32)))
    turned = np.ascontiguousarray(pixels[:, ::-1])
    np.testing.assert_array_equal(spec.grid(pixels[:, ::-1]), cv2.resize(turned, (40, 32)))
    if min(shape) > 40:  # only there is something to antialias
        assert (spec.grid(pixels) != input_spec(size=(32, 40)).grid(pixels)).mean() > 0.8


def test_resizing_as_opencv_needs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingPackageError, match=r"interpolation='cv2-bilinear' needs OpenCV.*'pysmdl\[opencv\]'"):
        input_spec(size=5, interpolation="cv2-bilinear").grid(RGB)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest", "cv2-bilinear"])
@pytest.mark.parametrize("shape", [(48, 60), (37, 51), (10, 11)])
def test_masked_images_are_resized_as_the_image_is(interpolation, shape):
    pytest.importorskip("cv2")
    pixels = image(height=shape[0], width=shape[1])
    before, after = (input_spec(size=(16, 20), interpolation=interpolation, mask_at=at) for at in ("model", "image"))
    resized = 255 * after.into_model(after.normalise(pixels)[None])[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(before.grid(pixels), resized, atol=1)  # whole levels there


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channel_order": "gbr"}, "channel_order must be one of 'bgr', 'rgb'; got 'gbr'"),
        ({"mask_at": "pixels"}, "mask_at must be one of 'image', 'model'"),
        ({"interpolation": "magic"}, "interpolation must be one of"),
        ({"size": (0, 4)}, "size must be a whole number of at least 1; got 0"),
        ({"size": 224.0}, r"size must be a whole number of at least 1; got 224\.0"),
        ({"std": (1, 0, 1)}, "std must be finite and above 0 in every channel"),
        ({"std": math.inf}, "std must be finite and above 0 in every channel; got inf"),
        ({"std": np.array([0.2, math.nan, 0.2])}, "std must be finite and above 0"),
        ({"mean": math.nan}, "mean must be finite in every channel; got nan"),
        ({"mean": (0.5, math.inf, 0.5)}, "mean must be finite in every channel"),
        ({"mean": "0.5"}, "mean must be finite in every channel; got '0.5'"),
        ({"mean": ()}, r"mean must be a number, or one for each channel; got \(\)"),
        ({"mean": (0.5, 0.5), "std": (1, 1, 1)}, "mean and std must have as many channels"),
        ({"size": True}, "size must be a whole number of at least 1; got True"),
        ({"size": (0, 5)}, "size must be a whole number of at least 1; got 0"),
        ({"size": (4, 5, 6)}, r"size must be a number or \(height, width\)"),
        ({"dtype": torch.float64}, "dtype must be torch.float32, torch.float16 or torch.bfloat16; got torch.float64"),
        ({"dtype": "float16"}, "dtype must be torch.float32.*; got 'float16'"),
    ],
)
def test_bad_input_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        classifier(linear_model(), **settings)


# Sizes that are out of the ordinary, through the whole of explain


def test_a_photograph_of_6_megapixels(tmp_path):
    big = np.asarray(Image.fromarray(image(height=40, width=60)).resize((3000, 2000), Image.BICUBIC))
    path = saved(tmp_path, Image.fromarray(big), "photo.jpg")
    scorer = classifier(lambda batch: batch.mean((2, 3)), size=32)
    found = pysmdl.explain(path, scorer, 0, regions="slico:20", progress=False)
    assert found.overlay().shape == (2000, 3000)


@pytest.mark.parametrize("regions", ["slico", "grid"])
def test_an_image_of_one_pixel(regions):
    pixel = np.full((1, 1, 3), 200, np.uint8)
    found = pysmdl.explain(pixel, lambda batch: batch.mean((2, 3)), 0, regions=regions, progress=False)
    assert found.order.tolist() == [0]
    assert pysmdl.explain(pixel, classifier(lambda b: b.mean((2, 3)), size=16), 0, progress=False).n >= 1


def test_mean_and_std_of_another_number_of_channels():
    for name in ("mean", "std"):
        with pytest.raises(ValueError, match=rf"{name} must be one number or one for each of an image's 3 channels"):
            pysmdl.explain(image(), classifier(linear_model(), **{name: (0.1, 0.2)}), 1, progress=False)


def test_a_box_is_scaled_alike_for_an_image_and_its_tensor():
    """Masked at the image's own size, resized on its way into the model."""

    def finds(batch):
        boxes = torch.tensor([[[2.0, 2.0, 6.0, 6.0]]]).expand(len(batch), 1, 4)
        return boxes, batch.mean((1, 2, 3))[:, None, None].clamp(0, 1)

    scorer = pysmdl.scorers.detector(finds, size=8, mask_at="image")
    target, settings = pysmdl.Box((4, 4, 12, 12), 0), {"regions": "grid:4", "progress": False}
    pixels = image(height=16, width=16)
    found = [pysmdl.explain(given, scorer, target, **settings) for given in (pixels, scorer.input.normalise(pixels))]
    assert found[0].reading["iou"][1, 0] == 1
    assert same(*found)


def test_whole_numbers_may_be_numpys(tmp_path):
    settings = {"k": np.int64(3), "evaluations": np.int32(60), "batch_size": np.int16(7), "seed": np.int64(3)}
    found = pysmdl.explain(
        image(), linear_model(), 1, regions="grid:9", search="stochastic", progress=False, **settings
    )
    found.notes["mine"] = np.float32(0.5)
    found.save(tmp_path / "x.npz")
    assert pysmdl.load(tmp_path / "x.npz").notes == {**found.notes, "mine": 0.5}
    assert '"seed": 3' in found.to_json()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": -1}, "seed must be a whole number of at least 0; got -1"),
        ({"seed": 1.5}, r"seed must be a whole number of at least 0; got 1\.5"),
        ({"config": {"slots": 1}}, r"config must be a pysmdl.EngineConfig or None; got \{'slots': 1\}"),
        ({"baseline": "nonsense"}, "baseline must be one of 'black', 'blur', 'mean', 'zero'; got 'nonsense'"),
        ({"k": True}, "k must be a whole number of at least 1; got True"),
    ],
)
def test_bad_settings_are_refused_before_anything_runs(settings, message):
    with pytest.raises(ValueError, match=message):
        pysmdl.explain_many([], linear_model(), **settings)


@pytest.mark.parametrize(
    "items", ["photo.jpg", {"image": "photo.jpg"}, np.zeros((4, 4, 3), np.uint8), torch.zeros(3, 4, 4)]
)
def test_a_single_input_is_no_stream(items):
    with pytest.raises(ValueError, match="items must be an iterable of inputs; got a single one"):
        pysmdl.explain_many(items, linear_model(), progress=False)


def test_a_batch_of_tensors_is_a_stream():
    batch = torch.stack([InputSpec().normalise(image(seed)) for seed in range(3)])
    assert len(list(pysmdl.explain_many(batch, linear_model(), regions="grid:4", progress=False))) == 3


def test_a_single_class_may_be_traced():
    settings = {"regions": "grid:4", "progress": False}
    for trace in (2, "predicted"):
        one, many = (pysmdl.explain(image(), linear_model(), 1, trace=each, **settings) for each in (trace, [trace]))
        assert list(one.traced) == list(many.traced)
        assert len(one.traced) == 1


@pytest.mark.parametrize(("mean", "warned"), [((123.7, 116.3, 103.5), True), ((0.485, 0.456, 0.406), False)])
def test_a_mean_of_pixels_up_to_255_is_warned_of(mean, warned, caplog):
    scorer = classifier(linear_model(), mean=mean, std=[each / 2 for each in mean])
    pysmdl.explain(image(), scorer, regions="grid:4", search="occlusion", progress=False)
    assert ("divide mean and std by 255" in caplog.text) == warned


def test_a_setting_of_a_scorer_is_sent_there():
    with pytest.raises(TypeError, match=r"explain has no setting 'mean'; a scorer has, pysmdl\.scorers\.classifier"):
        pysmdl.explain(RGB, linear_model(), mean=0.5)


def test_a_frame_of_pictures_is_given_by_its_rows():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"image": ["a.png"], "target": [1]})
    with pytest.raises(ValueError, match=r"got a single one, a DataFrame: give its rows, frame.to_dict\('records'\)"):
        pysmdl.explain_many(frame, linear_model())
