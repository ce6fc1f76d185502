"""Words of an answer as a target: which tokens they are, whose answer it is, and what is said where there are none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from answer_models import FAMILIES, QUESTION, llava
from command_line import SCENES, call

import pysmdl
from pysmdl.scorers.answer_places import pieces_of, places
from pysmdl.scorers.locations import boxes

from library_models import made, photograph

PIECES = ["A", " ca", "t", " sat", ",", " the", " cat", " sl", "ept", ".", ""]
OTHER = "the red dog runs"
pytest.importorskip("transformers")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("cat", (1, 2)),  # its first, as a whole word
        ("sat", (3,)),
        ("CAT", (1, 2)),
        ("the cat", (5, 6)),
        ("slept", (7, 8)),
        (".", (9,)),
        (slice(0, 1), (0,)),
        (slice(-6, None), (7, 8, 9)),
        (None, tuple(range(10))),
        ("all", tuple(range(10))),
    ],
)
def test_words_are_the_tokens_that_they_are_made_of(words, expected):
    assert places(words, PIECES) == expected


def test_a_number_may_be_a_word_of_an_answer():
    assert places(12, ["there", " are", " 1", "2", " cats"]) == (2, 3)


class Bytes:
    """A tokenizer of which two tokens each make one character of an emoji; the last is what ends a text."""

    table = (b"so ", b"\xf0\x9f", b"\x91\x8d", b"\xf0\x9f\x8f", b"\xbd", b" ok", b"")

    def decode(self, tokens, **settings):
        return b"".join(self.table[token] for token in tokens).decode(errors="replace")


@pytest.mark.parametrize(
    ("words", "expected"),
    [(None, (0, 1, 2, 3, 4, 5)), ("👍🏽", (1, 2, 3, 4)), (slice(4, 5), (3, 4)), ("ok", (5,)), ("so", (0,))],
)
def test_a_character_of_several_tokens_is_all_of_them(words, expected):
    pieces = pieces_of(Bytes(), {6}, range(7))
    assert pieces == ["so ", "", "👍", "", "🏽", " ok", ""]
    assert places(words, pieces) == expected
    assert pieces_of(Bytes(), {6}, range(4)) == ["so ", "", "👍", "�"], "an answer that ends too early"


@pytest.mark.parametrize("words", ["dog", "ca", "sle", slice(90, 99)])
def test_what_the_answer_has_not_is_told_with_its_words(words):
    with pytest.raises(
        ValueError, match=r"the answer has no .*; it is 'A cat sat, the cat slept.', of the words A, cat, "
    ):
        places(words, PIECES)


@pytest.mark.parametrize("words", [1.5, ("cat",), b"cat", " "])
def test_what_cannot_be_words_is_named(words):
    with pytest.raises(ValueError, match="target must be words of the answer, a slice"):
        places(words, PIECES)


def scorer(**words):
    family = llava()
    return pysmdl.adapt(family.model, **{"processor": family.processor, "prompt": QUESTION, **words})


def explained(target=None, scorer_=None, **settings):
    settings = {"regions": "grid:4", "progress": False, **settings}
    return pysmdl.explain(photograph(), scorer() if scorer_ is None else scorer_, target=target, **settings)


def test_the_answer_is_the_models_own_or_given_and_a_result_has_its_text():
    said = scorer().answer(photograph())
    own = explained(said.split()[0])
    assert (own.target["positions"], own.target["texts"], own.target["answer"]) == ([0], said.split()[:1], said)
    given = explained("red dog", scorer(answer=OTHER))
    assert given.target == {"positions": [1, 2], "ids": [16, 8], "texts": [" red", " dog"], "answer": OTHER}
    assert pysmdl.targets.title(given.target) == '"red dog"'
    assert given.reading["tokens"].shape == (2, 5, 2)


def test_tokens_may_be_others_than_those_of_the_answer():
    """The word that it might have said: the answer before it is as it is."""
    said = explained()
    other = next(token for token in (8, 9) if token != said.target["ids"][1])
    found = explained(pysmdl.Tokens([1], [other]))
    assert found.target["texts"] == [{8: "dog", 9: "sits"}[other]]
    assert found.insertion[-1] < said.reading["tokens"][1, 0, 1]
    with pytest.raises(ValueError, match="positions must be below 6, the answer's length; got 6"):
        explained(pysmdl.Tokens([6]))


def test_language_prior_and_evidence_are_those_of_each_token():
    found = explained("red dog", scorer(answer=OTHER))
    read = pysmdl.metrics.modality(found)
    assert read.language_prior.shape == (2,)
    np.testing.assert_allclose(read.language_prior + read.perceptual_evidence, found.reading["tokens"][1, 0], atol=1e-6)
    assert found.deletion[-1] == pytest.approx(read.language_prior.mean(), abs=1e-6)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", ["LLaVA", "Qwen2.5-VL", "Florence-2", "TrOCR"])
def test_prompts_and_answers_of_many_lengths_share_batches(name, side):
    family = FAMILIES[name]()
    family.processor.tokenizer.padding_side = side
    asked = [None, "what", "is the cat on the mat here ?", QUESTION]
    asked = asked if family.prompt else [None] * 4
    texts = ["dog", OTHER, None, "a"]
    targets = [pysmdl.Answer(text=text, prompt=prompt) for text, prompt in zip(texts, asked, strict=True)]
    ours = pysmdl.adapt(family.model, processor=family.processor, prompt=family.prompt)
    settings = {"regions": "grid:4", "progress": False, "search": "exact"}
    items = [(photograph(), target) for target in targets]
    together = pysmdl.explain_many(items, ours, ordered=True, batch_size=16, **settings)
    for found, (image, target) in zip(together, items, strict=True):
        alone = pysmdl.explain(image, ours, target, batch_size=1, **settings)
        assert found.target == alone.target
        np.testing.assert_allclose(found.insertion, alone.insertion, atol=1e-5)


def test_the_head_makes_logits_of_the_asked_rows_alone():
    family, seen = llava(), []
    family.model.get_output_embeddings().register_forward_hook(
        lambda module, given, logits: seen.append(tuple(logits.shape[1:]))
    )
    ours = pysmdl.adapt(family.model, processor=family.processor, prompt=QUESTION, answer=OTHER)
    explained("red", ours)
    assert set(seen) == {(1, family.model.config.text_config.vocab_size)}
    assert not family.model.get_output_embeddings()._forward_pre_hooks


def test_the_answer_to_a_part_of_the_picture_is_generated_anew():
    ours = scorer()
    found = explained(None, ours)
    assert ours.answer(photograph()) == found.target["answer"]
    half = np.isin(found.labels, found.order[:2])
    shown = ours.answer(photograph(), kept=half)
    x = torch.from_numpy(np.where(half, ours.input.view(photograph())[0].numpy(), ours.input.black().numpy()))
    assert shown == ours.answer(x.float())
    assert ours.answer(photograph(), kept=np.ones_like(half)) == found.target["answer"]
    with pytest.raises(ValueError, match="kept must be"):
        ours.answer(photograph(), kept=half[1:])


def test_locations_of_an_answer_are_boxes_in_the_photographs_pixels():
    pieces = [
        "</s>",
        "a",
        " cat",
        "<loc_0>",
        "<loc_500>",
        "<loc_999>",
        "<loc_999>",
        *["<loc_9>"] * 4,
        " dog",
        "<loc_1>",
    ]
    first, second = boxes(pieces, (200, 1000))
    assert (first.name, first.tokens.positions, second.name) == ("</s>a cat", (3, 4, 5, 6), "</s>a cat")
    assert first.xyxy == pytest.approx((0.5, 100.1, 999.5, 199.9))
    family = FAMILIES["Florence-2"]()
    said = family.processor.tokenizer("a dog <loc_10> <loc_20> <loc_400> <loc_900>", add_special_tokens=False)[
        "input_ids"
    ]
    family.model.generate = lambda **given: torch.tensor([[2, *said, 2]])
    ours = pysmdl.adapt(family.model, processor=family.processor, prompt="<OD>")
    (found,) = ours.boxes(photograph())
    own = family.processor.post_processor.dequantize(torch.tensor([[10, 20, 400, 900]]), (170, 117))
    assert found.name == "a dog"
    np.testing.assert_allclose(found.xyxy, own[0], atol=1)  # which it cuts to whole pixels
    explained_ = pysmdl.explain(photograph(), ours, target=found.tokens, regions="grid:4", progress=False)
    assert explained_.target["texts"] == [" <loc_10>", " <loc_20>", " <loc_400>", " <loc_900>"]


def test_a_result_is_written_and_read_with_the_words(tmp_path):
    found = explained("red dog", scorer(answer=OTHER))
    found.save(tmp_path / "why.npz")
    assert pysmdl.load(tmp_path / "why.npz").target == found.target


def test_what_was_understood_is_one_line():
    start = "<AnswerScorer: LlavaForConditionalGeneration, what it answers to 'what is in the picture ?', 32 x 32"
    assert repr(scorer()).startswith(start)
    assert "'the red dog runs' as its answer to 'what is in the picture ?'" in repr(scorer(answer=OTHER))


def of_vit():
    model, processor = made("ViT")
    return pysmdl.adapt(model, processor=processor, prompt="what ?")


def without_tokenizer():
    family = llava()
    return pysmdl.adapt(family.model, processor=family.processor.image_processor, prompt="what ?")


ERRORS = {
    "no processor": (lambda: scorer(processor=None), "LlavaForConditionalGeneration answers in words.*give processor="),
    "no tokenizer": (without_tokenizer, "with a tokenizer.*got CLIPImageProcessor"),
    "no prompt": (lambda: scorer(prompt=None), 'needs a prompt: give prompt="What is in the picture'),
    "an empty prompt": (lambda: scorer(prompt=" "), "prompt must be a text with a word in it; got ' '"),
    "an answer that is none": (lambda: scorer(answer=3), "answer must be a text with a word in it; got 3"),
    "prompts": (lambda: scorer(prompts=["a cat"]), "answers with words, to a prompt=; drop prompts"),
    "a classifier": (of_vit, "prompt and answer are for models that answer with words; ViTForImage"),
    "a trace": (lambda: explained(trace=1), "an answer has none to trace"),
    "no such word": (
        lambda: explained("tree", scorer(answer=OTHER)),
        "has no 'tree'; it is 'the red dog runs', of the words the, red, dog, runs",
    ),
    "bare": (lambda: pysmdl.explain(photograph(), llava().model), "answers in words.*give processor="),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_is_missing_is_said(case):
    made_wrong, message = ERRORS[case]
    with pytest.raises(ValueError, match=message):
        made_wrong()


def test_a_chat_template_words_the_prompt_and_an_image_token_leaves_it_as_it_is():
    family = llava()
    template = (
        "{% for m in messages %}{% for c in m.content %}{{ '<image>' if c.type == 'image' else c.text }} {% endfor %}"
    )
    family.processor.chat_template = template + "{% endfor %}{% if add_generation_prompt %}here{% endif %}"
    ours = pysmdl.adapt(family.model, processor=family.processor, prompt="what is")
    before = ours.speech.opening([photograph()], None).before
    assert family.processor.tokenizer.decode(before[17:]) == "what is here"
    both = ours.speech.opening([photograph(), photograph()], None).before
    assert both.count(4) == 32
    assert family.processor.tokenizer.decode(both[33:]) == "what is here"
    plain = ours.speech.opening([photograph()], "what <image> is").before
    assert family.processor.tokenizer.decode(plain[:2]) == "<bos> what"


@pytest.mark.slow
def test_a_folder_on_the_command_line(tmp_path):
    family, folder, out = llava(), str(tmp_path / "net"), tmp_path / "out"
    family.model.save_pretrained(folder)
    family.processor.save_pretrained(folder)
    words = ["--prompt", QUESTION, "--answer", OTHER, "--target", "red dog", "--regions", "grid:4", "--out", str(out)]
    code, printed = call("explain", SCENES[0], "--model", f"hf:{folder}", *words)
    assert code == 0, printed
    assert '"red dog"' in printed
    (written,) = out.glob("*.npz")
    assert pysmdl.load(written).target["texts"] == [" red", " dog"]
