"""Several pictures in one prompt, by name: what is scored equals a slow loop of each family's own model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from answer_models import FAMILIES, QUESTION, probabilities
from dropped_tokens import SIDES, dropped, shown_tokens, whole
from PIL import Image

import pysmdl
from pysmdl import heads

from library_models import photograph

pytest.importorskip("transformers")
CLOSE = {"rtol": 1e-3, "atol": 1e-7}
ANSWER = "the red dog"
LEFT, RIGHT = photograph(64, 96), photograph(96, 64)[::-1].copy()
MARKS = {"Qwen2.5-VL": "<|image_pad|>", "Qwen3-VL": "<|image_pad|>", "InternVL": "<IMG_CONTEXT>",
         "Mistral 3": "[IMG]", "GLM-4.1V": "<|image|>", "Gemma 3": "<start_of_image>"}  # fmt: skip
NAMES = [
    "LLaVA",
    "Qwen2.5-VL",
    "Qwen3-VL",
    "GLM-4.1V",
    "InternVL",
    "Aya Vision",
    "Idefics3",
    "Mistral 3",
    "Gemma 3",
    "PaliGemma 2",
]


def asking(name):
    """A family whose prompt has two pictures, its scorer, and the answer's tokens."""
    family = FAMILIES[name]()
    mark = MARKS.get(name, "<image>")
    family.asked = f"a {mark} on the {mark} what is here ?"
    ours = pysmdl.adapt(family.model, processor=family.processor, prompt=family.asked, answer=ANSWER)
    return family, ours, family.processor.tokenizer(ANSWER, add_special_tokens=False)["input_ids"]


class Quarters:
    """Two by two regions of each picture as the model sees it, which are remembered."""

    def __init__(self):
        self.labels = []

    def __call__(self, pixels):
        high, wide = pixels.shape[:2]
        self.labels.append(np.add.outer(np.arange(high) * 2 // high * 2, np.arange(wide) * 2 // wide))
        return self.labels[-1]


def shown(row, labels):
    """Where each picture is shown, by a row of kept players."""
    return row[:4][labels[0]], row[4:][labels[1]]


def subsets(count):
    kept = np.random.default_rng(4).random((count, 8)) < 0.5
    kept[:3] = [[True] * 8, [True] * 4 + [False] * 4, [False] * 8]
    return kept


@pytest.mark.slow
@pytest.mark.parametrize("name", [*NAMES, "LLaVA-NeXT"])
def test_points_of_several_pictures_are_painted_over(name):
    family, ours, answer = asking(name)
    quarters = Quarters()
    both = {"left": LEFT, "right": photograph(32, 96) if name == "LLaVA-NeXT" else RIGHT}  # of fewer tiles
    game = pysmdl.Game(both, ours, players={"left": quarters, "right": quarters})
    pictures = [Image.fromarray(each) for each in both.values()]
    given = family.given(pictures)
    one = FAMILIES[name]()
    black = [Image.fromarray(np.zeros_like(each)) for each in both.values()]
    apart = [(one.given(picture), one.given(dark)) for picture, dark in zip(pictures, black, strict=True)]
    kept, slow = subsets(8), []
    for row in kept:
        where = shown(row, quarters.labels)
        values = [family.masked(own, at, dark)["pixel_values"] for (own, dark), at in zip(apart, where, strict=True)]
        if name == "Mistral 3":
            values = [torch.nn.functional.pad(each, (0, 96 - each.shape[3], 0, 96 - each.shape[2])) for each in values]
        if name == "LLaVA-NeXT":
            most = given["pixel_values"].shape[1]
            values = [torch.nn.functional.pad(each, (0, 0) * 3 + (0, most - each.shape[1])) for each in values]
        masked = {**given, "pixel_values": torch.cat(values, int(name == "Idefics3"))}
        slow.append(float(probabilities(family, masked, answer).mean()))
    np.testing.assert_allclose(game(kept), slow, **CLOSE)
    assert abs(slow[0] - slow[1]) > 0.01 * slow[0]  # it looks at the second, too
    own = family.model.generate(**given, do_sample=False)[0].tolist()[len(given["input_ids"][0]) :]
    assert ours.answer(both) == family.processor.tokenizer.decode(own)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_tokens_of_several_pictures_are_left_out(name):
    family, ours, answer = asking(name)
    quarters = Quarters()
    both = {"left": LEFT, "right": RIGHT}
    game = pysmdl.Game(both, ours, players={"left": quarters, "right": quarters}, removal="token-drop")
    own = whole(family, answer, [Image.fromarray(each) for each in both.values()])
    side, kept = SIDES[name], subsets(8)
    each = [len(labels) * labels.shape[1] // side**2 for labels in quarters.labels]
    if name in ("InternVL", "Aya Vision", "Idefics3"):
        each = [count + (32 // side) ** 2 for count in each]  # a small view of all
    assert sum(each) == int(own[1].sum())
    slow = []
    for row in kept:
        where = [shown_tokens(at, side, n) for at, n in zip(shown(row, quarters.labels), each, strict=True)]
        slow.append(dropped(family, own, answer, np.concatenate(where)))
    np.testing.assert_allclose(game(kept), slow, **CLOSE)
    assert abs(slow[0] - slow[1]) > 0.01 * slow[0]


@pytest.mark.parametrize("head", [None, heads.jsd()])
@pytest.mark.parametrize(
    ("name", "removal"), [("Qwen3-VL", "baseline"), ("Qwen3-VL", "token-drop"), ("LLaVA-NeXT", "baseline")]
)
def test_rows_of_several_pictures_share_batches(name, removal, head):
    family, mark = FAMILIES[name](), MARKS.get(name, "<image>")
    ours = pysmdl.adapt(family.model, processor=family.processor, prompt="what", head=head)
    prompts = [f"what {mark} is {mark} here", f"is the {mark} cat {mark} on the mat"]
    pairs = [{"a": LEFT, "b": RIGHT}, {"a": RIGHT, "b": LEFT}]
    items = [
        (pair, pysmdl.Answer(text=text, prompt=prompt))
        for pair, text, prompt in zip(pairs, ["dog", "the red dog runs"], prompts, strict=True)
    ]
    settings = {"removal": removal, "players": {"a": "grid:2", "b": "grid:2"}, "search": "exact", "progress": False}
    together = pysmdl.explain_many(items, ours, ordered=True, batch_size=16, **settings)
    for found, (pair, target) in zip(together, items, strict=True):
        alone = pysmdl.explain(pair, ours, target, batch_size=1, **settings)
        np.testing.assert_allclose(found.insertion, alone.insertion, atol=1e-5)
        np.testing.assert_allclose(found.deletion, alone.deletion, atol=1e-5)


@pytest.mark.parametrize("removal", ["baseline", "token-drop"])
def test_a_picture_may_stay_as_it_is(removal):
    _, ours, _ = asking("Qwen3-VL")
    both = {"left": LEFT, "right": RIGHT}
    all_of_them = pysmdl.Game(both, ours, "dog", players={"left": "grid:4", "right": "grid:4"}, removal=removal)
    one = pysmdl.Game(both, ours, "dog", players={"left": "shown", "right": "grid:4"}, removal=removal)
    kept = np.array([[i >> j & 1 for j in range(4)] for i in range(16)], bool)
    np.testing.assert_allclose(one(kept), all_of_them(np.hstack((np.ones_like(kept), kept))), atol=1e-6)
    found = pysmdl.explain(both, ours, "dog", players={"left": "shown", "right": "grid:4"}, progress=False)
    assert found.players == tuple(f"right: {i}" for i in range(4))
    assert (found.part("left").labels == -1).all()


def test_what_is_said_of_a_part_of_several_pictures():
    family, ours, _ = asking("Gemma 3")
    both = {"left": LEFT, "right": RIGHT}
    dark = ours.answer(both, kept={"right": np.zeros((32, 32), bool)})
    black = [Image.fromarray(each) for each in (LEFT, np.zeros_like(RIGHT))]
    given = family.given(black)
    own = family.model.generate(**given, do_sample=False)[0].tolist()[len(given["input_ids"][0]) :]
    assert dark == family.processor.tokenizer.decode(own) != ours.answer(both)
    with pytest.raises(ValueError, match=r"kept of several images is given by name, of left, right; got \{'up': 1\}"):
        ours.answer(both, kept={"up": 1})


def refused(name, given, message, **words):
    family = FAMILIES[name]()
    said = {"prompt": QUESTION, "answer": ANSWER, "progress": False, **words}
    with pytest.raises(ValueError, match=message):
        pysmdl.explain(given, family.model, processor=family.processor, **said)


def test_what_several_pictures_need_is_said():
    both = {"left": LEFT, "right": RIGHT}
    refused(
        "LLaVA-OneVision", both,
        r"LlavaOnevisionForConditionalGeneration is given one picture; got 2, left, right: several are read here by "
        r"LLaVA, LLaVA-NeXT, Qwen-VL, GLM-4.1V, InternVL, Aya Vision, Idefics3, SmolVLM, Mistral 3, Gemma 3 "
        r"and PaliGemma",
    )  # fmt: skip
    refused(
        "LLaVA", {"left": LEFT, "what": "a text"},
        r"LlavaForConditionalGeneration is given pictures, and a text as its prompt=; input 'what' is a text",
    )  # fmt: skip
    count = (
        r"prompt must have an image token <image> for each picture, of which there {}; it has 2: several pictures are "
        r"given by name, \{{\"left\": image, \"right\": image\}}, in the order in which the prompt has them"
    )
    refused("LLaVA", LEFT, count.format("is 1"), prompt="a <image> <image>")
    refused("Qwen3-VL", both, r"players of several inputs must be of one of them; all are 'shown': left, right",
            players={"left": "shown", "right": "shown"})  # fmt: skip
    touching = (
        r"prompt must have something between its 2 image tokens, as Qwen3VLForConditionalGeneration takes pictures "
        r"that touch for one"
    )
    refused("Qwen3-VL", both, touching, prompt="<|image_pad|> <|image_pad|> what")
    listed = (
        r"LlavaForConditionalGeneration is given a picture, or several by name, \{'left': image, 'right': image\}; got "
        r"a list of them, which is a clip's frames"
    )
    refused("LLaVA", [LEFT, LEFT], listed, regions="grid:4")
    three = {**both, "more": LEFT}
    refused("LLaVA", three, count.format("are 3"), prompt="a <image> <image>")
