"""Models that answer a picture with words: what is scored equals a slow loop of each family's own pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from answer_models import FAMILIES, Family, gemma3, probabilities, vipllava, whisper
from PIL import Image

import pysmdl
from pysmdl.inputs import reader_of

from library_models import photograph

CLOSE = 1e-4  # of a probability
pytest.importorskip("transformers")


def own_answer(family: Family, picture: Any) -> list[int]:
    """What the family's own generate() gives, without what ends it."""
    given = family.given(Image.fromarray(picture))
    begins = {"decoder_input_ids": torch.tensor([family.decodes])} if family.decodes and family.prompt else {}
    with torch.no_grad():
        found = family.model.generate(**given, **begins, do_sample=False)[0].tolist()
    before = family.before(given)
    found = found[len(before) :] if found[: len(before)] == before else found
    while found and found[-1] in (0, 1, 2):
        found.pop()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_equals_its_own_pipeline(name):
    """Generated tokens, their probabilities on the whole photograph, and 20 subsets for baselines in both spaces."""
    family, photo = FAMILIES[name](), photograph()
    answer = own_answer(family, photo)
    spoken = [at for at, token in enumerate(answer) if token > 2]
    scorer = pysmdl.adapt(family.model, processor=family.processor, prompt=family.prompt)
    found = pysmdl.explain(photo, scorer, regions="grid:9", progress=False)
    assert found.target["ids"] == [answer[at] for at in spoken]
    given, black = (family.given(Image.fromarray(each)) for each in (photo, np.zeros_like(photo)))
    own = probabilities(family, given, answer)[spoken]
    np.testing.assert_allclose(found.reading["tokens"][1, 0], own.numpy(), atol=CLOSE)
    for baseline, absent in (("black", black), ("zero", None)):
        game = pysmdl.Game(photo, scorer, regions="grid:9", baseline=baseline)
        kept = np.random.default_rng(1).random((20, game.n_players)) < 0.5
        masked = [family.masked(given, row[game.labels], absent) for row in kept]
        slow = [float(probabilities(family, each, answer)[spoken].mean()) for each in masked]
        np.testing.assert_allclose(game(kept), slow, atol=CLOSE)
        assert np.ptp(slow) > 10 * CLOSE  # the model looks at what is masked


@pytest.mark.parametrize(
    ("name", "size"), [("LLaVA", (37, 53)), ("Qwen2.5-VL", (56, 84)), ("BLIP-2", (32, 32)), ("Florence-2", (32, 32))]
)
def test_the_picture_masked_and_given_to_the_processor_scores_the_same(name, size):
    """Of a size that the processor leaves as it is, so that nothing blends across the regions' borders."""
    family, photo = FAMILIES[name](), photograph(*size)
    answer = own_answer(family, photo)
    game = pysmdl.Game(photo, family.model, processor=family.processor, prompt=family.prompt, regions="grid:9")
    high, wide = game.labels.shape
    top, left = (size[0] - high) // 2, (size[1] - wide) // 2
    kept = np.random.default_rng(3).random((5, game.n_players)) < 0.5
    slow = []
    for row in kept:
        masked = photo.copy()
        masked[top : top + high, left : left + wide][~row[game.labels]] = 0
        slow.append(float(probabilities(family, family.given(Image.fromarray(masked)), answer).mean()))
    np.testing.assert_allclose(game(kept), slow, atol=CLOSE)


def test_qwens_patches_are_its_processors_to_the_bit():
    family = FAMILIES["Qwen2.5-VL"]()
    given = family.given(Image.fromarray(photograph()))
    scorer = pysmdl.adapt(family.model, processor=family.processor, prompt=family.prompt)
    x = scorer.input.view(photograph())[0]
    made = scorer.model.pictures(x[None].repeat(2, 1, 1, 1))
    assert torch.equal(made["pixel_values"], given["pixel_values"].repeat(2, 1))
    assert torch.equal(made["image_grid_thw"], given["image_grid_thw"].repeat(2, 1))


def test_pictures_of_other_shapes_share_batches_and_padding_is_no_part_of_them():
    """LLaVA-NeXT's: what regions divide is the photograph, resized; each row is told the shape of its own."""
    family = FAMILIES["LLaVA-NeXT"]()
    ours = pysmdl.adapt(family.model, processor=family.processor, prompt=family.prompt, answer="the red dog")
    photos = [photograph(64, 24), photograph(64, 27)]
    for photo in photos:
        seen = reader_of(photo).read(photo, ours.input, False).content
        resized = Image.fromarray(photo).resize(seen.shape[1::-1], Image.Resampling.BICUBIC)
        assert np.abs(seen.astype(int) - np.asarray(resized)).max() <= 1
    settings = {"regions": "grid:4", "search": "exact", "progress": False}
    together = pysmdl.explain_many([(photo, "dog") for photo in photos], ours, ordered=True, batch_size=16, **settings)
    for found, photo in zip(together, photos, strict=True):
        alone = pysmdl.explain(photo, ours, "dog", batch_size=1, **settings)
        np.testing.assert_allclose(found.insertion, alone.insertion, atol=1e-5)


def test_whisper_is_explained_on_its_own_features():
    """Spectrogram of a second of sound [1, mels, times]: the words that it hears, and 20 subsets by a slow loop."""
    model, processor = whisper()
    wave = np.sin(np.arange(16000) / (5 + np.arange(16000) / 4000)).astype(np.float32)
    heard = processor.feature_extractor(wave, sampling_rate=16000, return_tensors="pt")["input_features"]
    begins = torch.tensor([processor.tokenizer.prefix_tokens])
    answer = model.generate(heard, decoder_input_ids=begins, do_sample=False)[0].tolist()
    answer = [token for token in answer if 4 < token < 31]
    scorer = pysmdl.adapt(model, processor=processor)
    found = pysmdl.explain(heard, scorer, regions="grid:9", progress=False)
    assert found.target["ids"] == answer
    tokens = torch.cat((begins, torch.tensor([answer])), 1)
    for baseline, absent in (("black", -1.0), ("zero", 0.0)):
        game = pysmdl.Game(heard, scorer, regions="grid:9", baseline=baseline)
        kept = np.random.default_rng(1).random((20, game.n_players)) < 0.5
        slow = []
        for row in kept:
            shown = torch.where(torch.from_numpy(row[game.labels]), heard, absent)
            with torch.no_grad():
                p = model(input_features=shown, decoder_input_ids=tokens).logits[0].softmax(-1)
            slow.append(float(p[1 + torch.arange(len(answer)), torch.tensor(answer)].mean()))
        np.testing.assert_allclose(game(kept), slow, atol=CLOSE)


@pytest.mark.parametrize("name", ["LLaVA", "Qwen2.5-VL", "InternVL", "Idefics3"])
def test_a_prompt_may_hold_the_token_that_fills_shorter_ones(name):
    family = FAMILIES[name]()
    mark = family.asked.split("\n")[0]
    family.asked = f"a <pad> {mark} what <pad> is"
    scorer = pysmdl.adapt(family.model, processor=family.processor, prompt=family.asked)
    picture = photograph()
    said = scorer.speech.said(scorer.input.view(picture)[0], scorer.speech.opening([picture], None))
    assert list(said) == own_answer(family, picture)


@pytest.mark.parametrize("prompt", [None, "what is in the picture ?"])
def test_a_family_that_is_not_known_is_told_so_and_what_there_is(prompt):
    message = (
        r"VipLlavaForConditionalGeneration answers a picture with words in a form that is not known here, unlike "
        r".*InternVL, Llava, .*: give pysmdl\.scorers\.tokens a function"
    )
    with pytest.raises(ValueError, match=message):
        pysmdl.explain(photograph(), vipllava(), prompt=prompt, progress=False)


def test_a_processor_that_cuts_views_out_of_a_picture_is_refused():
    family = gemma3()
    family.processor.image_processor.do_pan_and_scan = True
    message = (
        r"Gemma3ForConditionalGeneration is explained by one view of a picture, but its processor cuts out more: set "
        r"processor\.image_processor\.do_pan_and_scan to False"
    )
    with pytest.raises(ValueError, match=message):
        pysmdl.adapt(family.model, processor=family.processor, prompt=family.prompt)


@pytest.mark.parametrize("name", ["Gemma 3", "PaliGemma", "Qwen3-VL"])
def test_what_needs_a_newer_transformers_is_told_so(name, monkeypatch):
    family = FAMILIES[name]()
    monkeypatch.setattr(pytest.importorskip("transformers"), "__version__", "4.57.1")
    kind = type(family.model).__name__
    with pytest.raises(ValueError, match=rf"{kind} needs transformers 5 or newer; got 4\.57\.1"):
        pysmdl.adapt(family.model, processor=family.processor, prompt=family.prompt)
