"""Images in: what is refused, what odd ones mean, and that the caller keeps what is the caller's."""

from __future__ import annotations

import io
import os
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image, ImageOps, UnidentifiedImageError

from pysmdl.errors import ImageError
from pysmdl.inputs import image_files

from toys import image


def png(values: np.ndarray, colour: int, transparent: bytes) -> bytes:
    """A PNG with a tRNS chunk, which Pillow does not write for 16 bits. colour: 0 grey, 2 RGB."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in values.astype(values.dtype.newbyteorder(">")))
    head = struct.pack(">IIBBBBB", width, height, 8 * values.itemsize, colour, 0, 0, 0)
    chunks = (b"IHDR", head), (b"tRNS", transparent), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


@pytest.mark.parametrize("as_file", [True, False])
def test_an_image_of_floats_is_refused(as_file, tmp_path):
    given = Image.fromarray(np.full((4, 4), 0.5, np.float32))
    given.save(tmp_path / "x.tiff")
    with pytest.raises(ImageError, match=r"floats in model space go in as a torch tensor \[C, \*grid\]"):
        image_files.load(tmp_path / "x.tiff" if as_file else given)


@pytest.mark.parametrize("channels", [None, 1, 3, 4])
def test_a_buffer_may_be_refilled(channels):
    shape = (12, 12) if channels is None else (12, 12, channels)
    buffer = np.resize(image(), shape)
    loaded = image_files.load(buffer)
    before = loaded.copy()
    buffer[:] = 7
    np.testing.assert_array_equal(loaded, before)
    given = Image.fromarray(image())
    loaded = image_files.load(given)
    given.paste((1, 2, 3), (0, 0, 12, 12))
    np.testing.assert_array_equal(loaded, image())


def both(content: bytes, tmp_path):
    """A file as a path and as Pillow opens it."""
    (tmp_path / "x").write_bytes(content)
    return tmp_path / "x", Image.open(io.BytesIO(content))


def test_transparent_grey_and_colour_of_16_bits_lie_on_white(tmp_path):
    grey = png(np.array([[0, 1000, 40000, 65535]], np.uint16), 0, struct.pack(">H", 40000))
    for given in both(grey, tmp_path):
        assert image_files.load(given)[0, :, 0].tolist() == [0, 3, 255, 255]
    colour = png(np.array([[[40000, 0, 0], [257, 514, 771]]], np.uint16), 2, struct.pack(">HHH", 40000, 0, 0))
    for given in both(colour, tmp_path):
        assert image_files.load(given).tolist() == [[[255, 255, 255], [1, 2, 3]]]


@pytest.mark.parametrize("value", [0, 100, 1000, 70_000, -5])
def test_32_bit_grey_is_refused_by_name(value, tmp_path):
    given = Image.fromarray(np.full((5, 5), value, np.int32))
    given.save(tmp_path / "x.tif")
    for each in (given, tmp_path / "x.tif"):
        with pytest.raises(ImageError, match=r"32-bit grey \(mode I\) has no range of its own: give uint8"):
            image_files.load(each)


def test_16_bit_grey_that_pillow_holds_in_32_bits_is_16_bit(tmp_path):
    values = np.array([[0, 255, 256, 65535]])
    (tmp_path / "x.pgm").write_bytes(b"P5 4 1 65535\n" + values.astype(">u2").tobytes())
    with Image.open(tmp_path / "x.pgm") as opened:
        assert opened.mode == "I"
    assert image_files.load(tmp_path / "x.pgm")[0, :, 0].tolist() == [0, 0, 1, 255]


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LA", "La", "PA", "RGBX", "RGBa"]
)
def test_every_other_mode_is_an_image(mode):
    assert image_files.load(Image.new(mode, (3, 2))).shape == (2, 3, 3)


def test_premultiplied_grey_lies_on_white():
    grey = Image.fromarray(np.full((1, 2), 100, np.uint8))
    grey.putalpha(Image.fromarray(np.array([[255, 0]], np.uint8)))
    assert image_files.load(grey.convert("La")).tolist() == [[[100] * 3, [255] * 3]]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(10))
def test_a_cameras_orientation_is_applied_as_pillow_does(kind, orientation, tmp_path):
    tags, buffer = Image.Exif(), io.BytesIO()
    tags[0x0112] = orientation
    Image.fromarray(image(height=8, width=16)).save(buffer, kind, exif=tags)
    with Image.open(buffer) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    for given in both(buffer.getvalue(), tmp_path):
        np.testing.assert_array_equal(image_files.load(given), expected)


@pytest.mark.parametrize("orientation", ["left", (6, 6), 6.5, b"\xff", 2**40])
def test_a_tag_that_means_nothing_leaves_the_picture_as_it_is(orientation):
    given = Image.fromarray(image())
    given.getexif()[0x0112] = orientation
    np.testing.assert_array_equal(image_files.load(given), image())


def test_tags_that_cannot_be_read_or_written_back_cost_no_picture(tmp_path, monkeypatch):
    tags, buffer = Image.Exif(), io.BytesIO()
    tags[0x0112] = 6
    Image.fromarray(image(height=8, width=16)).save(buffer, "PNG", exif=tags)

    def fail(*_, **__):
        raise struct.error("no luck")

    monkeypatch.setattr(Image.Exif, "tobytes", fail)
    for given in both(buffer.getvalue(), tmp_path):
        np.testing.assert_array_equal(image_files.load(given), np.rot90(image(height=8, width=16), -1))
    monkeypatch.setattr(Image.Image, "getexif", fail)
    for given in both(buffer.getvalue(), tmp_path):
        np.testing.assert_array_equal(image_files.load(given), image(height=8, width=16))


def test_a_file_is_read_as_a_picture_and_never_as_a_program(tmp_path, monkeypatch):
    Image.fromarray(image()).save(tmp_path / "x.eps")
    with Image.open(tmp_path / "x.eps") as opened:
        monkeypatch.setattr(os, "system", lambda *_: pytest.fail("something was run"))
        monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("something was run"))
        with pytest.raises(ImageError, match=r"x\.eps as an image: it is none of .*PNG"):
            image_files.load(tmp_path / "x.eps")
        with pytest.raises(ImageError, match="starts Ghostscript"):
            image_files.load(opened)


def test_what_is_no_ordinary_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero", tmp_path):
        with pytest.raises(ImageError, match="Not an ordinary file"):
            image_files.load(path)
    for path in ("", "a\0b"):
        with pytest.raises(ImageError):
            image_files.load(path)


def test_pillows_images_that_fail_late_are_named(tmp_path):
    Image.fromarray(image(height=80, width=80)).save(tmp_path / "x.jpg")
    with Image.open(tmp_path / "x.jpg") as closed:
        pass
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "x.jpg").read_bytes()[:-300])
    with Image.open(tmp_path / "cut.jpg") as cut:
        for given in (closed, cut):
            with pytest.raises(ImageError, match=r"cannot read the image: \w+"):
                image_files.load(given)
    with pytest.raises(ImageError, match="it has no pixels, 0 x 3"):
        image_files.load(Image.new("RGB", (0, 3)))


@pytest.mark.parametrize("error", [RuntimeError, NotImplementedError, KeyError, RecursionError, UnidentifiedImageError])
def test_whatever_a_plugin_raises_is_an_image_error(error, tmp_path, monkeypatch):
    Image.fromarray(image()).save(tmp_path / "x.png")

    def fail(*_):
        raise error

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
    with pytest.raises(ImageError, match="cannot read"):
        image_files.load(tmp_path / "x.png")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["AVIF", "DDS", "GIF", "JPEG", "PNG", "QOI", "TGA", "TIFF", "WEBP"])
@pytest.mark.filterwarnings("ignore")  # Pillow's, of damaged tags
def test_a_damaged_file_is_an_image_or_an_image_error(kind, tmp_path, rng):
    Image.init()
    if kind not in Image.SAVE:
        pytest.skip(f"this Pillow writes no {kind}")
    buffer = io.BytesIO()
    Image.fromarray(image(height=20, width=25)).save(buffer, kind)
    for _ in range(150):
        damaged = bytearray(buffer.getvalue())
        damaged[rng.integers(min(len(damaged), 400))] = rng.integers(256)
        (tmp_path / "x").write_bytes(damaged)
        with suppress(ImageError):
            assert image_files.load(tmp_path / "x").dtype == np.uint8


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_a_matrix_is_the_array_that_it_is():
    grey = image()[:, :, 0]
    for given in (np.asmatrix(grey), np.asmatrix(grey.copy())):
        np.testing.assert_array_equal(image_files.load(given), np.repeat(grey[:, :, None], 3, 2))


def test_masked_pixels_are_refused_and_a_mask_of_none_is_none():
    masked = np.ma.array(image(), mask=image() > 200)
    with pytest.raises(ImageError, match=r"masked pixels has no values there: give image\.filled\(value\)"):
        image_files.load(masked)
    found = image_files.load(np.ma.array(image()))
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, image())


@pytest.mark.parametrize(
    "given",
    [
        np.zeros((), np.uint8),
        np.zeros((3, 3), bool),
        np.full((3, 3), None),
        np.zeros((3, 3), "S1"),
        np.zeros(3, np.uint8),
    ],
)
def test_arrays_that_are_no_image_are_refused(given):
    with pytest.raises(ImageError, match="an image array must be"):
        image_files.load(given)


def test_any_strides_do(tmp_path):
    turned = image(height=9, width=11)[::-1, :, ::-1]
    np.testing.assert_array_equal(image_files.load(turned), np.ascontiguousarray(turned))
    assert image_files.load(turned).flags.c_contiguous
