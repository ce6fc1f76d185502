"""Texts as people look at them: coloured in HTML, in the terminal and as PNG, on the page, from the command line."""

from __future__ import annotations

import re

import numpy as np
import pytest
from command_line import call
from language_models import bert, byte_level, qwen3, word_pieces
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg

import pysmdl
from pysmdl import scorers
from pysmdl.explanation import letters
from pysmdl.explanation.letters import NOWHERE, font_of, placed, with_marks
from pysmdl.explanation.sheets import with_sheet
from pysmdl.explanation.text_sheets import terminal
from pysmdl.reporting.entries import entry

TEXT = "A <b>good</b> plot,\nand bad music; " + "nothing else happens at all, ever again. " * 5
OPINIONS = scorers.string(lambda texts: [text.count("good") - 0.5 * text.count("bad") for text in texts])


@pytest.fixture(scope="module")
def found():
    return pysmdl.explain(TEXT, OPINIONS, search="occlusion", progress=False)


def test_half_an_emoji_is_shown_as_a_question_mark(tmp_path):
    found = pysmdl.explain("bad \ud83d good", OPINIONS, search="occlusion", progress=False)
    assert ">? </span>" in found._repr_html_().encode().decode()
    assert "? " in terminal(found).plain.encode().decode()
    assert found.verbalise().encode()
    for kind in ("row", "bars", "steps"):
        found.plot(kind=kind).savefig(tmp_path / "x.png")
    pysmdl.report([found], tmp_path / "x.html")
    found.save(tmp_path / "x.npz")
    assert pysmdl.load(tmp_path / "x.npz").view(3) == "bad \ud83d good"


def test_html_holds_the_text_and_colours_what_counts(found):
    shown = found._repr_html_()
    spans = dict(re.findall(r'<span style="background:(rgb\([^"]*?\));[^>]*>([^<]*)</span>', shown))
    colours = {text: colour for colour, text in spans.items()}
    assert "&lt;b&gt;good&lt;/b&gt; " in shown
    assert "<b>" not in shown
    good, bad = (
        next(tuple(map(int, re.findall(r"\d+", colour))) for text, colour in colours.items() if word in text)
        for word in ("good", "bad")
    )
    assert good[0] > good[2]
    assert bad[2] > bad[0]


def test_the_terminal_shows_the_text(found):
    made = terminal(found)
    assert made.plain == TEXT
    assert sum("on rgb" in str(span.style) for span in made.spans) == 2


def test_a_view_is_what_is_kept_of_the_text(found):
    assert found.view(1) == "<b>good</b> "
    assert found.view(0) == ""
    assert found.view(found.n) == TEXT


def test_a_sheet_has_each_span_where_it_is_written(found):
    sheet = with_sheet(found)
    assert sheet.pixels.shape[:2] == sheet.labels.shape
    assert set(np.unique(sheet.labels)) == {-1, *range(found.n)}
    first = [int(np.argmax((sheet.labels == player).any(1))) for player in range(found.n)]
    assert first == sorted(first)
    assert first[-1] > first[0]
    assert sheet.pixels[sheet.labels >= 0].min() < 100 < 250 == sheet.pixels[sheet.labels < 0].min()


@pytest.mark.parametrize("kind", ["row", "map", "bars", "curves", "steps", "order"])
def test_pictures_of_texts(found, kind, tmp_path):
    figure = found.plot(kind=kind)
    figure.savefig(tmp_path / "text.png")
    assert (tmp_path / "text.png").stat().st_size > 5000


def test_a_file_and_the_page_keep_the_text(found, tmp_path):
    found.save(tmp_path / "text.npz")
    read = pysmdl.load(tmp_path / "text.npz")
    assert "".join(map(chr, read.shown)) == TEXT
    assert read.players == found.players
    assert terminal(read).plain == TEXT
    made = entry(found, 0)
    assert made["called"] == "spans"
    assert made["extent"] == "text"
    assert "picture" in made
    long = pysmdl.explain("so it goes, " * 3000, OPINIONS, players="lines", search="occlusion", progress=False)
    long.save(tmp_path / "long.npz")
    assert pysmdl.load(tmp_path / "long.npz").shown.tolist() == long.shown.tolist()


MODEL = """
from pysmdl import scorers
good = scorers.string(lambda texts: [float(text.count("good")) for text in texts])
"""


def test_texts_on_the_command_line(tmp_path, monkeypatch):
    (tmp_path / "opinions.py").write_text(MODEL)
    (tmp_path / "story.txt").write_text("All is well. It was good. So there.")
    monkeypatch.chdir(tmp_path)
    common = ("--model", "opinions:good", "--players", "sentences", "--out", "made")
    code, said = call("explain", "--text", "It was good. It rains.", *common)
    assert code == 0
    assert "It was good. It rains." in said
    assert "the score" in said  # what is explained, in the table
    assert (tmp_path / "made" / "text 1.png").is_file()
    assert pysmdl.load(tmp_path / "made" / "text 1.npz").players == ("It was good. ", "It rains.")
    code, said = call("explain", "story.txt", *common)
    assert code == 0
    assert pysmdl.load(tmp_path / "made" / "story.npz").order[0] == 1
    code, said = call("explain", "--text", "It was good.", *common, "--dry-run")
    assert code == 0
    assert "evaluations at most" in said
    code, said = call("explain", *common)
    assert code != 0
    assert "give files to explain, or --text for a text" in said


def test_a_folder_of_a_text_model_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, model, tokenizer, extra in (
        ("classes", bert(), word_pieces(), ("--target", "good")),
        ("language", qwen3(), byte_level(True), ("--answer", "red", "--removal", "attention")),
    ):
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        code, said = call(
            "explain", "--text", "The key is red.", "--model", f"hf:{folder}", *extra, "--out", f"of {folder}"
        )
        assert code == 0, said
        made = pysmdl.load(tmp_path / f"of {folder}" / "text 1.npz")
        assert made.players == ("The ", "key ", "is ", "red.")


@pytest.mark.parametrize("pair", ["Пж", "Γω", "بد", "של", "½∑"])
def test_letters_of_other_scripts_are_drawn_as_what_they_are(pair):
    drawn = [bytes(font_of(each, 16).getmask(each)) for each in pair]
    missing = [bytes(font_of(each, 16).getmask(NOWHERE)) for each in pair]
    assert drawn[0] != drawn[1]
    assert not set(drawn) & set(missing)


def test_what_is_read_from_the_right_stands_so_with_its_numbers_and_marks():
    found = with_marks(list("a של 12 e\u0301"))
    assert found == ["a", " ", "ש", "ל", " ", "1", "2", " ", "e\u0301", ""]
    ends = [(float(place), place + 1.0) for place in range(9)] + [(9.0, 9.0)]
    stands = [start for start, _ in placed(found, ends)]
    assert stands == [0, 1, 3, 2, 4, 5, 6, 7, 8, 9]
    assert [start for start, _ in placed(list("שב, ל"), ends[:5])] == [4, 3, 2, 1, 0]


HAN = "\u4e2d"


@pytest.fixture
def with_han(tmp_path):
    """A font for one letter that no other font here has."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    pen = TTGlyphPen(None)
    for at in ((0, 0), (0, 900), (900, 900), (900, 0)):
        (pen.lineTo if at != (0, 0) else pen.moveTo)(at)
    pen.closePath()
    box = pen.glyph()
    made = FontBuilder(1000, isTTF=True)
    made.setupGlyphOrder([".notdef", "han"])
    made.setupCharacterMap({ord(HAN): "han"})
    made.setupGlyf({".notdef": box, "han": box})
    made.setupHorizontalMetrics({".notdef": (1000, 0), "han": (1000, 0)})
    made.setupHorizontalHeader(ascent=900, descent=-100)
    made.setupNameTable({"familyName": "One Letter", "styleName": "Regular"})
    made.setupOS2()
    made.setupPost()
    made.save(tmp_path / "one.ttf")
    before = list(font_manager.fontManager.ttflist)
    font_manager.fontManager.addfont(tmp_path / "one.ttf")
    forget()
    yield
    font_manager.fontManager.ttflist[:] = before
    forget()


def forget():
    for each in (letters._path_of, letters.font_of):
        each.cache_clear()


@pytest.mark.parametrize("kind", ["row", "bars", "map"])
def test_matplotlib_falls_back_on_a_font_that_has_the_letters(kind, with_han):
    e = pysmdl.explain(f"good {HAN}", pysmdl.scorers.string(lambda texts: [text.count(HAN) for text in texts]))
    figure = e.plot(kind=kind)
    FigureCanvasAgg(figure).draw()  # matplotlib's warning of a letter without a font would be an error
    assert [text.get_text() for text in figure.texts] == ["why this score? 1.00"]
    titled = pysmdl.plot([e], kind="map", titles=[HAN])
    FigureCanvasAgg(titled).draw()


def test_letters_that_no_font_has_are_squares_and_said_once_in_words(monkeypatch):
    path = letters._path_of
    monkeypatch.setattr(letters, "_path_of", lambda letter: None if letter == HAN else path(letter))
    text = f"good {HAN} and {HAN * 2}"
    e = pysmdl.explain(text, pysmdl.scorers.string(lambda texts: [text.count(HAN) for text in texts]))
    message = f"no font of this machine has {HAN}: a picture shows a square for each. Install a font that has them"
    with pytest.warns(UserWarning, match=re.escape(message)) as warned:
        figure = e.plot(kind="bars")
    assert len(warned) == 1
    FigureCanvasAgg(figure).draw()  # matplotlib finds nothing to warn of
    assert "□" in [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_bars_say_nothing_as_nothing_with_the_axis_minus_and_few_are_not_thick():
    e = pysmdl.explain("not a good", pysmdl.scorers.string(lambda texts: [1 - text.count("not") for text in texts]))
    (axes,) = e.plot(kind="bars").axes
    assert {text.get_text() for text in axes.texts} == {"−1", "0"}
    alone = pysmdl.explain("good", pysmdl.scorers.string(lambda texts: [text.count("good") for text in texts])).plot()
    (bar,) = next(axes for axes in alone.axes if axes.patches).patches
    assert bar.get_window_extent().height / alone.dpi < 0.4  # inches
