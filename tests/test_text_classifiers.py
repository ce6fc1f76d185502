"""Classifiers of texts of several families: what is hidden or filled up reaches none of them, alone or in company."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from language_models import byte_level, loud, word_pieces

import pysmdl
from pysmdl import removal, scorers

TEXTS = ["The cat sat on the mat.", "A dog barked at night, and nobody came. Paris is far from here!", "two words"]
SMALL = {
    "vocab_size": 403, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 256, "num_labels": 3,
}  # fmt: skip


def made(name):
    """A random classifier of a family: the first three read the last token that is no padding, one counts from 2."""
    transformers = pytest.importorskip("transformers")
    more = {
        "Llama": {"num_key_value_heads": 2, "pad_token_id": 0},
        "Qwen3": {"num_key_value_heads": 2, "pad_token_id": 0, "head_dim": 8},
        "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "pad_token_id": 0},
        "MPNet": {"pad_token_id": 1},
        "Bert": {},
    }[name]
    config = getattr(transformers, f"{name}Config")(**SMALL, **more)
    return loud(getattr(transformers, f"{name}ForSequenceClassification")(config))


def said(network, ids, **given):
    with torch.no_grad():
        return float(network(input_ids=torch.tensor([ids]), **given).logits.softmax(-1)[0, 1])


@pytest.mark.parametrize("name", ["Llama", "Qwen3", "GPT2"])
def test_a_classifier_that_reads_the_last_token_reads_the_last_one_that_is_seen(name):
    network, tokenizer = made(name), byte_level()
    scorer = scorers.text_classifier(network, tokenizer)
    ends = ("night", "France")
    hidden = [
        pysmdl.Game(f"The cat sat at {end}", scorer, 1, players="words", removal="attention")(
            np.array([[True, True, True, True, False]])
        )[0]
        for end in ends
    ]
    assert hidden[0] == hidden[1], "nothing of a hidden last word is told"
    assert hidden[0] == pytest.approx(said(network, tokenizer("The cat sat at")["input_ids"]), abs=1e-6)


@pytest.mark.parametrize("name", ["Llama", "GPT2", "MPNet", "Bert"])
@pytest.mark.parametrize("way", ["delete", "attention", "embedding", "soft"])
def test_company_changes_no_classifiers_answer(name, way):
    scorer = scorers.text_classifier(made(name), byte_level())
    settings = {"removal": way, "players": "words", "search": "exact", "progress": False}
    alone = [pysmdl.explain(text, scorer, 1, batch_size=1, **settings) for text in TEXTS]
    together = pysmdl.explain_many([(text, 1) for text in TEXTS], scorer, batch_size=16, ordered=True, **settings)
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.order, other.order)
        assert np.abs(one.insertion - other.insertion).max() < 1e-6
        assert np.abs(one.deletion - other.deletion).max() < 1e-6


def test_hidden_tokens_leave_a_gap_where_positions_count_on_from_the_paddings_id():
    network, tokenizer = made("MPNet"), word_pieces()
    found = pysmdl.Game(TEXTS[0], scorers.text_classifier(network, tokenizer), 1, players="words", removal="attention")
    read = tokenizer(TEXTS[0])
    mask = torch.tensor([[int(word != 1) for word in read.word_ids()]])
    wanted = said(network, read["input_ids"], attention_mask=mask)
    assert found(np.array([[True, False, True, True, True, True]]))[0] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("name", ["Bert", "Llama", "MPNet"])
def test_where_nothing_is_left_a_classifier_reads_its_padding(name):
    network = made(name)
    scorer = scorers.text_classifier(network, byte_level())
    nothing = said(network, [scorer.model.function.pad])
    for way in ("delete", removal.attention("close"), "text"):
        game = pysmdl.Game(TEXTS[0], scorer, 1, players="words", removal=way)
        assert game.empty_value == pytest.approx(nothing, abs=1e-6)
