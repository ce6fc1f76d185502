"""Images in: what is refused, and that the caller keeps what is the caller's."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pysmdl.errors import ImageError
from pysmdl.inputs import image_files

from toys import image


@pytest.mark.parametrize("as_file", [True, False])
def test_an_image_of_floats_is_refused(as_file, tmp_path):
    given = Image.fromarray(np.full((4, 4), 0.5, np.float32))
    given.save(tmp_path / "x.tiff")
    with pytest.raises(ImageError, match=r"floats in model space go in as a torch tensor \[C, H, W\]"):
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
