"""What corrects an answer, where the model speaks anew at each step: EAGLE's AMCR and CSR@10% by its own protocol."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from answer_models import QUESTION, llava
from language_models import byte_level, qwen3

import pysmdl
from pysmdl import metrics, scorers, studies
from pysmdl.metrics import Correction

from library_models import photograph

TALE = "The cat sat on the mat. A dog barked at night. Nobody came. Was it cold? So it was."


def test_what_is_never_corrected_counts_as_the_whole_area_and_as_a_failure():
    found = [Correction(0.08, ("no", "yes")), Correction(None, ("no",)), Correction(0.5, ("a", "yes"))]
    assert metrics.amcr(found) == pytest.approx((0.08 + 1 + 0.5) / 3)
    assert metrics.csr(found) == pytest.approx(1 / 3)
    assert metrics.csr(found, 1) == pytest.approx(2 / 3)
    assert metrics.amcr(found[0]) == 0.08
    assert metrics.csr(Correction(0.0, ("yes",))) == 1


def plain(answer):
    """Without characters of which a token has a part."""
    return answer.encode("ascii", "ignore")


@pytest.mark.parametrize("way", ["delete", "replace"])
def test_a_language_model_is_asked_anew_of_each_part_of_a_text(way):
    tokenizer, network = byte_level(), qwen3(seed=5)
    network.generation_config.max_new_tokens = 4
    scorer = scorers.language_model(network, tokenizer, answer=" night")
    counter = pysmdl.explain(TALE, scorer, players="sentences", search="exact", removal=way, progress=False)
    whole = tokenizer(TALE, return_offsets_mapping=True)
    ends = np.cumsum([len(each) for each in counter.players])
    of_token = [int(np.searchsorted(ends, start + (TALE[start] == " " and stop - start > 1), side="right"))
                for start, stop in whole["offset_mapping"]]  # fmt: skip
    said = []
    for j in range(counter.n, 0, -1):
        shown = np.isin(of_token, counter.order[:j])
        ids = np.array(whole["input_ids"])
        ids = ids[shown] if way == "delete" else np.where(shown, ids, tokenizer.mask_token_id)
        given = torch.from_numpy(ids[None])
        answer = network.generate(given, attention_mask=torch.ones_like(given), do_sample=False, max_new_tokens=4)
        said.append(tokenizer.decode(answer[0, len(ids) :], skip_special_tokens=True))
    never = studies.correction(counter, TALE, scorer, lambda answer: False)
    assert never.area is None
    assert [plain(each) for each in never.answers] == [plain(each) for each in said]
    right = studies.correction(counter, TALE, scorer, lambda answer: answer == never.answers[3])
    first = never.answers.index(never.answers[3])
    assert right.area == pytest.approx(1 - counter.area[counter.n - first], abs=1e-6)
    assert right.answers == never.answers[: first + 1]


def test_a_model_that_answers_a_picture_is_asked_anew_of_each_part_of_it():
    family = llava()
    scorer = pysmdl.adapt(family.model, processor=family.processor, prompt=QUESTION)
    counter = pysmdl.explain(photograph(), scorer, pysmdl.Answer(text="red dog"), regions="grid:9", progress=False)
    picture, black = scorer.input.view(photograph())[0].numpy(), scorer.input.black().numpy()
    said = [
        scorer.answer(torch.from_numpy(np.where(np.isin(counter.labels, counter.order[:j]), picture, black)).float())
        for j in range(9, 0, -1)
    ]
    last = said[-1]
    found = studies.correction(counter, photograph(), scorer, f" {last.upper()}!")
    first = said.index(last)
    assert found.answers == tuple(said[: first + 1])
    assert found.area == pytest.approx(first / 9, abs=1e-2)
    assert metrics.amcr([found, counter]) <= 1
    assert studies.correction(counter, photograph(), scorer, "no such thing") == Correction(None, tuple(said))


def test_of_an_order_that_was_cut_the_full_input_comes_first():
    scorer = scorers.language_model(qwen3(), byte_level(), answer=" night")
    counter = pysmdl.explain(TALE, scorer, players="sentences", k=2, progress=False)
    found = studies.correction(counter, TALE, scorer, lambda answer: False)
    assert len(found.answers) == 3
    assert studies.correction(counter, TALE, scorer, lambda answer: True).area == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scorer": scorers.string(lambda texts: [1.0] * len(texts))}, "scorer must answer in words.*got TextValue"),
        ({"given": "The cat."}, "given must be the text that was explained, of 83 characters; got 8"),
        ({"label": " .!"}, "label must be an answer in words, or a function of one"),
        ({"removal": "paint"}, "removal must be one of"),
        ({"removal": "token-drop"}, "removal must be one of texts"),
    ],
)
def test_a_walk_needs_what_was_explained_and_a_model_that_speaks(change, message):
    scorer = scorers.language_model(qwen3(), byte_level(), answer=" night")
    counter = pysmdl.explain(TALE, scorer, players="sentences", k=1, progress=False)
    given = {"explanation": counter, "given": TALE, "scorer": scorer, "label": "night", **change}
    with pytest.raises(ValueError, match=message):
        studies.correction(**given)
