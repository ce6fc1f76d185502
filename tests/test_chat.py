"""Models that talk about pictures, behind a server of OpenAI's shape: what is read of each kind of reply."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from serving import logits, pixels_of, serving

import pysmdl
from pysmdl import scorers
from pysmdl.errors import ScorerError
from pysmdl.models.chat import word_overlap

from toys import image

pytest.importorskip("httpx")

WORDS = ("cat", "dog", "a", "bird")
SETTINGS = {"regions": "grid:9", "search": "exact", "progress": False}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def seen(body: bytes):
    """A request, and the probabilities that its model has of the words."""
    asked = json.loads(body)
    picture, text = asked["messages"][0]["content"]
    assert text == {"type": "text", "text": "What is it?"}
    kind, _, content = picture["image_url"]["url"].partition(";base64,")
    assert kind == "data:image/png"
    z = np.array(logits(pixels_of(base64.b64decode(content))))
    return asked, np.exp(z) / np.exp(z).sum()


def choice(text, **others):
    return {"message": {"role": "assistant", "content": text}, **others}


def knowing(body: bytes):
    """A server that tells the likeliest tokens, and those of what it is made to say."""
    asked, p = seen(body)
    if asked.get("continue_final_message"):
        assert asked["messages"][1] == {"role": "assistant", "content": "a bird"}
        said = [("What", 0.5), ("a", p[2]), (" bi", p[3]), ("rd", 0.25)]
        prompt = [{str(at): {"logprob": float(np.log(q)), "decoded_token": t}} for at, (t, q) in enumerate(said)]
        return {"choices": [choice("")], "prompt_logprobs": [None, *prompt]}
    top = [{"token": token, "logprob": float(np.log(q))} for token, q in zip((" Cat", "dog", "", "b"), p, strict=True)]
    return {"choices": [choice("cat", logprobs={"content": [{"top_logprobs": top}]})]}


def mute(body: bytes):
    """A server that tells no probabilities: of 8 replies as many name a word as its probability says."""
    asked, p = seen(body)
    said = [WORDS[int((p.cumsum() < (at + 0.5) / 8).sum())] for at in range(asked.get("n", 1))]
    return {"choices": [choice(f"It is a {word}.") for word in said]}


def another(body: bytes):
    """A server that was made to say something else."""
    return {"prompt_logprobs": [None, {"1": {"logprob": -1, "decoded_token": "a cat"}}]}


def probabilities():
    z = np.array(logits(image()))
    return np.exp(z) / np.exp(z).sum()


def test_first_tokens_are_explained_by_their_probabilities():
    with serving(answer=knowing) as served:
        scorer = scorers.chat(served.url, "What is it?", ["cat", "dog", "bird"], model="seer")
        found = pysmdl.explain(image(), scorer, "dog", **SETTINGS)
        assert served.count == found.evaluations
        assert served.kinds == {"application/json"}
        request = json.loads(next(iter(served.bodies)))
        assert (request["model"], request["top_logprobs"], request["max_tokens"]) == ("seer", 20, 1)
    assert found.deletion[0] == pytest.approx(probabilities()[1], abs=1e-6)
    assert found.insertion[0] == pytest.approx(0.25, abs=1e-6)
    assert found.target == 1
    assert "dog" in found.plot().axes[0].get_title()


def test_an_answer_that_is_made_to_be_said_has_the_mean_of_its_tokens():
    with serving(answer=knowing) as served:
        scorer = scorers.chat(served.url, "What is it?", "a bird", score="continuation")
        found = pysmdl.explain(image(), scorer, "a bird", **SETTINGS)
    p = probabilities()
    assert found.deletion[0] == pytest.approx(float(p[2] * p[3] * 0.25) ** (1 / 3), abs=1e-6)


def test_without_probabilities_replies_are_counted_and_compared():
    with serving(answer=mute) as served:
        scorer = scorers.chat(served.url, "What is it?", ["Cat", "dog"], score="repeats", repeats=8)
        found = pysmdl.explain(image(), scorer, "dog", **SETTINGS)
        assert set(np.unique(found.insertion * 8)) <= set(range(9))
        assert found.deletion[0] == pytest.approx(probabilities()[1], abs=1 / 8)
        alike = scorers.chat(served.url, "What is it?", ["it is a dog", "a dog"], score="similarity")
        found = pysmdl.explain(image(), alike, "a dog", **SETTINGS)
    assert found.deletion[0] in (np.float32(2 * 1 / 6), np.float32(2 * 2 / 6))


def test_words_in_common():
    assert word_overlap("It is a dog.", "a dog") == pytest.approx(2 * 2 / 6)
    assert word_overlap("A dog", "a dog!") == 1
    assert word_overlap("", "a dog") == 0


def test_replies_are_kept_by_what_is_read_of_them(tmp_path):
    with serving(answer=knowing) as served:
        for answers in (["cat", "dog"], ["dog", "cat"], ["dog", "cat"]):
            scorer = scorers.chat(served.url, "What is it?", answers, cache=tmp_path)
            found = pysmdl.explain(image(), scorer, "dog", **SETTINGS)
            assert found.deletion[0] == pytest.approx(probabilities()[1], abs=1e-6)
        assert served.count == 2 * found.evaluations


@pytest.mark.parametrize(
    ("score", "answers", "answer", "says"),
    [
        ("first_token", ["cat"], mute, 'gives no log-probabilities of its tokens .*score="repeats"'),
        ("continuation", ["a bird"], mute, "gives no log-probabilities of what it is made to say"),
        ("continuation", ["a bird"], another, "must end with 'a bird', what it was made to say; it ends with 'a cat'"),
        (
            "repeats",
            ["cat"],
            lambda body: {"choices": [choice("cat")]},
            "as many replies as it is asked for, n=10; got",
        ),
        ("similarity", ["cat"], lambda body: {"error": "busy"}, "must reply in OpenAI's shape, with choices; got"),
    ],
)
def test_a_server_that_does_not_tell_is_named(score, answers, answer, says):
    with serving(answer=answer) as served:
        scorer = scorers.chat(served.url, "What is it?", answers, score=score)
        with pytest.raises(ScorerError, match=says):
            pysmdl.explain(image(), scorer, 0, **SETTINGS)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"answers": []}, r"answers must be texts, one or more; got \[\]"),
        ({"answers": ["a", " "]}, "answers must be texts, one or more"),
        ({"score": "logprobs"}, "score must be one of .*; got 'logprobs'"),
        ({"score": "continuation"}, "answers must be one for score='continuation', .*; got 2"),
        ({"encode": "array"}, "encode must be one of 'jpeg', 'png'; got 'array'"),
        ({"score": "repeats", "repeats": 0}, "repeats must be a whole number of at least 1; got 0"),
    ],
)
def test_what_is_no_question_is_refused(settings, says):
    given = {"answers": ["cat", "dog"], **settings}
    with pytest.raises(ValueError, match=says):
        scorers.chat("http://127.0.0.1:1/v1/chat/completions", "What is it?", **given)
