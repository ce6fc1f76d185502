"""Visual tokens left out of what a language model reads, against really leaving them out, one subset at a time."""

from __future__ import annotations

import numpy as np
import pytest
from answer_models import FAMILIES, QUESTION, llava, llava_of_siglip
from dropped_tokens import SIDES, dropped, shown_tokens, whole

import pysmdl
from pysmdl import heads
from pysmdl.errors import ScorerError
from pysmdl.models import visual_tokens
from pysmdl.models.visual_tokens import alike

from library_models import photograph

pytest.importorskip("transformers")
CLOSE = 1e-4


@pytest.mark.parametrize("name", ["LLaVA", "Qwen2.5-VL", "Qwen3-VL"])
def test_a_long_text_before_the_picture_is_read_once_for_a_batch(name, monkeypatch):
    """Beside what it scores where each row reads it; at a prompt's end too, where nothing of a picture may be left."""
    family, lengths = FAMILIES[name](), []
    mark = "<image>" if name == "LLaVA" else "<|image_pad|>"
    for prompt in (f"the cat sits on the mat {mark} what is here", f"the cat sits on the mat {mark}"):
        ours = pysmdl.adapt(family.model, processor=family.processor, prompt=prompt, answer="the red dog")
        game = pysmdl.Game(photograph(), ours, regions="grid:4", removal="token-drop")
        kept = np.array([[i >> j & 1 for j in range(4)] for i in range(16)], bool)
        own = game(kept)
        monkeypatch.setattr(visual_tokens, "SHARED", 1)
        hook = family.model.model.language_model.register_forward_pre_hook(
            lambda _, args, words: lengths.append(words["inputs_embeds"].shape[:2]), with_kwargs=True
        )
        again = pysmdl.Game(photograph(), ours, regions="grid:4", removal="token-drop")
        np.testing.assert_allclose(again(kept), own, atol=1e-6)
        assert np.ptp(own) > 1e-5
        hook.remove()
        monkeypatch.undo()
    assert any(rows == 1 and 5 <= length <= 6 for rows, length in lengths)


def test_a_text_is_read_by_each_row_where_layers_keep_a_state(monkeypatch):
    """As Qwen3.5's of linear attention, which go on from a state by one token at a time."""
    monkeypatch.setattr(visual_tokens, "SHARED", 1)
    family, answer = FAMILIES["Qwen3.5"](), "the red dog"
    family.asked = "the cat sits on the mat <|image_pad|> what is here"
    ours = pysmdl.adapt(family.model, processor=family.processor, prompt=family.asked, answer=answer)
    game = pysmdl.Game(photograph(), ours, regions="grid:4", removal="token-drop")
    kept = np.array([[i >> j & 1 for j in range(4)] for i in range(16)], bool)
    tokens = family.processor.tokenizer(answer, add_special_tokens=False)["input_ids"]
    own = whole(family, tokens)
    slow = [dropped(family, own, tokens, shown_tokens(row[game.labels], 14, int(own[1].sum()))) for row in kept]
    np.testing.assert_allclose(game(kept), slow, atol=CLOSE)
    assert np.ptp(slow) > 10 * CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("name", SIDES)
def test_tokens_left_out_score_as_a_sequence_without_them(name):
    family = FAMILIES[name]()
    scorer = pysmdl.adapt(family.model, processor=family.processor, prompt=family.prompt)
    answer = list(scorer.speech.said(scorer.input.view(photograph())[0], scorer.speech.opening([photograph()], None)))
    game = pysmdl.Game(photograph(), scorer, regions="grid:9", removal="token-drop")
    kept = np.random.default_rng(2).random((20, game.n_players)) < 0.5
    kept[:2] = [[False], [True]]
    own = whole(family, answer)
    slow = [
        dropped(family, own, answer, shown_tokens(row[game.labels], SIDES[name], int(own[1].sum()))) for row in kept
    ]
    np.testing.assert_allclose(game(kept), slow, atol=CLOSE)
    assert np.ptp(slow) > 10 * CLOSE
    masked = pysmdl.Game(photograph(), scorer, regions=game.labels)
    assert masked(kept[1:2]) == pytest.approx(game(kept[1:2]), abs=CLOSE)  # of which nothing is left out


def test_a_tower_may_see_nothing_of_a_pictures_last_points():
    """As SigLIP's of 384 points in patches of 14: they are of no token, and go with the nearest."""
    family, answer = llava_of_siglip(), "the red dog"
    ours = pysmdl.adapt(family.model, processor=family.processor, prompt=QUESTION, answer=answer)
    game = pysmdl.Game(photograph(), ours, regions="grid:4", removal="token-drop")
    assert game.labels.shape == (36, 36)
    kept = np.array([[i >> j & 1 for j in range(4)] for i in range(16)], bool)
    tokens = family.processor.tokenizer(answer, add_special_tokens=False)["input_ids"]
    own = whole(family, tokens)
    slow = [dropped(family, own, tokens, row[game.labels[:32, :32]][4::8, 4::8].ravel()) for row in kept]
    np.testing.assert_allclose(game(kept), slow, atol=CLOSE)
    assert np.ptp(slow) > 10 * CLOSE


def test_an_answer_that_would_follow_on_nothing_is_refused():
    family = FAMILIES["Qwen2.5-VL"]()
    ours = pysmdl.adapt(family.model, processor=family.processor, prompt="<|image_pad|>", answer="the red dog")
    with pytest.raises(ScorerError, match="put a word into the prompt"):
        pysmdl.explain(photograph(), ours, removal="token-drop", regions="grid:4", progress=False)


def scorer(**words):
    family = llava()
    return pysmdl.adapt(family.model, **{"processor": family.processor, "prompt": QUESTION, **words})


def test_the_vision_tower_runs_once_for_an_input():
    ours, calls = scorer(answer="the red dog"), []
    ours.model.network.model.vision_tower.register_forward_hook(lambda *_: calls.append(1))
    found = pysmdl.explain(photograph(), ours, "dog", removal="token-drop", regions="grid:9", progress=False)
    assert len(calls) == 1
    assert found.notes["removal"] == "token-drop"
    assert found.target["texts"] == [" dog"]


@pytest.mark.parametrize("head", [None, heads.jsd()])
@pytest.mark.parametrize("name", ["LLaVA", "Qwen2.5-VL", "Qwen3-VL", "Gemma 3", "PaliGemma 2"])
def test_rows_of_several_inputs_share_batches(name, head):
    family = FAMILIES[name]()
    ours = pysmdl.adapt(family.model, processor=family.processor, prompt=family.prompt, head=head)
    asked = ["what", "is the cat on the mat here ?", QUESTION]
    texts = ["dog", "the red dog runs", None]
    targets = [pysmdl.Answer(text=text, prompt=prompt) for text, prompt in zip(texts, asked, strict=True)]
    items = [(photograph(), target) for target in targets]
    settings = {"removal": "token-drop", "regions": "grid:4", "progress": False, "search": "exact"}
    together = pysmdl.explain_many(items, ours, ordered=True, batch_size=16, **settings)
    for found, (image, target) in zip(together, items, strict=True):
        alone = pysmdl.explain(image, ours, target, batch_size=1, **settings)
        np.testing.assert_allclose(found.insertion, alone.insertion, atol=1e-5)
        np.testing.assert_allclose(found.deletion, alone.deletion, atol=1e-5)


def test_rows_of_like_length_go_together():
    assert alike([10, 40, 9, 39, 31, 29]) == [([1, 3, 4], 40), ([5], 29), ([0, 2], 10)]


def test_where_tokens_are_of_no_place_they_cannot_be_dropped():
    family = FAMILIES["BLIP-2"]()
    ours = pysmdl.adapt(family.model, processor=family.processor, prompt=QUESTION)
    with pytest.raises(
        ValueError, match=r"token dropping needs visual tokens .*; of Blip2ForConditionalGeneration none are known"
    ):
        pysmdl.explain(photograph(), ours, removal="token-drop", progress=False)


def test_regions_that_cut_a_token_apart_are_refused():
    labels = np.repeat(np.arange(32)[None] // 4, 32, 0)
    with pytest.raises(ValueError, match="regions must be constant within 8x8 points"):
        pysmdl.explain(photograph(), scorer(), removal="token-drop", regions=labels, progress=False)
