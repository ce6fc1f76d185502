"""A model that answers a picture with words: an evaluation against the model alone, and against the published way.

The published way (EAGLE's, and whoever follows the libraries' examples) hands each masked picture to the processor and
takes the model's logits at all positions.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from answer_models import QUESTION, SPECIAL, TEXT, VISION, WORDS, loud, tokenizer
from PIL import Image

import pysmdl
from pysmdl.explainer import Explainer
from pysmdl.scorers.answer_places import told_of

from library_models import processor_of
from measuring import DEVICE, interleaved, over, picture, seconds

N, SIDE, PATCH, VOCABULARY, ROWS = 49, 336, 14, 32_000, 8
ANSWER = "the cat sits on the red mat"
SUBSETS = 24


@cache
def llava() -> tuple[Any, Any]:
    """LLaVA's class with as many words and picture tokens as the published one, and small otherwise."""
    transformers = pytest.importorskip("transformers")
    known = len(SPECIAL) + len(WORDS)
    words = tokenizer(tuple(f"word{i}" for i in range(VOCABULARY - known)))
    small = {"hidden_size": 64, "intermediate_size": 128}
    text = transformers.LlamaConfig(**{**TEXT, **small, "vocab_size": VOCABULARY})
    vision = transformers.CLIPVisionConfig(**{**VISION, **small}, image_size=SIDE, patch_size=PATCH)
    config = transformers.LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=4, vision_feature_layer=-1
    )
    model = loud(transformers.LlavaForConditionalGeneration, config).to(DEVICE).requires_grad_(False)
    images = processor_of("CLIP", size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    chosen = {"vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    return model, transformers.LlavaProcessor(images, words, patch_size=PATCH, **chosen)


def published(explainer: Explainer, image: np.ndarray, labels: np.ndarray, member: np.ndarray) -> list[float]:
    """The word's probability with each subset shown: processor, model, logits at all positions, one by one."""
    model, processor = llava()
    words = processor.tokenizer
    answer = words(ANSWER, add_special_tokens=False)["input_ids"]
    at = ANSWER.split().index("cat")
    found = []
    for row in member:
        masked = Image.fromarray(image * row[labels][:, :, None])
        given = processor(images=masked, text=[f"<image>\n{QUESTION}"], return_tensors="pt").to(DEVICE)
        before = given["input_ids"].shape[1]
        given["input_ids"] = torch.cat((given["input_ids"], torch.tensor([answer], device=DEVICE)), 1)
        given["attention_mask"] = torch.ones_like(given["input_ids"])
        with torch.no_grad():
            logits = model(**given).logits
        found.append(float(logits[0].float().softmax(-1)[before + at - 1, answer[at]]))
    return found


def test_an_answer_against_the_model_alone_and_the_published_way(benchmark, report):
    model, processor = llava()
    scorer = pysmdl.adapt(model, processor=processor, prompt=QUESTION, answer=ANSWER)
    explainer = Explainer(scorer, regions=f"grid:{N}", batch_size=ROWS)
    rng = np.random.default_rng(0)
    member = rng.random((SUBSETS, N)) < 0.5
    held: list[int] = []
    hook = model.lm_head.register_forward_hook(lambda module, given, logits: held.append(logits[0].numel()))
    item = explainer.prepare((picture(0, SIDE), "cat"))
    found, _ = explainer.scores(item, member)
    hook.remove()
    whole = (len(item.target) - 4 - 2) * VOCABULARY
    np.testing.assert_allclose(found, published(explainer, picture(0, SIDE), item.regions.labels, member), rtol=1e-3)

    told, _ = told_of(torch.from_numpy(scorer.stack([item.target] * ROWS)).to(DEVICE))
    given = {"input_ids": told.tokens, "use_cache": False, "logits_to_keep": told.at[0]}
    bare: list[float] = []
    slow: list[float] = []

    def alone(x: torch.Tensor) -> None:
        """The model by itself on as many rows, its own head on one of their places."""
        with torch.no_grad():
            model(pixel_values=x, **given)

    def measured(pair: int) -> float:
        """Seconds an evaluation, batch by batch beside the model alone, and one candidate the published way: of each
        the fastest, which other programs disturbed least.
        """
        image, spent = picture(1 + pair, SIDE), []
        fresh, x = explainer.prepare((image, "cat")), torch.randn(ROWS, 3, SIDE, SIDE, device=DEVICE)
        for part in np.split(member, SUBSETS // ROWS):
            engine = seconds(lambda: explainer.scores(fresh, part))  # noqa: B023
            one = seconds(lambda: published(explainer, image, item.regions.labels, part[:1]))  # noqa: B023
            spent.append((seconds(lambda: alone(x)) / ROWS, engine / ROWS, one))
        own, ours, theirs = np.min(spent, axis=0)
        bare.append(own)
        slow.append(theirs)
        return float(ours)

    _, engine = interleaved(benchmark, lambda i: 0.0, measured)
    bare, slow = bare[-len(engine) :], slow[-len(engine) :]
    tokens = (SIDE // PATCH) ** 2
    parameters = f"LLaVA's class, {VOCABULARY // 1000}k words, {tokens} picture tokens, 2 + 2 layers of 64, N = {N}"
    times = [1e3 * t for t in engine]
    report("mllm: an evaluation over the model's own", times, over(engine, bare), unit="ms / evaluation",
           target="<= 1.10", parameters=f"{parameters}, batch {ROWS}, head on the word's row")  # fmt: skip
    report("mllm: the published way over an evaluation", [1e3 * t for t in slow], over(slow, engine),
           unit="ms / evaluation", target=">= 5.0",
           parameters=f"{parameters}; processor and all logits for each candidate")  # fmt: skip
    report("mllm: logits held over those of all positions", [4e-6 * max(held)], [max(held) / whole], unit="MB / row",
           target="<= 0.01", parameters=f"{parameters}, one word explained")  # fmt: skip


def dropping(answer: list[int], at: int, states: torch.Tensor, visual: torch.Tensor, shown: np.ndarray) -> float:
    """A token's probability where picture tokens are really left out: one sequence, through the model itself."""
    model, _ = llava()
    keep = ~visual
    keep[visual] = torch.from_numpy(shown).to(keep.device)
    with torch.no_grad():
        logits = model(inputs_embeds=states[:, keep], use_cache=False).logits[0, at - len(answer) - 1]
    return float(logits.float().softmax(-1)[answer[at]])


def really_dropped(image: np.ndarray, labels: np.ndarray, member: np.ndarray) -> list[float]:
    """The word's probability for each subset, the parity gate: what the model gives its language model, cut by hand."""
    model, processor = llava()
    given = processor(images=Image.fromarray(image), text=[f"<image>\n{QUESTION}"], return_tensors="pt").to(DEVICE)
    answer = processor.tokenizer(ANSWER, add_special_tokens=False)["input_ids"]
    given["input_ids"] = torch.cat((given["input_ids"], torch.tensor([answer], device=DEVICE)), 1)
    given["attention_mask"] = torch.ones_like(given["input_ids"])
    held: dict[str, torch.Tensor] = {}
    hook = model.model.language_model.register_forward_pre_hook(
        lambda module, args, words: held.update(states=words["inputs_embeds"]), with_kwargs=True
    )
    with torch.no_grad():
        model(**given)
    hook.remove()
    visual, of_token = given["input_ids"][0] == model.config.image_token_id, labels[::PATCH, ::PATCH].ravel()
    at = ANSWER.split().index("cat")
    return [dropping(answer, at, held["states"], visual, row[of_token]) for row in member]


def test_tokens_left_out_against_pictures_painted_over(benchmark, report):
    model, processor = llava()
    scorer = pysmdl.adapt(model, processor=processor, prompt=QUESTION, answer=ANSWER)
    ways = {name: Explainer(scorer, regions=f"grid:{N}", removal=name) for name in ("baseline", "token-drop")}
    half = np.random.default_rng(0).random((SUBSETS, N)) < 0.5
    member = np.concatenate((half, ~half))  # as a search asks: what is kept, and what is removed
    item = ways["token-drop"].prepare((picture(0, SIDE), "cat"))
    found, _ = ways["token-drop"].scores(item, member)
    np.testing.assert_allclose(found, really_dropped(picture(0, SIDE), item.regions.labels, member), rtol=1e-3)
    spent: dict[str, list[float]] = {name: [] for name in ways}

    def measured(name: str, pair: int) -> float:
        """Seconds an evaluation, the vision tower's one pass for the input included."""
        fresh = picture(1 + pair, SIDE)
        spent[name].append(seconds(lambda: ways[name].scores(ways[name].prepare((fresh, "cat")), member)) / len(member))
        return spent[name][-1]

    painted, left = interleaved(benchmark, lambda i: measured("baseline", i), lambda i: measured("token-drop", i), 2)
    report("mllm: evaluations by dropped tokens over painted ones", [1e3 * t for t in left], over(painted, left),
           unit="ms / evaluation", target=">= 2.0",
           parameters=f"LLaVA's class, {(SIDE // PATCH) ** 2} picture tokens, 2 + 2 layers of 64, N = {N}, halves and "
           "their complements, the picture's own pass included")  # fmt: skip
