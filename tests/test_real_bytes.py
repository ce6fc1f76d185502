"""A real network on the bytes of files: which kind it takes a file for, and which of its lines are the reason."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

import pysmdl

from real import file_types

pytestmark = [pytest.mark.slow, pytest.mark.real("models/magika/model.onnx", "models/magika/config.min.json")]
LINES = {  # a kind of file, its content, the lines that may come first
    "python": ("import os\n\ndef count(folder):\n    return len(os.listdir(folder))\n\nprint(count('.'))",
               {"import os\n", "def count(folder):\n"}),
    "sql": ("-- who was here\nSELECT name, age FROM guests\nWHERE age > 30\nORDER BY name;",
            {"ORDER BY name;", "WHERE age > 30\n"}),
    "shell": ("#!/bin/sh\nfor each in one two\ndo\n  echo $each\ndone", {"#!/bin/sh\n"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def magika():
    return file_types.Magika()


def explained(magika, content, spans, **settings):
    ids, players = file_types.ids(content), file_types.parts(content, spans)
    return pysmdl.explain(
        ids, magika.scorer(), players=players, baseline=file_types.PADDING, search="exact", progress=False, **settings
    )


@pytest.mark.parametrize("kind", LINES)
def test_a_files_kind_is_seen_in_the_lines_that_only_it_has(magika, kind):
    content, first = LINES[kind]
    lines = content.splitlines(keepends=True)
    ends = np.cumsum([0, *map(len, lines)]).tolist()
    found = explained(magika, content.encode(), list(pairwise(ends)))
    assert found.names[found.target] == kind
    assert found.deletion[0] > 0.95
    assert lines[found.order[0]] in first
    assert found.enough() <= 3, "a few lines alone are taken for the same"


def test_a_pictures_kind_is_seen_in_its_signature_and_its_end(magika):
    """Of a PNG of noise: its signature with the header, or the chunk that ends it; what lies between says little."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 24, 3), dtype=np.uint8))
    file = io.BytesIO()
    picture.save(file, "PNG")
    content = file.getvalue()
    size = len(content)
    spans = [(0, 64), *((start, min(start + 256, size - 12)) for start in range(64, size - 12, 256))]
    found = explained(magika, content, [*spans, (size - 12, size)])
    assert found.names[found.target] == "png"
    values = found.values()
    assert values[0] + values[-1] > 0.6 * values.sum()
    assert set(np.argsort(-values)[:2]) == {0, len(spans)}
