"""Spans of texts and chats, through a tokenizer or without one."""

from __future__ import annotations

import copy
import json
import random

import numpy as np
import pytest
import torch
from language_models import bert, byte_level, gpt2, word_pieces

import pysmdl
from pysmdl import scorers
from pysmdl.errors import ImageError, RegionError
from pysmdl.regions.spans import UNITS, sentences, token_players

STORY = "  Dr. Smith met J. Doe at 3.5 km. “Was it cold?” she asked…  No!\nYes, e.g. 好。很好。 End"
COUNTED = scorers.string(lambda texts: [float(len(text)) for text in texts])
TALK = [{"role": "system", "content": "Be brief. Be kind."}, {"role": "user", "content": "Is it far? It is."}]


def spans(text, how, scorer=COUNTED):
    return pysmdl.explain(text, scorer, players=how, search="occlusion", progress=False)


def test_sentences_end_where_a_reader_would_say_so():
    found = spans(STORY, "sentences").players
    assert [each.strip() for each in found] == [
        "Dr. Smith met J. Doe at 3.5 km.", "“Was it cold?”", "she asked…", "No!", "Yes, e.g. 好。", "很好。", "End",
    ]  # fmt: skip
    assert sentences("I said so, not I. He did") == [0, 17]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("At 5 p.m. we left. At 6 p.m. They came.", ["At 5 p.m. we left.", "At 6 p.m.", "They came."]),
        ("The U.S. Army won. Ph.D. students came.", ["The U.S. Army won.", "Ph.D. students came."]),
        ("1. Red. Or so.\n2. Blue\n(a. b)", ["1. Red.", "Or so.", "2. Blue", "(a. b)"]),
        ("It has 12. On Jan. 5 it had 3. See Sec. 2.", ["It has 12.", "On Jan. 5 it had 3.", "See Sec. 2."]),
        ("Das ist z.B. gut. Ja.", ["Das ist z.B. gut.", "Ja."]),
        (". . !", [".", ".", "!"]),
    ],
)
def test_initials_short_words_and_numbers_of_a_list_end_no_sentence(text, wanted):
    found = spans(text, "sentences").players
    assert [each.strip() for each in found] == wanted
    assert "".join(found) == text


def test_a_label_map_of_a_text_is_named_by_its_characters():
    labels = np.array([0, 0, 0, -1, 1, 1, 0])
    found = spans("good ba", labels)
    assert found.players == ("gooa", " b")
    assert spans("good ba", np.eye(7, dtype=bool)[:2]).players[:2] == ("g", "o")


def test_spans_that_overlap_are_refused():
    masks = np.ones((2, 3), bool)
    with pytest.raises(ValueError, match="spans of a text must not overlap"):
        spans("a b", pysmdl.regions.overlapping(masks))


@pytest.mark.parametrize("unit", sorted(set(UNITS) - {"tokens"}))
def test_names_of_spans_join_to_the_text(unit):
    found = spans(STORY, unit)
    assert "".join(found.players) == STORY
    assert found.modality == "text"
    assert found.called == "spans"
    assert "".join(map(chr, found.shown)) == STORY
    assert np.array_equal(np.bincount(found.labels), [len(each) for each in found.players])


def test_tokens_belong_to_one_span_each_and_names_join_to_any_text():
    drawn = random.Random(0)
    letters = "ab .,!?\n\t 好é🙂👩‍👩‍👧İ﷽0"
    of_bytes, of_pieces = scorers.text_classifier(bert(), byte_level()), scorers.text_classifier(bert(), word_pieces())
    for _ in range(1000):
        text = "".join(drawn.choice(letters) for _ in range(drawn.randint(1, 30)))
        if not text.strip():
            continue
        for scorer in (of_bytes, of_pieces):
            read = scorer.reader.text(text)
            offsets = scorer.tokenized(read).offsets
            for unit in ("tokens", "words", "characters", "sentences"):
                made = scorer.reader.read(text, scorer.input, True).divide(unit)
                assert "".join(made.names) == text
                of_token = token_players(made.labels, text, offsets)
                assert ((of_token >= 0) == [stop > start for start, stop in offsets]).all()
                assert made.areas().sum() == (of_token >= 0).sum() or not made.weights.any()


def test_spans_weigh_their_tokens():
    found = spans("The cat sat. Unbelievable capitals!", "words", scorers.text_classifier(bert(), word_pieces()))
    counts = [len(word_pieces()(word, add_special_tokens=False)["input_ids"]) for word in found.players]
    assert np.allclose(np.diff(found.area), np.array(counts)[found.order] / sum(counts))


def test_pieces_pairs_and_functions_say_what_the_spans_are():
    text = "aa bb cc dd"
    assert spans(text, [(0, 2), (6, 11)]).players == ("aa", "cc dd")
    assert spans(text, ["aa bb", "dd"]).players == ("aa bb", "dd")
    assert spans(text, lambda text: text.split()).players == ("aa", "bb", "cc", "dd")
    assert spans(text, lambda text: [(0, 5), (5, 11)]).players == ("aa bb", " cc dd")
    labels = np.array([0] * 5 + [-1] + [1] * 5)
    assert spans(text, labels).insertion[0] == 1  # the space that is always shown


def test_a_chat_is_explained_by_what_was_said_not_by_its_template():
    scorer = scorers.language_model(gpt2(), byte_level(True), answer="far")
    found = spans(TALK, "messages", scorer)
    assert found.players == ("Be brief. Be kind.", "Is it far? It is.")
    assert found.groups == ("system", "user")
    found = spans(TALK, "sentences", scorer)
    assert found.players == ("Be brief. ", "Be kind.", "Is it far? ", "It is.")
    assert "".join(map(chr, found.shown)).endswith("Is it far? It is.\n<|assistant|>\n")
    assert set(found.by_group()) == {"system", "user"}
    plain = spans(TALK, "messages")
    assert plain.players == ("Be brief. Be kind.", "Is it far? It is.")
    assert plain.insertion[-1] == 37


@pytest.mark.parametrize("form", [np.array, torch.tensor, tuple])
def test_pairs_come_as_arrays_too(form):
    assert spans("aa bb", form([(0, 3), (3, 5)])).players == ("aa ", "bb")


def parts(*texts):
    return [{"type": "text", "text": text} for text in texts]


def test_messages_may_come_in_parts_of_text():
    scorer = scorers.language_model(gpt2(), byte_level(True), answer="far")
    chat = [
        {"role": "system", "content": parts("Be brief. Be kind.")},
        {"role": "user", "content": parts("Is it far?", "It is.")},
    ]
    found = spans(chat, "messages", scorer)
    assert found.players == ("Be brief. Be kind.", "Is it far?\nIt is.")
    assert spans(chat, "sentences", scorer).players == ("Be brief. ", "Be kind.", "Is it far?\n", "It is.")
    joined = [{**message, "content": "\n".join(each["text"] for each in message["content"])} for message in chat]
    assert np.array_equal(spans(joined, "messages", scorer).insertion, found.insertion)
    assert spans(chat, "messages").players == spans(tuple(chat), "messages").players == found.players  # of strings
    (one,) = pysmdl.explain_many([{"messages": chat}], scorer, players="messages", progress=False)
    assert one.players == found.players


def test_a_call_of_a_tool_says_nothing():
    scorer = scorers.language_model(gpt2(), byte_level(True), answer="far")
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "distance"}}]}
    chat = [{"role": "user", "content": "Is it far?"}, call, {"role": "tool", "content": "9 km"}]
    for given in (scorer, COUNTED):
        found = spans(chat, "messages", given)
        assert found.players == ("Is it far?", "9 km")
        assert found.groups == ("user", "tool")


@pytest.mark.parametrize("content", ["user", "s", "  a  ", "<|user|>"])
def test_words_that_the_template_says_too_are_found_where_the_message_is(content):
    chat = [{"role": "user", "content": content}, {"role": "assistant", "content": "assistant"}]
    found = scorers.language_model(gpt2(), byte_level(True), answer="far").reader.text(chat)
    said = f"<|user|>\n{content.strip()}\n<|assistant|>\nassistant\n"
    assert found.text == f"{said}<|assistant|>\n"
    assert [found.text[each.start : each.stop] for each in found.areas] == [content.strip(), "assistant"]
    assert [each.start for each in found.areas] == [9, len(said) - 10]


@pytest.mark.parametrize("text", ["It is late.", "  It is late.", "It is late.  ", "\n\nIt is late.\n"])
@pytest.mark.parametrize("prompt", ["{}\nWhen?", "  {} When?", "Text: {}\nWhen?", "Text: {}", " {} ", None])
def test_of_a_prompt_nothing_is_explained_but_what_stands_in_it(prompt, text):
    for chat in (False, True):
        scorer = scorers.language_model(gpt2(), byte_level(chat), prompt=prompt, answer="far")
        found = scorer.reader.text(text)
        (area,) = found.areas
        inside = found.text[area.start : area.stop]
        assert inside.strip() == "It is late."
        assert inside in text
        if prompt is not None:
            assert (found.text[: area.start] + text.strip() + found.text[area.stop :]).split() == (found.text.split())


@pytest.mark.parametrize("text", ["  a b\n", "\n\nIt is late.\r\n", "def f(x):\n\treturn x  "])
def test_a_text_of_a_language_model_is_all_of_what_is_given(text):
    found = scorers.language_model(gpt2(), byte_level(), answer="far").reader.text(text)
    assert found.text == text
    assert [(each.start, each.stop) for each in found.areas] == [(0, len(text))]
    assert "".join(spans(text, "words", scorers.language_model(gpt2(), byte_level(), answer="far")).players) == text


PARTED = (  # as Gemma's: what a system says goes into the user's turn, parts follow on each other
    "{% for message in messages %}{{ '<' + message.role + '>' }}{% if message.content is string %}"
    "{{ message.content | trim }}{% else %}{% for part in message.content %}{{ part.text }}{% endfor %}{% endif %}"
    "{% if message.role == 'tool' %}{{ raise_exception('No tools') }}{% endif %}{% endfor %}"
)


def templated_by(template):
    tokenizer = copy.deepcopy(byte_level())
    tokenizer.chat_template = template
    return scorers.language_model(gpt2(), tokenizer, answer="far")


def test_parts_go_through_the_template_as_it_takes_them():
    chat = [{"role": "system", "content": "Be kind. "}, {"role": "user", "content": parts("Is it far?", " It is.")}]
    scorer = templated_by(PARTED)
    found = scorer.reader.text(chat)
    assert found.text == scorer.tokenizer.apply_chat_template(chat, tokenize=False)
    assert [found.text[each.start : each.stop] for each in found.areas] == ["Be kind.", "Is it far? It is."]
    listed = templated_by(PARTED.replace("message.content is string", "false")).reader.text(TALK)
    assert [listed.text[each.start : each.stop] for each in listed.areas] == [each["content"] for each in TALK]


def test_a_template_that_takes_no_such_messages_says_why():
    chat = [{"role": "user", "content": "Is it far?"}, {"role": "tool", "content": "9 km"}]
    with pytest.raises(ImageError, match="the tokenizer's chat template refuses these messages: No tools"):
        templated_by(PARTED).reader.text(chat)


def test_files_hold_texts_or_chats(tmp_path):
    (tmp_path / "marked.txt").write_bytes("\ufeffIt is late.".encode())
    assert spans(tmp_path / "marked.txt", "words").players == ("It ", "is ", "late.")
    (tmp_path / "chat.json").write_text(json.dumps(TALK))
    assert spans(tmp_path / "chat.json", "messages").groups == ("system", "user")
    (tmp_path / "other.json").write_text('{"far": 9}')
    assert spans(tmp_path / "other.json", "words").players == ('{"far": ', "9}")
    (tmp_path / "old.txt").write_bytes(b"caf\xe9")
    with pytest.raises(ImageError, match=r"old.txt must be a text in UTF-8: .* at byte 3"):
        spans(tmp_path / "old.txt", "words")


def test_a_file_is_read(tmp_path):
    (tmp_path / "story.txt").write_text(STORY, encoding="utf-8")
    found = spans(tmp_path / "story.txt", "lines")
    assert len(found.players) == 2
    assert found.provenance["source"] == str(tmp_path / "story.txt")
    assert "source" not in spans(STORY, "lines").provenance


@pytest.mark.parametrize(
    ("given", "how", "error", "message"),
    [
        ("a b", "pages", ValueError, "players must be one of .*'words'; got 'pages'"),
        ("a b", "tokens", ValueError, 'players="tokens" needs a model with a tokenizer'),
        ("a b", [(0, 2), (1, 3)], RegionError, r"spans must be apart, start < stop <= 3 characters; got \(1, 3\)"),
        ("a b", [(0, 2, 1)], RegionError, r"spans must be pairs \(start, stop\) of characters; got \(0, 2, 1\)"),
        ("a b", lambda text: [3], RegionError, "spans must be pairs .*; got 3"),
        ("a b", ["b", "a"], RegionError, "pieces must stand in the text one after the other; 'a' does not"),
        (" \n", "words", ImageError, "the text is empty"),
        ([{"rol": "user", "content": "a"}], "words", ImageError, "a message must have a role and .*; got rol, content"),
        (7, "words", ImageError, "a text must be a string, a Path to a file, or a list of messages"),
        ([{"role": "user", "content": None}], "words", ImageError, "a message must have a content that is a string"),
        ([{"role": "user", "content": []}], "words", ImageError, "a message must have a content that is a string"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a.png"}}]}],
            "words",
            ImageError,
            "a part of a message must be .* for a model of texts; got 'image_url'",
        ),
    ],
)
def test_what_cannot_be_divided_is_refused(given, how, error, message):
    with pytest.raises(error, match=message):
        spans(given, how)
