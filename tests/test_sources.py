"""What answers stand on: planted facts are found, sources are as few as can be, sentences lean on earlier ones."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from language_models import byte_level, gpt2, qwen3
from planted_facts import prompts, text_of, trained, words

import pysmdl
from pysmdl import heads, methods, scorers, studies

TALE = "The cat sat on the mat. A dog barked at night. Dr. Smith met J. Doe. Was it cold?"


def facts(text):
    """Sentences of three words; the question is always shown."""
    found = [0, *(i + 2 for i in range(len(text)) if text.startswith(". ", i))]
    return list(itertools.pairwise(found))


@pytest.mark.slow
def test_the_sentence_with_the_key_comes_first_for_every_head_and_search():
    model, right = trained()
    assert right > 0.99
    ids, where = prompts(np.random.default_rng(7), 100)
    texts = [text_of(each) for each in ids]
    answers = [text_of(each[3 * at + 1 : 3 * at + 2]) for each, at in zip(ids, where, strict=True)]
    for head, search in (
        (heads.jsd("arc"), "occlusion"), (heads.jsd(), "occlusion"), (heads.sequence("log_sum"), "occlusion"),
        (None, "exact"), (None, "guided"), (heads.jsd(), "exact"), (None, methods.reagent(keep=1, steps=64, batch=32)),
    ):  # fmt: skip
        scorer = scorers.language_model(model, words(), head=head)
        items = [
            {"image": text, "target": pysmdl.Answer(text=answer), "players": facts(text)}
            for text, answer in zip(texts, answers, strict=True)
        ]
        found = pysmdl.explain_many(items, scorer, search=search, progress=False)
        first = {each.index: each.order[0] for each in found}
        assert sum(first[i] == at for i, at in enumerate(where)) >= 95
    minimal = studies.minimal_sources(texts[0], scorers.language_model(model, words()), pysmdl.Answer(text=answers[0]),
                                      players=facts(texts[0]), within=0.1)  # fmt: skip
    assert minimal.players == (where[0],)
    assert minimal.necessity > 0.5


def test_a_suppression_matrix_is_what_a_plain_forward_pass_says():
    tokenizer, network = byte_level(), qwen3()
    scorer = scorers.language_model(network, tokenizer)
    found = studies.suppression_matrix(TALE, scorer)
    assert next(name.strip() for name in found.names) == "The cat sat on the mat."
    coded = tokenizer(TALE, return_offsets_mapping=True)
    ids = torch.tensor([coded["input_ids"]])
    ends = np.cumsum([len(name) for name in found.names])
    of_token = np.array([np.searchsorted(ends, start + (TALE[start] == " " and stop - start > 1), side="right")
                         for start, stop in coded["offset_mapping"]])  # fmt: skip

    def log_p(mask=None):
        with torch.no_grad():
            given = {} if mask is None else {"attention_mask": torch.from_numpy(mask[None]).long()}
            places = torch.arange(ids.shape[1])[None]
            return (network(ids, position_ids=places, **given).logits[0].double() / 0.6).log_softmax(1)

    whole = log_p()
    for j in range(3):
        apart = (whole.exp() * (whole - log_p(of_token != j))).sum(1)
        logs = (apart.clamp(min=0) + 1e-9).log().numpy()
        for i in range(4):
            if i > j:
                assert found.matrix[i, j] == pytest.approx(logs[of_token == i].mean(), abs=2e-3)
            else:
                assert np.isnan(found.matrix[i, j])
    assert found.tokens < 5 * ids.shape[1]  # keys and values, the whole text, and what follows on each
    assert found.importance()[:3] == pytest.approx(np.nanmean(found.matrix[:, :3], 0))
    assert np.isnan(found.importance()[3])


def test_minimal_sources_are_enough_and_none_can_be_spared():
    scorer = scorers.string(lambda texts: [float("red" in text and "box" in text) for text in texts])
    found = studies.minimal_sources("It is late. The key is red. Nobody came. A box is there. So?", scorer)
    assert found.players == (1, 3)
    assert found.text == "The key is red. A box is there. "
    assert (found.sufficiency, found.necessity) == (1, 1)
    assert found.words == 8
    assert found.characters == len(found.text)


def test_sections_and_a_smaller_model_spare_evaluations():
    lines = [f"Chapter {i} begins. Nothing is said. It ends." for i in range(6)]
    lines[4] = "Chapter 4 begins. The key is red. It ends."
    text = "\n".join(lines)
    scorer = scorers.string(lambda texts: [10.0 * ("key" in text) + text.count("begins") for text in texts])
    full = studies.leave_one_out(text, scorer, best=6)
    found = studies.leave_one_out(text, scorer, best=1)
    assert full.order[0] == found.order[0] == 13
    assert len(found.order) == 3
    assert found.evaluations < full.evaluations
    assert np.nanmax(np.abs(full.values - found.values)) == 0
    small = scorers.string(lambda texts: [float("key" in text) for text in texts])
    proposed = studies.leave_one_out(text, scorer, proxy=small, candidates=2)
    assert proposed.order[0] == 13
    assert proposed.evaluations == 4
    assert proposed.proposed > 6


def test_sections_run_fewer_tokens():
    lines = "\n".join(f"Part {i} begins. The key is {i}. It ends." for i in range(8))
    full, found = (
        studies.leave_one_out(lines, scorers.language_model(qwen3(), byte_level(), answer=" A", reuse=reuse), best=best)
        for reuse, best in ((False, 8), (True, 1))
    )
    assert found.tokens < full.tokens / 2
    known = ~np.isnan(found.values)
    assert found.values[known] == pytest.approx(full.values[known], abs=1e-5)
    assert studies.leave_one_out("It is. So.", scorers.string(lambda texts: [1.0] * len(texts))).tokens == 0


def test_relevance_is_the_overlap_of_what_may_follow():
    """Against a plain forward pass of the text and the answer, and an own sum of overlaps."""
    tokenizer, network = byte_level(), gpt2()
    scorer = scorers.language_model(network, tokenizer, answer=" It is red.")
    found = studies.ranking_relevance(TALE, scorer, k=10)
    ids, answer = (tokenizer(each)["input_ids"] for each in (TALE, " It is red."))
    with torch.no_grad():
        logits = network(input_ids=torch.tensor([ids + answer])).logits[0]
    first = [each.topk(10).indices.tolist() for each in logits]
    assert found.matrix.shape == (len(ids), len(answer)) == (len(found.names), len(answer))
    for j, t in itertools.product((0, 3, len(ids) - 1), range(len(answer))):
        one, other = first[j], first[len(ids) - 1 + t]
        shares = [len({*one[:d]} & {*other[:d]}) / d for d in range(1, 11)]
        held = 0.1 / 0.9 * sum(share * 0.9**d for d, share in enumerate(shares, 1)) + shares[-1] * 0.9**10
        assert found.matrix[j, t] == pytest.approx(held, abs=1e-6)
    assert found.matrix[-1, 0] == pytest.approx(1), "the answer's first token is said after the text's last"
    by_sentence = studies.ranking_relevance(TALE, scorer, players="sentences", k=10)
    count = int((np.cumsum([len(name) for name in found.names]) <= len(by_sentence.names[0])).sum())
    np.testing.assert_allclose(by_sentence.matrix[0], found.matrix[:count].mean(0), atol=1e-6)
    values = np.arange(len(by_sentence.names))
    np.testing.assert_allclose(by_sentence.weigh(values), values * by_sentence.matrix.mean(1))
    np.testing.assert_allclose(by_sentence.weigh(by_sentence.matrix), by_sentence.matrix**2)
    with pytest.raises(ValueError, match=r"values must be \[4\] or \[4, \d+\]; got \[2\]"):
        by_sentence.weigh(np.ones(2))


@pytest.mark.parametrize(("other", "extrapolated"), [("bacde", 0.9), ("abcde", 1), ("fghij", 0)])
def test_rank_biased_overlap_has_its_known_values(other, extrapolated):
    """H6, of abcde at p = 0.9."""
    places = torch.zeros(2, 10)
    for row, letters in zip(places, ("abcde", other), strict=True):
        for place, letter in enumerate(letters):
            row["abcdefghij".index(letter)] = 5 - place
    found = heads.ranking(5, 0.9)(places[:1], places[1:], torch.zeros(1, dtype=torch.int64))
    assert float(found) == pytest.approx(extrapolated, abs=1e-6)


def test_what_is_no_language_model_has_no_suppression_matrix():
    with pytest.raises(ValueError, match=r"scorer must be pysmdl.scorers.language_model\(...\); got TextValue"):
        studies.suppression_matrix(TALE, scorers.string(lambda texts: [1.0] * len(texts)))
    with pytest.raises(ValueError, match="temperature must be"):
        studies.suppression_matrix(TALE, scorers.language_model(gpt2(), byte_level()), temperature=0)
