"""The report's page in a browser: real clicks and keys, what they show, for whom, and how fast."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import pysmdl

import chromium
from report_samples import grid_of_regions, mixed, sample
from toys import made

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.FOUND is None, reason="no Chromium or Chrome on the PATH"),
]

HOSTILE = "</script><img src=x onerror=document.title='run'>"
IDS = "[...document.querySelectorAll('.card .id:first-of-type, .card .title + .id')].map(at => at.textContent)"
TITLE = "document.querySelector('#detail-title').textContent"
LINE = "document.querySelector('#detail-line').textContent"
READOUT = "document.querySelector('#readout').textContent"
OPEN = "document.querySelector('#detail').open"
COUNT = "document.querySelector('#count').textContent"
TWELVE = [f"picture {seed}" for seed in (*range(8), 0, 8, 9, 10)]


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[chromium.Chromium]:
    made = chromium.Chromium(tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def twelve(tmp_path_factory) -> Path:
    page = tmp_path_factory.mktemp("report") / "twelve.html"
    pysmdl.report(mixed(), page)
    return page


@pytest.fixture
def gallery(browser, twelve) -> chromium.Chromium:
    """The page of twelve, freshly opened; in the end nothing was said on the console and nothing asked for."""
    browser.open(twelve)
    browser.settle()
    yield browser
    browser.js("0")  # events until now are read
    assert [each for each in browser.errors if "willReadFrequently" not in each] == []  # it is these tests that read
    assert browser.requests == [twelve.as_uri()]


def ids(browser) -> list[str]:
    """Of the cards, in their order."""
    found = browser.js("[...document.querySelectorAll('.card')].map(at => at.querySelector('.id').textContent)")
    return [text.split(" · ")[0] for text in found]


def show(browser, number: int) -> None:
    """Open an explanation by a click on its card."""
    browser.click(f".card[data-number='{number}']")
    assert browser.js(OPEN)


def alpha(browser, view: str, region: int, panel: int = 1) -> int:
    """How far a view covers the picture in the middle of a region of the 6 x 4, but for a number there: 0 to 255."""
    x, y = (region % 6 + 0.3) / 6, (region // 6 + 0.3) / 4
    return browser.js(
        f"(() => {{ const at = document.querySelector(`.panel:nth-child({panel}) canvas[data-view='{view}']`);"
        f" return at.getContext('2d').getImageData({x} * at.width, {y} * at.height, 1, 1).data[3]; }})()"
    )


def colour(browser, region: int) -> list[int]:
    """Of a region in the importance view: red, green, blue, alpha."""
    x, y = (region % 6 + 0.3) / 6, (region // 6 + 0.3) / 4
    return browser.js(
        "(() => { const at = document.querySelector(`canvas[data-view='importance']`);"
        f" return [...at.getContext('2d').getImageData({x} * at.width, {y} * at.height, 1, 1).data]; }})()"
    )


@pytest.mark.parametrize("cover", ["any", "all"])
def test_regions_that_overlap_are_kept_and_removed_as_the_model_saw_them(cover, browser, tmp_path):
    masks = np.zeros((3, 4, 6), bool)
    masks[0, :3], masks[1, 1:, :4], masks[2, :, 2:5] = True, True, True
    scorer = pysmdl.scorers.scalar(lambda batch: batch.mean((1, 2, 3)) - batch[:, :, 0].mean((1, 2)) / 9)
    given = {"players": pysmdl.regions.overlapping(masks, cover), "search": "exact", "progress": False}
    e = pysmdl.explain(np.full((4, 6, 3), 200, np.uint8), scorer, **given)
    pysmdl.report(e, tmp_path / "x.html")
    browser.open(tmp_path / "x.html")
    browser.settle()
    show(browser, 0)
    for k in (0, 1, 2, 3):
        browser.click("#k", x=min(max(k / 3, 0.001), 0.999))
        first = set(e.order[:k].tolist())
        for place in range(24):
            above = [mask for mask in range(3) if masks[mask, place // 6, place % 6]]
            for view in ("kept", "removed"):
                left = [(mask in first) == (view == "kept") for mask in above]
                seen = not above or (any if cover == "any" else all)(left)
                assert (alpha(browser, view, place) < 200) == seen, (k, place, view)


def test_the_slider_moves_pictures_curves_and_words_together(gallery):
    show(gallery, 2)  # its order begins with region 2
    gallery.click("#k", x=0.001)
    assert gallery.js(READOUT) == "0 of 24 regions, 0 % of the area: kept 0.00, removed 0.40"
    assert (alpha(gallery, "kept", 2), alpha(gallery, "removed", 2)) == (224, 0)
    before = gallery.js("document.querySelector('#curves .dot.kept').getAttribute('cy')")
    gallery.click("#k", x=0.5)
    assert gallery.js(READOUT) == "12 of 24 regions, 50 % of the area: kept 0.28, removed 0.10"
    assert gallery.js("document.querySelector('#k').getAttribute('aria-valuetext')") == gallery.js(READOUT)
    for region in range(24):
        first = 2 <= region < 14
        assert (alpha(gallery, "kept", region) == 0) == first
        assert (alpha(gallery, "removed", region) == 0) != first
    after = gallery.js("document.querySelector('#curves .dot.kept').getAttribute('cy')")
    assert float(after) < float(before)
    captions = gallery.js("[...document.querySelectorAll('figcaption')].map(at => at.textContent)")
    assert captions[:2] == ["kept0.283", "removed0.100"]
    assert gallery.js("document.querySelectorAll('tbody tr.in').length") == 8


def test_cards_are_sorted_by_any_number_either_way(gallery):
    assert ids(gallery) == TWELVE
    gallery.choose("#sort", "score")
    scores = [0.01, 0.3, 0.35, 0.4, 0.45, 0.6, 0.9, 0.9, 0.9, 0.9, 0.9, 3.0]
    shown = "[...document.querySelectorAll('.card .score')].map(at => Number(at.textContent))"
    assert gallery.js(shown) == scores
    gallery.click("#direction")
    assert gallery.js(shown) == scores[::-1]
    assert gallery.js("document.querySelector('#direction').ariaLabel") == "Sort direction: descending"
    gallery.choose("#sort", "evaluations")
    assert ids(gallery)[:2] == ["picture 10", "picture 9"]
    gallery.choose("#sort", "minimal_sufficient")  # the box has none
    assert ids(gallery)[-1] == "picture 6"
    gallery.click("#direction")
    assert ids(gallery)[-1] == "picture 6"


def test_cards_are_filtered_by_class_answer_and_name(gallery):
    assert gallery.js(COUNT) == "12 of 12"
    gallery.choose("#class", "=dog")
    assert (ids(gallery), gallery.js(COUNT)) == (["picture 1", "picture 2"], "2 of 12")
    gallery.choose("#answer", "own")
    assert (ids(gallery), gallery.js(COUNT)) == ([], "0 of 12")
    gallery.click("#reset")
    assert (gallery.js(COUNT), gallery.js("document.activeElement.id")) == ("12 of 12", "search")
    for answer, expected in (("other", ["picture 1", "picture 2"]), ("unknown", ["picture 6"]), ("", TWELVE)):
        gallery.choose("#answer", answer)
        assert ids(gallery) == expected
    gallery.click("#search")
    for letter in "E 1":
        gallery.press(letter)
    assert ids(gallery) == ["picture 1", "picture 10"]


def test_whether_it_is_the_models_own_answer_is_told_without_colour(gallery):
    marks = gallery.js("[...document.querySelectorAll('.card')].map(at => at.querySelector('.mark')?.textContent)")
    own, other = "=the model's own answer", "≠the model says cat"
    assert marks[:7] == [own, other, other, own, "○nothing decides", own, None]


def test_a_stranger_reads_what_the_words_mean_and_which_model_it_was(gallery):
    assert gallery.js("document.querySelector('#models').textContent") == "The model: a net."
    assert not gallery.js("document.querySelector('.guide dl').checkVisibility()")
    gallery.click(".guide summary")
    meant = gallery.js("[...document.querySelectorAll('.guide dt')].map(at => at.textContent)")
    assert meant == ["Regions", "Score", "Kept, or insertion", "Removed, or deletion", "AUC", "Value, importance"]
    assert gallery.js("document.querySelector('.guide dl').checkVisibility()")
    show(gallery, 1)
    assert gallery.js(LINE) == "picture 1 · a net · guided · 101 evaluations · 0.25 s ≠the model says cat"


def test_the_colours_scale_fits_below_a_small_picture(browser, tmp_path):
    notes = ({"search": "guided"}, {"search": "exact"}, {"search": "lazy"}, {"search": "scoped"})
    page = tmp_path / "four.html"
    pysmdl.report([sample(0, notes=each) for each in notes], page)
    browser.open(page, 1100, 900)
    show(browser, 0)
    assert browser.js("document.querySelector('#detail').scrollWidth <= document.querySelector('#detail').clientWidth")
    right = "getBoundingClientRect().right"
    beyond = f"[...document.querySelectorAll('.scale')].map(at => at.{right} - at.closest('figure').{right})"
    assert max(browser.js(beyond)) < 1
    pysmdl.report([sample(0, notes=each) for each in notes[:2]], page)
    browser.open(page, 1300, 900)
    show(browser, 0)
    assert min(browser.js("[...document.querySelectorAll('.ramp')].map(at => at.offsetWidth)")) > 20


def test_numbers_do_not_lie_on_each_other_and_leave_what_is_written_readable(browser, tmp_path):
    strips = np.repeat(np.arange(24)[:, None], 3, 1)  # 24 regions below each other, 40 times as high as wide
    pixels = np.full((480, 12, 3), 120, np.uint8)
    narrow = sample(0, labels=strips, pixels=pixels, size=(480, 12), order=np.arange(24))
    row = sample(0, labels=np.arange(24), pixels=None, size=None, modality="table", id="row", order=np.arange(24))
    page = tmp_path / "narrow.html"
    pysmdl.report([narrow, row], page)
    browser.open(page)
    browser.js(
        "window.written = []; const pens = CanvasRenderingContext2D.prototype, write = pens.fillText;"
        " pens.fillText = function (text, x, y) {"
        " written.push([this.canvas.dataset.view, x, y, parseFloat(this.font.split(' ')[1])]);"
        " return write.call(this, text, x, y); }"
    )
    show(browser, 0)
    written = [each[1:] for each in browser.js("written") if each[0] == "importance"][-9:]
    assert len(written) == 9
    for number, (x, y, size) in enumerate(written):
        assert all(np.hypot(x - other[0], y - other[1]) > 0.95 * size for other in written[:number])
    browser.press("ArrowRight")
    browser.settle()
    covered = browser.js(
        "(() => { const at = document.querySelector(`canvas[data-view='importance']`), pen = at.getContext('2d');"
        " const data = pen.getImageData(Math.round(0.9 * at.width), 0, 1, at.height).data;"
        " return Math.max(...data.filter((_, i) => i % 4 === 3)); })()"
    )
    assert covered / 255 < 0.5  # of a sheet, so that its letters are read; 0.8 of a picture


def test_keys_walk_through_explanations_and_regions(gallery):
    show(gallery, 1)
    assert gallery.js(TITLE) == "Why dog? 0.35"
    gallery.press("Home")
    gallery.press("ArrowUp")
    gallery.press("ArrowUp")
    gallery.press("ArrowDown")
    assert gallery.js(READOUT).startswith("1 of 24 regions, 4 % of the area")
    gallery.press("End")
    assert gallery.js(READOUT).startswith("24 of 24 regions, 100 %")
    gallery.press("ArrowUp")
    assert gallery.js(READOUT).startswith("24 of 24 regions")
    gallery.press("ArrowRight")
    assert gallery.js(LINE).startswith("picture 2 · a net")
    gallery.press("ArrowLeft")
    gallery.press("ArrowLeft")
    assert "picture 0" in gallery.js(LINE)
    gallery.press("ArrowLeft")  # there is none before it
    assert "picture 0" in gallery.js(LINE)
    gallery.press("Escape")
    assert not gallery.js(OPEN)
    assert gallery.js("document.activeElement.dataset.number") == "0"


def test_arrows_on_the_slider_move_it(gallery):
    show(gallery, 1)
    gallery.click("#k", x=0.5)
    gallery.press("ArrowRight")
    assert gallery.js(READOUT).startswith("13 of 24 regions")
    gallery.press("ArrowDown")
    assert gallery.js(READOUT).startswith("12 of 24 regions")
    assert "picture 1" in gallery.js(LINE)


def test_the_walk_follows_what_is_listed(gallery):
    gallery.choose("#answer", "other")
    gallery.click("#direction")
    show(gallery, 2)
    assert gallery.js("document.querySelector('#position').textContent") == "1 of 2"
    gallery.click("#next")
    assert "picture 1" in gallery.js(LINE)
    gallery.click("#next")
    assert "picture 1" in gallery.js(LINE)
    gallery.click("#close")
    assert not gallery.js(OPEN)


def test_importance_goes_on_and_off(gallery):
    show(gallery, 10 + 1)  # an attribution from -1 to 1
    weak, against, best = colour(gallery, 12), colour(gallery, 0), colour(gallery, 23)
    assert best[0] > best[2]  # orange
    assert against[2] > against[0]  # blue
    assert weak[3] < best[3]
    gallery.press("i")
    assert colour(gallery, 23)[3] == 0
    assert gallery.js("document.querySelector('#importance').ariaPressed") == "false"
    gallery.click("#importance")
    assert colour(gallery, 23) == best


def test_where_nothing_decides_nothing_is_coloured(gallery):
    show(gallery, 4)
    assert "nothing decides" in gallery.js(LINE)
    assert [colour(gallery, region)[3] for region in range(24)] == [0] * 24


def test_two_explanations_of_one_input_stand_side_by_side(gallery):
    show(gallery, 0)
    heads = gallery.js("[...document.querySelectorAll('.panel h3')].map(at => at.firstChild.textContent)")
    assert heads == ["1. guided", "2. exact"]
    boxes = gallery.js("[...document.querySelectorAll('.panel')].map(at => at.getBoundingClientRect().toJSON())")
    assert boxes[0]["right"] <= boxes[1]["left"]
    assert boxes[0]["top"] == boxes[1]["top"]
    assert gallery.js("document.querySelectorAll('#detail input[type=range]').length") == 1
    assert gallery.js("document.querySelectorAll('#legend > span').length") == 4
    assert gallery.js("document.querySelectorAll('#curves path.kept').length") == 2
    gallery.press("Home")
    gallery.press("ArrowUp")
    assert gallery.js(READOUT).startswith("1. guided: 1 of 24 regions, 4 % of the area")
    shown = [[alpha(gallery, "kept", region, panel) for region in (0, 3)] for panel in (1, 2)]
    assert shown == [[0, 224], [224, 0]]  # their orders begin with regions 0 and 3
    gallery.press("ArrowRight")  # not to its neighbour, which is on the screen
    assert "picture 1" in gallery.js(LINE)


def test_two_targets_of_one_input_are_told_apart(browser, tmp_path):
    page = tmp_path / "targets.html"
    pysmdl.report([sample(), sample(target=5)], page)
    browser.open(page)
    show(browser, 1)
    heads = browser.js("[...document.querySelectorAll('.panel h3')].map(at => at.firstChild.textContent)")
    assert heads == ["1. cat, guided", "2. dog, guided"]
    assert browser.js(TITLE) == "Why dog? 0.90"
    assert browser.js(READOUT).startswith("2. dog, guided: ")
    assert browser.errors == []


def test_a_region_pointed_at_says_its_place_value_and_area(gallery):
    show(gallery, 2)
    value = mixed()[2].values()[3]
    expected = f"place 2 of 24, value +{value:.3f}, 4 % of the area"
    for view in ("kept", "removed", "importance"):
        selector = f"canvas[data-view='{view}']"
        before = gallery.js(f"document.querySelector(`{selector}`).toDataURL()")
        gallery.mouse("mouseMoved", gallery.place(selector, 3.4 / 6, 0.4 / 4))
        gallery.settle()
        assert gallery.js("document.querySelector('#tip').textContent") == expected
        assert gallery.js("document.querySelector('#tip').checkVisibility()")
        assert gallery.js("document.querySelector('#hover[aria-live=polite]').textContent") == expected
        assert gallery.js(f"document.querySelector(`{selector}`).toDataURL()") != before
        gallery.mouse("mouseMoved", gallery.place("#detail-title", 0.1, 0.5))
        gallery.settle()
        assert gallery.js("document.querySelector('#tip').hidden")
    assert gallery.js(f"document.querySelector(`{selector}`).toDataURL()") == before


def test_outside_of_what_the_model_sees(gallery):
    show(gallery, 7)
    gallery.mouse("mouseMoved", gallery.place("canvas[data-view='kept']", 0.1, 0.5))
    assert gallery.js("document.querySelector('#tip').textContent") == "outside of what the model sees"
    gallery.mouse("mouseMoved", gallery.place("canvas[data-view='kept']", 0.27, 0.1))
    assert gallery.js("document.querySelector('#tip').textContent").startswith("place 18 of 24")


def test_without_a_picture_there_are_the_curves(gallery):
    assert gallery.js("document.querySelector(`.card[data-number='5'] .shot`)") is None
    show(gallery, 5)
    assert gallery.js("document.querySelectorAll('#detail canvas').length") == 0
    assert gallery.js("document.querySelectorAll('#curves path').length") == 2
    assert not gallery.js("document.querySelector('#importance').checkVisibility()")


def test_what_was_not_measured_is_left_open(gallery):
    show(gallery, 9)
    path = gallery.js("document.querySelector('#curves path.kept').getAttribute('d')")
    assert path.count("M") == 2
    gallery.press("Home")
    for _ in range(5):
        gallery.press("ArrowUp")
    assert "kept not measured, removed" in gallery.js(READOUT)


@pytest.mark.parametrize(("number", "top"), [(10, "3"), (4, "1"), (0, "0.6")])
def test_axes_fit(gallery, number, top):
    show(gallery, number)
    texts = gallery.js("[...document.querySelectorAll('#curves text')].map(at => at.textContent)")
    assert {"share of the area kept or removed", "score of the target", "0", top, "100 %"} <= set(texts)
    boxes = gallery.js("[...document.querySelectorAll('#curves text')].map(at => at.getBoundingClientRect().toJSON())")
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            apart = (
                a["right"] <= b["left"] or b["right"] <= a["left"] or a["bottom"] <= b["top"] or b["bottom"] <= a["top"]
            )
            assert apart, "labels overlap"


NEED_NAMES = {
    "button",
    "combobox",
    "searchbox",
    "textbox",
    "slider",
    "link",
    "img",
    "image",
    "dialog",
    "DisclosureTriangle",
    "form",
    "list",
    "region",
    "status",
    "table",
}


def unnamed(browser) -> list[str]:
    """Roles of what has no accessible name and needs one; pictures with an empty text say that they need none."""
    nodes = browser.ask("Accessibility.getFullAXTree")["nodes"]
    seen = [node for node in nodes if not node.get("ignored") and node["role"]["value"] in NEED_NAMES]
    assert len(seen) > 10
    named = NEED_NAMES - {"list", "status", "table"}
    return [
        node["role"]["value"]
        for node in seen
        if node["role"]["value"] in named and not node.get("name", {}).get("value")
    ]


def test_every_control_has_a_name(gallery):
    assert unnamed(gallery) == []
    show(gallery, 0)
    assert unnamed(gallery) == []
    assert gallery.js("document.activeElement.id") == "detail-title"
    assert gallery.js("document.querySelectorAll('#detail :is(th)').length") == gallery.js(
        "document.querySelectorAll('#detail th[scope]').length"
    )


CONTRASTS = """(() => {
  const parts = (text) => [...text.match(/[\\d.]+/g).map(Number), 1].slice(0, 4);
  const bent = (c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * bent(r / 255) + 0.7152 * bent(g / 255) + 0.0722 * bent(b / 255);
  const ground = (at) => {
    const found = at ? parts(getComputedStyle(at).backgroundColor) : [255, 255, 255, 1];
    return found[3] === 1 ? found : ground(at.parentElement);
  };
  const speaks = (at) => !at.closest('option, script, canvas, noscript') && at.checkVisibility() &&
    [...at.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  return [...document.querySelectorAll('body *')].filter(speaks).map((at) => {
    const style = getComputedStyle(at);
    const [a, b] = [light(parts(at.closest('svg') ? style.fill : style.color)), light(ground(at))];
    return [at.textContent.slice(0, 30), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
  });
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(gallery, scheme):
    gallery.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    try:
        grounds = gallery.js("getComputedStyle(document.body).backgroundColor")
        assert (grounds == "rgb(246, 246, 243)") == (scheme == "light")
        found = gallery.js(CONTRASTS)
        show(gallery, 0)
        gallery.js("document.querySelectorAll('#detail details').forEach(at => at.open = true)")
        gallery.mouse("mouseMoved", gallery.place("canvas[data-view='kept']"))
        gallery.settle()
        found += gallery.js(CONTRASTS)
        gallery.press("i")
        found += gallery.js(CONTRASTS)
    finally:
        gallery.ask("Emulation.setEmulatedMedia", features=[])
    assert len(found) > 100
    assert [each for each in found if each[1] < 4.5] == []


def test_nothing_moves_where_that_is_asked_for(gallery):
    name = "getComputedStyle(document.querySelector('#detail')).animationName"
    show(gallery, 0)
    assert gallery.js(name) == "rise"
    gallery.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    assert gallery.js(name) == "none"
    gallery.ask("Emulation.setEmulatedMedia", features=[])


def test_a_phone_scrolls_in_one_direction(gallery, twelve):
    gallery.open(twelve, 390, 844)
    fits = "document.documentElement.scrollWidth <= 390 && document.querySelector('#cards').scrollWidth <= 390"
    assert gallery.js(fits)
    for number in (0, 5, 6):
        show(gallery, number)
        assert gallery.js("document.querySelector('#detail').scrollWidth <= 390")
        slider = gallery.js("document.querySelector('#k').getBoundingClientRect().toJSON()")
        assert slider["bottom"] <= 844, "the slider stays in reach"
        heights = "[...document.querySelectorAll('#detail button')].map(at => at.offsetHeight)"
        assert min(height for height in gallery.js(heights) if height) >= 36
        gallery.click("#close")


def test_what_a_finger_points_at_stays_until_the_next_touch(gallery, twelve):
    gallery.open(twelve, 390, 844)
    show(gallery, 2)
    for selector, shown in (("canvas[data-view='kept']", True), ("#detail-line", False)):
        x, y = gallery.place(selector, 0.9, 0.1)
        gallery.ask("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        gallery.ask("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        gallery.settle()
        assert gallery.js("document.querySelector('#tip').checkVisibility()") == shown
        if shown:
            assert gallery.js("document.querySelector('#tip').getBoundingClientRect().right") <= 390
            assert gallery.js("document.querySelector('#tip').textContent").startswith("place 4 of 24")


def test_all_of_it_is_printed(gallery, twelve):
    gallery.open(twelve, 390, 844)
    gallery.settle()
    assert gallery.js("document.querySelectorAll('.card .curve svg').length") < 12  # those in view
    gallery.ask("Page.printToPDF", printBackground=True)
    assert gallery.js("document.querySelectorAll('.card .curve svg').length") == 12
    assert gallery.js("document.querySelectorAll('.card .shot canvas').length") == 11
    gallery.ask("Emulation.setEmulatedMedia", media="print")
    assert not gallery.js("document.querySelector('#toolbar').checkVisibility()")
    assert gallery.js("document.querySelector('.card').checkVisibility()")
    gallery.ask("Emulation.setEmulatedMedia", media="")


def test_a_large_score_does_not_flatten_the_others_and_a_long_name_leaves_the_score_on_one_line(browser, tmp_path):
    chances, losses = made([0.0, 0.6, 0.8], [0.8, 0.1, 0.0]), made([0.0, 12.0, 18.0], [18.0, 2.0, 0.0])
    chances.target, chances.names = 0, {0: "a long name of a kind of animal, and all its synonyms"}
    pysmdl.report([chances, losses], tmp_path / "page.html")
    browser.open(tmp_path / "page.html")
    browser.settle()
    tall = "[...document.querySelectorAll('.card .curve-line.kept')].map(at => at.getBBox().height)"
    assert min(browser.js(tall)) > 30  # of the 38 that a card has for its curves
    lines = "[...document.querySelectorAll('.card .score')].map(at => at.getClientRects().length)"
    assert browser.js(lines) == [1, 1]
    high = "[...document.querySelectorAll('.card .score')].map(at => at.getBoundingClientRect().height)"
    assert browser.js(high)[0] == browser.js(high)[1]
    assert ids(browser) == ["input 0", "input 1"]


def test_odd_explanations_open(browser, tmp_path):
    page = tmp_path / "odd.html"
    nothing = made([0.5], [0.5], [0.0], labels=[[0, 0]], order=np.zeros(0, int), pixels=np.zeros((1, 2, 3), np.uint8))
    unmeasured = made([np.nan] * 4, [np.nan] * 4, labels=[[0, 1, 2]], pixels=np.zeros((1, 3, 3), np.uint8))
    tall = sample(
        target=[0.25, 0.5], id="tall", predicted=None, pixels=np.zeros((600, 30, 3), np.uint8), size=(600, 30)
    )
    shown = sample(labels=np.where(np.arange(9600).reshape(80, 120) % 7, grid_of_regions(), -1))
    pysmdl.report([nothing, unmeasured, tall, shown], page)
    browser.open(page)
    for number, words in enumerate(("0 of 1 regions, 0 %", "0 of 3 regions, 0 %", "23 of 24", "23 of 24")):
        show(browser, number)
        assert browser.js(READOUT).startswith(words)
        height = browser.js("document.querySelector('.view').getBoundingClientRect().height")
        assert height <= 0.41 * 900
        browser.press("End")
        browser.click("#close")
    assert browser.errors == []


def test_names_do_nothing(browser, tmp_path):
    page = tmp_path / "hostile.html"
    given = [sample(i, id=HOSTILE, names={3: HOSTILE}, notes={"search": HOSTILE, HOSTILE: HOSTILE}) for i in (0, 1)]
    pysmdl.report(given, page, title=HOSTILE)
    browser.open(page)
    browser.settle()
    assert browser.js("document.querySelector('h1').textContent") == HOSTILE
    show(browser, 0)
    assert browser.js(TITLE) == f"Why {HOSTILE}? 0.90"
    browser.choose("#class", f"={HOSTILE}")
    assert browser.js(COUNT) == "2 of 2"
    assert browser.js("document.title") == HOSTILE
    assert browser.js("document.querySelectorAll('img[onerror]').length") == 0
    assert (browser.errors, browser.requests) == ([], [page.as_uri()])


def test_the_page_lets_no_other_script_run(gallery):
    gallery.js("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))")
    assert gallery.js("window.ran") is None
    assert any("Content Security Policy" in error for error in gallery.errors)
    gallery.errors.clear()


def test_a_thousand_are_shown_at_once(browser, tmp_path):
    page, kept = tmp_path / "thousand.html", [sample(seed % 24) for seed in range(24)]

    def stream():
        for number in range(1000):
            found = kept[number % 24]
            found.id = f"picture {number}"
            yield found

    assert pysmdl.report(stream(), page) == 1000
    assert page.stat().st_size < 1000 * 60_000
    browser.open(page)
    browser.wait("document.querySelector('.card img')?.complete")
    timing = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    assert browser.js(timing) < 2000
    assert browser.js(COUNT) == "1000 of 1000"
    filled = "document.querySelectorAll('.card img').length"
    assert 4 <= browser.js(filled) < 40
    browser.wait("(window.scrollTo(0, 1e9), document.querySelector(`.card[data-number='999'] img`))")
    assert browser.js(filled) < 60  # what is far away is given back
    assert json.dumps(browser.errors) == "[]"
