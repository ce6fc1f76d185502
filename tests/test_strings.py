"""Black boxes of strings, and removals of spans from what they are given."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl import removal, scorers
from pysmdl.errors import ImageError, ScorerError

PRAISE = "VADER is smart, handsome, and funny."
PLOT = "The plot was not good but the acting was great"


@pytest.fixture(scope="module")
def vader():
    made = pytest.importorskip("vaderSentiment.vaderSentiment").SentimentIntensityAnalyzer()
    return scorers.string(lambda text: made.polarity_scores(text)["compound"], batched=False)


def shapley(game):
    """By the definition, from all subsets."""
    n = game.n_players
    member = np.array(list(product([False, True], repeat=n)))
    value, size, found = game(member), member.sum(1), np.zeros(n)
    weights = [math.factorial(k) * math.factorial(n - k - 1) / math.factorial(n) for k in range(n)]
    for player in range(n):
        without = np.flatnonzero(~member[:, player])
        gain = value[without + (1 << (n - 1 - player))] - value[without]
        found[player] = (gain * np.take(weights, size[without])).sum()
    return found


def test_words_of_praise_left_out_one_by_one(vader):
    found = pysmdl.explain(PRAISE, vader, search="occlusion", progress=False)
    assert found.players == ("VADER ", "is ", "smart, ", "handsome, ", "and ", "funny.")
    assert found.values() == pytest.approx([0, 0, 0.1047, 0.1508, 0, 0.1220], abs=1e-4)
    assert found.deletion[0] == pytest.approx(0.8316, abs=1e-4)
    assert found.insertion[0] == 0


def test_negation_is_an_interaction_that_shapley_values_share_out(vader):
    game = pysmdl.Game(PLOT, vader)
    found = shapley(game)
    wanted = [0, 0, 0, -0.3317, 0.1472, 0.1534, 0.0726, 0.0726, 0.0726, 0.5270]
    assert found == pytest.approx(wanted, abs=1e-4)
    assert found.sum() == pytest.approx(0.7138, abs=1e-4)
    assert game.evaluations == 2**10


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ("delete", ["a, c.", "a, b", ""]),
        ("replace", ["a, [MASK] c.", "a, b [MASK]", "[MASK] [MASK] [MASK]"]),
        (removal.replace("_"), ["a, _ c.", "a, b _", "_ _ _"]),
        ("text", ["a, c.", "a, b", ""]),
    ],
    ids=["delete", "replace", "by a word", "text"],
)
def test_spans_are_left_out_or_a_word_stands_for_them(how, wanted):
    seen = []
    scorer = scorers.string(lambda texts: seen.extend(texts) or [1.0 * len(text) for text in texts])
    game = pysmdl.Game("a, b c.", scorer, removal=how)
    assert seen == ["a, b c.", wanted[2]]
    game(np.array([[1, 0, 1], [1, 1, 0]], bool))
    assert seen[2:] == wanted[:2]


def test_classes_of_strings_have_names_and_heads():
    def told(texts):
        hits = np.array([text.count("yes") for text in texts], float)
        return np.stack((np.ones(len(texts)), hits), 1)

    scorer = scorers.string(told, gives="logits", names=["no", "yes"])
    found = pysmdl.explain("yes no yes", scorer, target="yes", search="exact", progress=False)
    assert found.order[-1] == 1
    assert found.names[1] == "yes"
    assert found.insertion == pytest.approx(1 / (1 + np.exp(1 - np.array([0, 1, 2, 2]))))
    margin = scorers.string(told, gives="logits", head=pysmdl.heads.margin())
    assert pysmdl.explain("yes no yes", margin, target=1, progress=False).deletion[0] == 1


FORMS = {
    "list": lambda texts: [len(each) for each in texts],
    "generator": lambda texts: (len(each) for each in texts),
    "array": lambda texts: np.array([len(each) for each in texts], np.float16),
    "tensors": lambda texts: [torch.tensor(float(len(each)), requires_grad=True) for each in texts],
    "column": lambda texts: [np.array([len(each)]) for each in texts],
}


@pytest.mark.parametrize("form", FORMS)
def test_a_function_of_strings_gives_numbers_in_any_form(form):
    found = pysmdl.explain("not good day", scorers.string(FORMS[form]), search="occlusion", progress=False)
    assert found.attribution.tolist() == [4, 5, 4]


@pytest.mark.parametrize("form", [list, np.array, torch.tensor, tuple])
def test_a_function_of_one_string_gives_a_number_or_classes_in_any_form(form):
    def told(text):
        return form([len(text) / 20, 1 - len(text) / 20])

    for given in ({"function": told, "batched": False}, {"function": lambda texts: [told(each) for each in texts]}):
        scorer = scorers.string(**given, gives="probabilities")
        found = pysmdl.explain("not good day", scorer, 0, search="occlusion", progress=False)
        assert found.attribution.tolist() == pytest.approx([0.2, 0.25, 0.2])
    alone = scorers.string(lambda text: np.array(len(text)), batched=False)
    assert pysmdl.explain("not good day", alone, search="occlusion", progress=False).attribution.tolist() == [4, 5, 4]


@pytest.mark.parametrize("given", ["POSITIVE", None, {"label": "POSITIVE", "score": 0.9}, [[1, 2], 3]])
def test_a_function_of_strings_that_gives_no_numbers_is_told_so(given):
    with pytest.raises(ScorerError, match=r"function must give a number, or numbers \[K\], for each text; got "):
        pysmdl.explain("a b", scorers.string(lambda text: given, batched=False), progress=False)


def test_many_texts_share_batches():
    texts = ["one two three", "four", "five six seven eight nine"]
    scorer = scorers.string(lambda given: [1.0 * len(text) for text in given])
    together = sorted(pysmdl.explain_many(texts, scorer, search="exact", progress=False), key=lambda e: e.index)
    alone = [pysmdl.explain(text, scorer, search="exact", progress=False) for text in texts]
    for one, other in zip(together, alone, strict=True):
        assert one.players == other.players
        assert np.array_equal(one.insertion, other.insertion)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"removal": "attention"}, 'removal="attention" needs a model with a tokenizer'),
        ({"removal": "embedding"}, 'removal="embedding" needs a model with a tokenizer'),
        ({"removal": "baseline"}, 'a text is given as strings or tokens: removal="delete"'),
        ({"baseline": "blur"}, 'removal="delete" paints nothing over'),
    ],
)
def test_what_a_function_of_strings_cannot_do_is_said(settings, message):
    with pytest.raises(ValueError, match=message):
        pysmdl.explain("a b", scorers.string(lambda texts: [1.0] * len(texts)), progress=False, **settings)


def test_settings_of_strings_are_checked():
    instead = 'an estimator\'s predict_proba with gives="probabilities"'
    with pytest.raises(TypeError, match=f"function must be callable: strings to numbers, such as {instead}; got str"):
        scorers.string("text")
    with pytest.raises(ValueError, match="gives must be one of"):
        scorers.string(len, gives="number")
    with pytest.raises(ValueError, match="head reads answers"):
        scorers.string(len, head=pysmdl.heads.margin())
    with pytest.raises(ValueError, match='removal="delete" is of texts'):
        pysmdl.explain(np.zeros((8, 8, 3), np.uint8), lambda batch: batch, removal="delete")


def test_a_text_for_a_bare_function_is_sent_to_where_texts_are_explained():
    with pytest.raises(ImageError, match=r"no such image: It was good\.; a text is for a model of texts"):
        pysmdl.explain("It was good.", len, progress=False)
    with pytest.raises(ImageError, match=r"no such image: photo of a cat\.png$"):
        pysmdl.explain("photo of a cat.png", len, progress=False)
    with pytest.raises(ImageError, match=r"a text must be a string, .* got a dict of id, words"):
        scorers.string(len, batched=False).reader.text({"id": 1, "words": "It was good."})
    assert scorers.string(len, batched=False).reader.text({"id": 1, "text": "It was good."}).text == "It was good."


def test_where_nothing_is_painted_over_a_word_is_no_baseline():
    with pytest.raises(ValueError, match='removal="delete" paints nothing over, so there is no baseline; got'):
        pysmdl.explain("a good film", scorers.string(len, batched=False), baseline="[MASK]", progress=False)
