"""What else is read off models that answer in words: heads, phrases and their boxes; and what they are not given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from answer_models import FAMILIES, QUESTION, llava

import pysmdl
from pysmdl import heads, scorers

from detection_models import grounding
from library_models import made, photograph

OTHER = "the red dog runs"
EXACT = {"regions": "grid:4", "search": "exact", "progress": False}
pytest.importorskip("transformers")


def scorer(**words):
    family = llava()
    return pysmdl.adapt(family.model, processor=family.processor, prompt=QUESTION, **words)


HEADS = {
    "log_sum": heads.sequence("log_sum"),
    "margin": heads.margin(),
    "jsd": heads.jsd(),
    "a function": lambda raw, reference, target: (raw - reference).abs().mean(1),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_of_an_answer_is_that_of_its_logits_as_a_function(name):
    head, family = HEADS[name], llava()
    ours = scorer(answer=OTHER, head=head)
    before = ours.speech.opening([photograph()], None).before
    answer = ours.speech.tokens_of(OTHER)

    def logits(batch):
        tokens = torch.tensor([[*before, *answer]]).expand(len(batch), -1)
        return family.model(input_ids=tokens, pixel_values=batch).logits[:, len(before) - 1 : -1]

    x = ours.input.view(photograph())[0]
    own = pysmdl.explain(x, scorers.tokens(logits, head=head), pysmdl.Tokens([1, 2], list(answer[1:3])), **EXACT)
    found = pysmdl.explain(photograph(), ours, "red dog", baseline="zero", **EXACT)
    np.testing.assert_array_equal(found.order, own.order)
    np.testing.assert_allclose(found.insertion, own.insertion, atol=1e-4)
    np.testing.assert_allclose(found.deletion, own.deletion, atol=1e-4)
    assert found.target["texts"] == [" red", " dog"]


@pytest.mark.parametrize("name", ["log_sum", "jsd"])
def test_heads_of_answers_of_many_lengths_share_batches(name):
    ours = scorer(head=HEADS[name])
    texts = ["dog", OTHER, None, "a red cat"]
    items = [(photograph(), pysmdl.Answer(text=text)) for text in texts]
    together = pysmdl.explain_many(items, ours, ordered=True, batch_size=16, **EXACT)
    for found, (image, target) in zip(together, items, strict=True):
        alone = pysmdl.explain(image, ours, target, batch_size=1, **EXACT)
        np.testing.assert_allclose(found.insertion, alone.insertion, atol=1e-4)
        np.testing.assert_allclose(found.deletion, alone.deletion, atol=1e-4)


def test_heads_are_for_classes_and_boxes_too():
    model, processor = made("ViT")
    ours = pysmdl.adapt(model, processor=processor, head=heads.margin())
    found = pysmdl.explain(photograph(), ours, **EXACT)
    with torch.no_grad():
        first, second = model(ours.input.view(photograph())[0][None]).logits[0].topk(2).values
    assert found.insertion[-1] == pytest.approx(float(first - second), abs=1e-5)
    dino, reads = grounding()
    assert pysmdl.adapt(dino, processor=reads, prompts=["a cat"], head=heads.log_odds()).head.name == "log_odds"
    with pytest.raises(TypeError, match="head must be callable"):
        scorer(head="margin")


def found_by(said):
    """Florence-2 asked for a phrase, of which the answer is given here."""
    family = FAMILIES["Florence-2"]()
    tokens = family.processor.tokenizer(said, add_special_tokens=False)["input_ids"]
    family.model.generate = lambda **given: torch.tensor([[2, *tokens, 2]])
    return scorers.grounding(family.model, family.processor, "the cat")


def test_a_phrase_is_explained_by_the_locations_of_its_box():
    ours = found_by("a dog <loc_1> <loc_2> <loc_3> <loc_4> the cat <loc_10> <loc_20> <loc_400> <loc_900>")
    assert ours.speech.prompt == "<CAPTION_TO_PHRASE_GROUNDING>the cat"
    found = pysmdl.explain(photograph(), ours, **EXACT)
    assert "".join(found.target["texts"]).split() == ["<loc_10>", "<loc_20>", "<loc_400>", "<loc_900>"]
    assert ours.boxes(photograph())[1].tokens.positions == tuple(found.target["positions"])
    word = pysmdl.explain(photograph(), ours, "dog", **EXACT)
    assert word.target["texts"] == [" dog"]
    other = pysmdl.explain(photograph(), found_by("one cat <loc_1> <loc_2> <loc_3> <loc_4>"), **EXACT)
    assert "".join(other.target["texts"]).split() == ["<loc_1>", "<loc_2>", "<loc_3>", "<loc_4>"]
    with pytest.raises(ValueError, match="finds no 'the cat' in the picture; its answer is 'a dog'"):
        pysmdl.explain(photograph(), found_by("a dog"), **EXACT)


def test_a_phrase_of_a_detector_is_its_surest_box():
    model, processor = grounding()
    ours = scorers.grounding(model, processor, "a dog")
    own = pysmdl.adapt(model, processor=processor, prompts=["a dog"])
    assert repr(ours) == repr(own)
    (first, *_) = own.detections(photograph(), 0.0)
    (same, *_) = ours.detections(photograph(), 0.0)
    assert same == first
    with pytest.raises(ValueError, match="LlavaForConditionalGeneration answers in words"):
        scorers.grounding(llava().model, llava().processor, "the cat")
    with pytest.raises(ValueError, match="phrase must be a text; got 3"):
        scorers.grounding(model, processor, 3)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("InternVL", (3, 224, 32), "sees tiles of a picture, so it must be given a picture, not a tensor"),
        ("Idefics3", (3, 320, 32), "sees tiles of a picture, so it must be given a picture, not a tensor"),
        ("Qwen2.5-VL", (3, 40, 40), "height and width must be multiples of 14; got 40 x 40"),
    ],
)
def test_a_tensor_that_is_no_input_of_a_family_is_refused(name, shape, message):
    family = FAMILIES[name]()
    ours = pysmdl.adapt(family.model, processor=family.processor, prompt=family.prompt)
    with pytest.raises(ValueError, match=message):
        pysmdl.explain(torch.rand(shape), ours, **EXACT)


def test_a_profile_says_that_flops_are_not_counted(caplog):
    caplog.set_level("INFO", logger="pysmdl")
    found = pysmdl.explain(photograph(), scorer(answer=OTHER), profile=True, **EXACT)
    assert "FLOPs not counted: LlavaForConditionalGeneration reads words beside its input" in caplog.text
    assert found.notes["profile"]["stages"]
