"""Explanations in words: what stands there is read back, and every number of it is true."""

from __future__ import annotations

import re

import numpy as np
import pytest

import pysmdl
from pysmdl import builtin

from toys import explain, image, linear_model, made

NUMBER = r"(-?[\d.]+(?:e-?\d+)?)"
FULL = rf"The model gives (?P<what>.+?) {NUMBER}(?:, and says (?P<said>.+?))?\."
ENOUGH = (
    rf"The first( \d+)? of (\d+) regions, (\d+) % of the area, alone gives? {NUMBER}; "
    rf"without (?:it|them it gives) {NUMBER}\."
)
ADDED = r"Most is (?:added by|attributed to) (?P<regions>.+): (?P<share>\d+) % of what all add\."


def read_back(e: pysmdl.Explanation) -> None:
    """Each number of the sentences against the explanation's own, to the digits that are printed."""
    said = e.verbalise()
    full, enough = re.search(FULL, said), re.search(ENOUGH, said)
    assert full, said
    assert close(full[2], e.deletion[0])
    if full["said"]:
        assert full["said"] == e.names.get(int(e.predicted[1, 0]), f"class {e.predicted[1, 0]}")
    count = e.enough()
    if count == 0:
        none = re.search(rf"Without any of the (\d+) regions it gives {NUMBER}\.", said)
        assert int(none[1]) == e.n
        assert close(none[2], e.insertion[0])
    else:
        assert int(enough[1] or 1) == count, said
        assert int(enough[2]) == e.n
        assert int(enough[3]) == round(100 * float(e.area[count]))
        assert close(enough[4], e.insertion[count])
        assert close(enough[5], e.deletion[count])
    values, added = np.nan_to_num(e.values()), re.search(ADDED, said)
    if added:
        named = [(e.order[int(n) - 1], v) for n, v in re.findall(rf"number (\d+) \({NUMBER}\)", added["regions"])]
        best = [int(region) for region, _ in named]
        assert values[best].tolist() == [v for v in sorted(values, reverse=True)[:3] if v > 0]
        assert all(close(value, values[int(region)]) for region, value in named)
        assert int(added["share"]) == round(100 * values[best].sum() / np.maximum(values, 0).sum())
    else:
        assert values.max() <= 0


def close(text: str, value: float) -> bool:
    digits = len(text.split("e")[0].split(".")[1]) if "." in text else 0
    power = int(text.split("e")[1]) if "e" in text else 0
    return abs(float(text) - float(value)) <= 0.5000001 * 10 ** (power - digits)


@pytest.mark.parametrize("search", ["exact", "guided", "lime", "occlusion"])
@pytest.mark.parametrize("target", [None, 0, 3])
def test_numbers_are_true(search, target):
    read_back(explain(linear_model(), target=target, search=search, names=["a cat", "a dog, tabby", "", "x. y"]))


@pytest.mark.slow
def test_numbers_of_the_shipped_scenes_are_true():
    model = builtin.load("digits")
    for scene in builtin.images():
        read_back(pysmdl.explain(scene["path"], model, scene["truth"], progress=False))


def test_small_scores_keep_two_digits():
    e = made([0.0, 0.51, 0.5], [0.5, 0.00004, 0.0])
    read_back(e)
    assert "without it 4.0e-05." in e.verbalise()
    read_back(made([0.0, 0.0123, 0.5], [0.5, 0.4, 0.0123]))


def test_where_no_region_is_needed_or_one_is_enough_the_words_say_so():
    none = made([0.6, 0.7, 0.6], [0.6, 0.2, 0.6])
    read_back(none)
    assert "without any of 2 regions 0.60" in repr(none)
    one = made([0.0, 0.6, 0.6], [0.6, 0.2, 0.0])
    read_back(one)
    assert "alone gives 0.60; without it 0.20." in one.verbalise()


def test_where_nothing_decides_the_words_say_so():
    e = made([0.4, 0.41, 0.4], [0.4, 0.405, 0.4])
    assert e.verbalise().endswith("Nothing decides: whatever is shown, the score stays between 0.40 and 0.41.")
    assert "nothing decides" in repr(e)


def test_it_is_one_line_whatever_it_is_called():
    e = explain(linear_model(), target=1, names=["a", "b\nc" + "d" * 200])
    e.id = "x\n\ty"
    assert "\n" not in repr(e)
    assert len(repr(e)) < 300
    assert repr(e).startswith("Explanation('x y', b cd")
    assert f"{e.evaluations} rows" in repr(e)


def test_a_notebook_shows_the_picture_and_the_words():
    e = explain(linear_model(), target=1, names=["a", "<b>"])
    html = e._repr_html_()
    assert html.count("data:image/png;base64,") == 1
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert 'src="http' not in html
    bare = made([0.1, 0.9], [0.9, 0.1])
    assert "data:image/png" in bare._repr_html_()
    assert bare.pixels is None
    assert image().shape == explain(linear_model()).pixels.shape
