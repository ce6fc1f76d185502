"""Texts without some of their spans: a version of a text, host included, against one full forward pass for each."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from language_models import byte_level, qwen3

import pysmdl
from pysmdl import scorers, studies

from measuring import interleaved, over, seconds

RULES = " ".join(f"Rule {i}: say what is asked, {i} times." for i in range(60))
FACTS = " ".join(f"The key of the box number {i} is {i * 7}." for i in range(20))
LONG = RULES + " {} Which one?"
TALK = "The cat sat on the mat while a dog barked at night, and nobody came. " * 3
ANSWER = " 21."
EAGLE = {"players": "words", "objective": "eagle"}
EACH = {
    "exact, sentences": (LONG, FACTS, {"players": "sentences", "search": "exact", "k": 2}),
    "leave-one-out, sentences": (LONG, FACTS, {"players": "sentences", "search": "occlusion"}),
    "EAGLE 10/5/8, words": (None, TALK, {**EAGLE, "search": pysmdl.search.scoped(10, 5, 8)}),
    "EAGLE 8/10/4, words": (None, TALK, {**EAGLE, "search": pysmdl.search.scoped(8, 10, 4)}),
}


@cache
def scorer_of(prompt: str | None, reuse: bool = True) -> Any:
    return scorers.language_model(qwen3(), byte_level(), prompt=prompt, answer=ANSWER, reuse=reuse)


def explained(prompt: str | None, text: str, reuse: bool = True, **settings: Any) -> pysmdl.Explanation:
    return pysmdl.explain(text, scorer_of(prompt, reuse), progress=False, batch_size=16, **settings)


def whole(prompt: str | None, text: str) -> Any:
    """One plain forward pass of the text and its answer, logits at the answer alone."""
    said = byte_level()(ANSWER)["input_ids"]
    ids = torch.tensor([byte_level()((prompt or "{}").replace("{}", text))["input_ids"] + said[:-1]])

    def call() -> None:
        with torch.no_grad():
            qwen3()(ids, logits_to_keep=len(said), use_cache=False)

    return call


@pytest.mark.parametrize("way", ["delete", "replace", "attention"])
@pytest.mark.parametrize("name", EACH)
def test_versions_of_a_text(name, way, benchmark, report):
    prompt, text, settings = EACH[name]
    if "EAGLE" in name and way == "delete":
        pytest.skip("EAGLE replaces or hides")
    settings = {**settings, "removal": way}
    found, alone = (explained(prompt, text, reuse, **settings) for reuse in (True, False))
    assert np.array_equal(found.order, alone.order)
    for curve in ("insertion", "deletion"):
        np.testing.assert_allclose(getattr(found, curve), getattr(alone, curve), atol=1e-5)
    rows, call = found.evaluations, whole(prompt, text)
    bare, ours = interleaved(
        benchmark,
        lambda pair: seconds(call, 8),
        lambda pair: seconds(lambda: explained(prompt, text, **settings)) / rows,
    )
    tokens = [found.notes[each] / rows for each in ("tokens", "tokens_of_rows")]
    report(
        f"text: {name}, {way}", [1e3 * each for each in ours], over(ours, bare), unit="ms an evaluation",
        target="<= 0.5",
        parameters=f"Qwen3's class, 2 layers of 32, {rows} evaluations, {tokens[0]:.0f} of {tokens[1]:.0f} tokens run "
        "of each; over one full forward pass",
    )  # fmt: skip


@pytest.mark.parametrize("how", ["sections, then sentences", "a smaller model proposes"])
def test_leaving_one_sentence_out(how, benchmark, report):
    lines = "\n".join(f"Part {i} is here. The key of box {i} is {i * 7}. It ends with {i}." for i in range(20))
    scorer = scorer_of(LONG)
    # The smaller model: the first layer of the same one, as a distilled model would agree with it.
    proxy = scorers.language_model(first_layer(), byte_level(), prompt=LONG, answer=ANSWER)
    settings: dict[str, Any] = {"batch_size": 16}
    ways: dict[str, dict[str, Any]] = {
        "sections, then sentences": {"sections": "lines", "best": 2},
        "a smaller model proposes": {"proxy": proxy, "candidates": 6},
    }

    def plain() -> Any:
        return studies.leave_one_out(lines, scorer_of(LONG, False), best=20, **settings)

    full, found = plain(), studies.leave_one_out(lines, scorer, **ways[how], **settings)
    known = ~np.isnan(found.values)
    np.testing.assert_allclose(found.values[known], full.values[known], atol=1e-5)
    bare, ours = interleaved(
        benchmark,
        lambda pair: seconds(plain),
        lambda pair: seconds(lambda: studies.leave_one_out(lines, scorer, **ways[how], **settings)),
    )
    report(
        f"text: leave-one-out, {how}", ours, over(bare, ours), unit="s a text", target=">= 5.0",
        parameters=f"Qwen3's class, 2 layers of 32, {len(full.values)} sentences in 20 lines, {found.tokens} of "
        f"{full.tokens} tokens run, the costliest {'found' if full.order[0] == found.order[0] else 'missed'}; plain "
        "over ours",
    )  # fmt: skip


@cache
def first_layer() -> Any:
    """The same model without its second layer."""
    from copy import deepcopy

    small = deepcopy(qwen3())
    small.model.layers = small.model.layers[:1]
    small.config.num_hidden_layers = 1
    return small.eval()
