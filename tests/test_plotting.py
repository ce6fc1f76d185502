"""Pictures of explanations: nothing lies on anything else, and every score is on the axes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import pysmdl
from pysmdl.explanation.plotting.canvas import canvas
from pysmdl.explanation.plotting.palette import colours
from pysmdl.explanation.sheets import with_sheet

from toys import explain, image, linear_model, made


def drawn(insertion, deletion, **rest):
    fig = made(insertion, deletion, pixels=image(), **rest).plot(names=["cat", "dog"])
    fig.canvas.draw()
    return fig


@pytest.mark.slow
@pytest.mark.parametrize("scores", [[0.1, 0.9, 0.5], [-0.87, 0.2, 0.9], [0.2, 1.4, 1.1]])
def test_panels_titles_and_legend_do_not_overlap(scores):
    fig = drawn(scores, scores[::-1], predicted=np.ones((2, 3), np.int64))
    panels = [each.get_tightbbox() for each in fig.axes]
    for before, after in pairwise(panels):
        assert before.x1 < after.x0
    whole = fig.bbox
    assert min(each.x0 for each in panels) >= 0
    assert max(each.x1 for each in panels) <= whole.x1
    assert max(each.y1 for each in panels) <= whole.y1
    assert fig.axes[0].get_title().endswith("(the model says dog)")


def test_a_wide_pictures_colour_bar_is_as_high_as_it_is_and_long_names_of_steps_are_cut():
    wide = np.zeros((20, 120, 3), np.uint8)
    labels = np.repeat([[0] * 60 + [1] * 60], 20, 0)
    e = made([0.1, 0.9, 0.5], [0.5, 0.2, 0.1], pixels=wide, labels=labels, predicted=np.ones((2, 3), np.int64))
    fig = e.plot(kind="map")
    fig.canvas.draw()
    (axes,) = fig.axes
    (bar,) = axes.child_axes
    assert bar.get_window_extent().height == pytest.approx(axes.get_window_extent().height)
    steps = e.plot(kind="steps", names={0: "a", 1: "a name " * 30}).axes
    assert max(len(each.get_title().splitlines()) for each in steps) <= 4
    assert steps[0].get_title().endswith("…")


def test_the_legend_covers_no_curve():
    axes = drawn([0.5] * 3, [0.4] * 3).axes[3]
    assert axes.get_legend().get_window_extent().y0 >= axes.get_window_extent().y1


@pytest.mark.parametrize(
    ("scores", "low", "high"),
    [
        ([0.2, 0.9], 0, 1),
        ([-0.5, 0.9], -0.5, 1),
        ([0.2, 1.6], 0, 1.6),
        ([np.nan, np.nan], 0, 0.5),
        ([0.1, 0.3], 0, 0.5),
    ],
)
def test_limits_hold_every_score(scores, low, high):
    margin = 0.02 * (high - low)
    found = drawn(scores, [0.5, 0.5]).axes[3].get_ylim()
    assert found == pytest.approx((low - margin, high + margin))


KINDS = ("row", "map", "order", "steps", "curves", "mistake")


@pytest.fixture(scope="module")
def wrong():
    found = explain(linear_model(), target=2, trace=["predicted"], names=["a", "b", "c", "d"])
    assert found.predicted[1, 0] != 2
    return found


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(12, 12), (4, 60), (60, 4), (300, 500)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_of_no_kind_does_anything_lie_on_anything_else(kind, shape, wrong):
    figure = replace(wrong, pixels=np.zeros((*shape, 3), np.uint8)).plot(kind=kind)
    figure.canvas.draw()
    boxes = [each.get_tightbbox() for each in figure.axes]
    for number, one in enumerate(boxes):
        assert one.x0 >= -1
        assert one.y0 >= -1
        assert one.x1 <= figure.bbox.x1 + 1
        assert one.y1 <= figure.bbox.y1 + 1
        for other in boxes[number + 1 :]:
            apart = one.x1 <= other.x0 or other.x1 <= one.x0 or one.y1 <= other.y0 or other.y1 <= one.y0
            assert apart, (one, other)


def test_the_first_regions_bear_their_numbers(wrong):
    texts = [text.get_text() for text in wrong.plot(kind="order").axes[0].texts]
    assert texts == [str(place) for place in range(1, len(texts) + 1)]
    assert 3 <= len(texts) <= 9


def test_a_number_lies_in_its_region(wrong):
    on = canvas(wrong)
    for region in wrong.order:
        x, y = on.spot(region)
        assert on.labels[round(y), round(x)] == region
    assert on.spot(99) is None


def circles(axes):
    """Around the numbers, in pixels of the drawn figure."""
    FigureCanvasAgg(axes.figure).draw()
    return [text.get_bbox_patch().get_window_extent() for text in axes.texts]


SHAPES = {"tall": (200, 8), "wide": (8, 200), "square": (60, 60)}


@pytest.mark.parametrize("shape", SHAPES)
def test_numbers_do_not_lie_on_each_other_nor_far_from_their_regions(shape):
    height, width = SHAPES[shape]
    y, x = np.mgrid[:height, :width]
    labels = np.clip((y if height > width else x) - 20, 0, 15)  # 16 regions, most of them a point across
    e = made(np.linspace(0, 1, 17), np.linspace(1, 0, 17), labels=labels, pixels=np.zeros((height, width, 3), np.uint8))
    figure = e.plot(kind="order")
    axes = figure.axes[0]
    boxes = circles(axes)
    middles = np.array([(box.x0 + box.x1, box.y0 + box.y1) for box in boxes]) / 2
    assert len(boxes) == 9
    for number, box in enumerate(boxes):
        assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert 0 <= box.y0 < box.y1 <= figure.bbox.y1
        far = np.hypot(*(middles[:number] - middles[number]).T)
        assert (far >= 0.98 * box.width).all(), "circles do not overlap"
    spots = axes.transData.transform([canvas(e).spot(region) for region in e.order[:9]])
    moved = np.hypot(*(middles - spots).T) / figure.dpi
    assert moved.max() < 1.3  # inches
    assert len(axes.lines) == (moved > 0.11).sum() > 0  # a line leads from each that had to move


def test_numbers_of_regions_that_have_room_stand_on_them(wrong):
    axes = wrong.plot(kind="order").axes[0]
    spots = [canvas(wrong).spot(region) for region in wrong.order[: len(axes.texts)]]
    assert np.abs(np.array([text.get_position() for text in axes.texts]) - spots).max() < 1e-6
    assert not len(axes.lines)


def test_a_long_image_is_drawn_as_wide_as_the_page_with_no_empty_bands():
    labels = np.arange(12).repeat(50)[None].repeat(30, 0)
    pixels = np.zeros((30, 600, 3), np.uint8)
    e = made(np.linspace(0, 1, 13), np.linspace(1, 0, 13), labels=labels, pixels=pixels)
    for kind, pictures in (("row", 3), ("order", 1), ("map", 1), ("steps", None)):
        figure = e.plot(kind=kind)
        figure.canvas.draw()
        shown = [axes for axes in figure.axes if axes.images][:pictures]
        for axes in shown:
            empty = axes.get_position(original=True).height - axes.get_position().height
            assert empty * figure.get_size_inches()[1] < 0.55
        if pictures:
            assert min(axes.get_window_extent().width for axes in shown) / figure.dpi > 9


def test_a_number_stands_in_front_of_what_a_sheet_says():
    table = made(
        np.linspace(0, 1, 4), np.linspace(1, 0, 4), labels=np.arange(3), modality="table", shown=np.arange(3.0)
    )
    on = canvas(with_sheet(table))
    x, y = on.spot(1)
    inside = np.argwhere(on.inside(1))
    assert (x, y) == (inside[:, 1].min(), pytest.approx(inside[:, 0].mean(), abs=1))
    scale = on.pixels.shape[0] / with_sheet(table).pixels.shape[0]
    dark = np.nonzero((on.pixels[on.labels[:, 0] == 1] < 150).any((0, 2)))[0]
    assert dark.min() - x > 20 * scale  # room for it


def test_silence_is_a_line_that_is_seen():
    shown = np.append(np.zeros(4000), np.sin(np.arange(4000) / 5)).astype(np.float32)
    labels = np.arange(8).repeat(1000)
    curve = np.linspace(0, 1, 9)
    figure = made(curve, curve[::-1], labels=labels, modality="sound", shown=shown, rate=8000).plot()
    agg = FigureCanvasAgg(figure)
    figure.set_dpi(72)
    agg.draw()
    drawn = np.asarray(agg.buffer_rgba())[:, :, :3].astype(int)
    for axes in figure.axes[:2]:
        box = axes.get_window_extent()
        left, right = round(box.x0) + 6, round(box.x0 + 0.45 * box.width)
        middle = round(figure.bbox.height - axes.transData.transform((0, 0))[1])
        assert (255 - drawn[middle - 2 : middle + 3, left:right].min((0, 2)) > 25).all()


def test_numbers_of_a_sound_that_is_cut_finely_stand_beside_each_other():
    n = 300
    sound = made(
        np.linspace(0, 1, n + 1), np.linspace(1, 0, n + 1), labels=np.arange(n).repeat(20), modality="sound",
        shown=np.sin(np.arange(20 * n) / 9).astype(np.float32), rate=8000,
    )  # fmt: skip
    axes = sound.plot(kind="map").axes[0]
    boxes = sorted(circles(axes), key=lambda box: box.x0)
    assert len(boxes) == 9
    assert all(before.x1 <= after.x0 + 1 for before, after in pairwise(boxes))


def test_full_colour_is_the_largest_value_and_white_is_zero(wrong):
    bar = wrong.plot(kind="map").axes[0].child_axes[0]
    low, high = bar.get_ylim()
    assert high == pytest.approx(np.abs(wrong.values()).max())
    assert low == pytest.approx(-high)
    assert bar.get_ylabel() == "change of the score"


def test_nothing_is_stretched_to_full_colour_where_nothing_decides():
    flat = made([0.4, 0.401, 0.4], [0.4, 0.4, 0.4], pixels=image())
    axes = flat.plot(kind="map").axes[0]
    assert "nothing decides" in axes.get_title()
    shown = axes.images[0].get_array()
    assert np.abs(shown - shown.mean(2, keepdims=True)).max() < 0.02  # of no colour
    assert not list(flat.plot(kind="order").axes[0].texts)


@pytest.mark.parametrize("signed", [False, True])
def test_colours_are_even_and_told_apart_without_red_and_green(signed):
    shades = colours(signed)(np.linspace(0, 1, 512))[:, :3]
    linear = np.where(shades <= 0.04045, shades / 12.92, ((shades + 0.055) / 1.055) ** 2.4)
    lightness = np.cbrt(linear @ np.array([0.2126, 0.7152, 0.0722]))
    steps = np.diff(lightness[256 if signed else 0 :])
    assert (steps <= 1e-6).all()
    assert np.abs(steps).max() < 4 * np.abs(steps).mean()
    if signed:  # people who see no red, or no green, tell the ends apart by their blue
        assert linear[0, 2] > 10 * linear[-1, 2]


@pytest.mark.slow
def test_several_share_one_scale(wrong):
    small = replace(wrong, insertion=wrong.insertion / 4, deletion=wrong.deletion / 4)
    figure = pysmdl.plot([wrong, small], titles=["all", "a quarter"])
    bars = [axes.child_axes[0].get_ylim() for axes in figure.axes]
    assert bars[0] == bars[1]
    assert [axes.get_title().splitlines()[0] for axes in figure.axes] == ["all", "a quarter"]
    assert len(pysmdl.plot([wrong, small, wrong], kind="row").axes) == 12
    limits = {axes.get_ylim() for axes in pysmdl.plot([wrong, small], kind="curves").axes}
    assert len(limits) == 1
    assert len(pysmdl.plot([wrong], kind="order").axes) == len(pysmdl.plot(wrong, kind="order").axes) == 1


def test_methods_beside_each_other_are_named_by_what_differs(wrong):
    other = replace(wrong, notes={**wrong.notes, "search": "exact"})
    assert [axes.get_title().splitlines()[0] for axes in pysmdl.plot([wrong, other]).axes] == ["guided", "exact"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e: e.plot(kind="heat"), "kind must be one of 'bars', 'curves', 'map', .*; got 'heat'"),
        (lambda e: replace(e, traced={}).plot(kind="mistake"), 'kind="mistake" needs another class'),
        (lambda e: pysmdl.plot([]), "explanations must hold at least one"),
        (lambda e: pysmdl.plot([e], titles=["a", "b"]), "titles must be one for each of 1 explanations; got 2"),
        (lambda e: pysmdl.plot([e], kind="steps"), "kind must be one of"),
        (lambda e: replace(e, pixels=None).plot(kind="steps"), "there is no image to draw on"),
    ],
)
def test_what_cannot_be_drawn_is_named(call, message, wrong):
    with pytest.raises(ValueError, match=message):
        call(wrong)


def test_a_loaded_explanation_draws_itself_with_its_box_in_place(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (600, 1200, 3), dtype=np.uint8)
    target = {"xyxy": [300.0, 150.0, 600.0, 300.0], "labels": [0], "mode": "object"}
    made([0.1, 0.9, 0.8], [0.9, 0.2, 0.1], pixels=pixels, target=target).save(tmp_path / "x.npz")
    assert (tmp_path / "x.npz").stat().st_size < 33_000
    back = pysmdl.load(tmp_path / "x.npz")
    axes = back.plot(kind="order").axes[0]
    height, width = axes.images[0].get_array().shape[:2]
    box = axes.patches[0]
    assert (box.get_x() / width, box.get_y() / height) == pytest.approx((0.25, 0.25))
    assert (box.get_width() / width, box.get_height() / height) == pytest.approx((0.25, 0.25))


def test_what_the_model_sees_of_a_long_narrow_image_is_a_pixel_wide_at_least(wrong):
    on = canvas(replace(wrong, frame=(0.4, 0.2, 0.6, 0.8), size=(2000, 3)), np.zeros((2000, 3, 3), np.uint8))
    assert on.pixels.shape[1] == 1
    assert on.dimmed(on.labels < 0).size
    assert on.faded(on.pixels).shape == on.pixels.shape
