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
    """A random classifier of a family: the first three read the last token that is no padding, one counts from 2. The
    last four mix or fold neighbours, padding among them, whatever they are told.
    """
    transformers = pytest.importorskip("transformers")
    more = {
        "Llama": {"num_key_value_heads": 2, "pad_token_id": 0},
        "Qwen3": {"num_key_value_heads": 2, "pad_token_id": 0, "head_dim": 8},
        "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "pad_token_id": 0},
        "MPNet": {"pad_token_id": 1},
        "XLNet": {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48},
        "Bert": {},
        "IBert": {"pad_token_id": 0},
        "FNet": {"pad_token_id": 0},
        "ConvBert": {"embedding_size": 16, "head_ratio": 2, "conv_kernel_size": 5},
        "MobileBert": {"embedding_size": 16, "intra_bottleneck_size": 32, "true_hidden_size": 32},
        "Nystromformer": {"num_landmarks": 4, "segment_means_seq_len": 4, "conv_kernel_size": 5},
    }[name]
    settings = {**SMALL, **more}
    if name == "XLNet":
        del settings["max_position_embeddings"]  # it has no longest text
    config = getattr(transformers, f"{name}Config")(**settings)
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


@pytest.mark.parametrize("name", ["FNet", "ConvBert", "MobileBert", "Nystromformer", "IBert", "Llama", "Bert"])
def test_a_row_is_read_as_it_is_alone_though_others_are_longer(name):
    network, tokenizer = made(name), byte_level()
    game = pysmdl.Game(TEXTS[1], scorers.text_classifier(network, tokenizer), 1, players="words")
    member = np.random.default_rng(0).random((20, game.n_players)) < 0.5
    read = tokenizer(TEXTS[1], return_offsets_mapping=True)
    ids, offsets = read["input_ids"], read["offset_mapping"]
    starts = [start + (TEXTS[1][start] == " " and stop - start > 1) for start, stop in offsets]
    word = np.searchsorted(np.cumsum([len(each) for each in game.names]), starts, side="right")
    wanted = [said(network, np.array(ids)[kept[word]].tolist()) for kept in member]
    np.testing.assert_allclose(game(member), wanted, atol=1e-6)


@pytest.mark.parametrize("name", ["Llama", "GPT2", "MPNet", "XLNet", "Bert"])
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


def config_of(name, **settings):
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{name}Config")(**{**SMALL, **settings})
    return transformers, config


def test_a_reward_model_gives_a_number_and_labels_of_their_own_a_sigmoid_each():
    transformers, config = config_of("Bert", num_labels=1)
    network, tokenizer = loud(transformers.BertForSequenceClassification(config)), word_pieces()
    e = pysmdl.explain(TEXTS[0], network, tokenizer=tokenizer, search="exact", progress=False)
    with torch.no_grad():
        wanted = float(network(**tokenizer(TEXTS[0], return_tensors="pt")).logits)
    assert e.insertion[-1] == pytest.approx(wanted, rel=1e-5)
    assert scorers.text_classifier(network, tokenizer, decided_at=0.5).decided_at == 0.5
    with pytest.raises(ValueError, match=r'head reads answers .* with gives="value"'):
        scorers.text_classifier(network, tokenizer, head=pysmdl.heads.margin())
    _, config = config_of("Bert", problem_type="multi_label_classification")
    network = loud(transformers.BertForSequenceClassification(config))
    e = pysmdl.explain(TEXTS[0], network, 2, tokenizer=tokenizer, search="exact", progress=False)
    with torch.no_grad():
        wanted = network(**tokenizer(TEXTS[0], return_tensors="pt")).logits.sigmoid()[0, 2]
    assert e.insertion[-1] == pytest.approx(float(wanted), rel=1e-5)


def test_what_reads_texts_otherwise_is_sent_to_where_it_belongs():
    transformers, config = config_of("Bert")
    for kind in ("BertModel", "BertForMaskedLM"):
        with pytest.raises(ValueError, match=f"{kind} is neither a classifier of texts nor .*scorers.string"):
            pysmdl.explain("a b", getattr(transformers, kind)(config).eval(), tokenizer=word_pieces(), progress=False)
    config = transformers.T5Config(vocab_size=403, d_model=32, d_kv=8, d_ff=48, num_layers=1, num_heads=4)
    network = transformers.T5ForConditionalGeneration(config).eval()
    with pytest.raises(TypeError, match=r"model must be a causal one, .* T5ForConditionalGeneration reads it"):
        scorers.language_model(network, byte_level())


@pytest.mark.parametrize(
    ("by", "message"),
    [
        (99999, "by must be ids of tokens, whole numbers from 0 to [0-9]+; got 99999"),
        (-1, "by must be ids of tokens, .*; got -1"),
        (1.5, "by must be ids of tokens, .*; got 1.5"),
        ("zebra", "by must be a token that the tokenizer has, .*; got 'zebra'"),
        ([1, 2], r"by must be one id, or [0-9]+, one a token; got shape \[2\]"),
    ],
)
def test_what_stands_for_absent_tokens_must_be_tokens(by, message):
    scorer = scorers.text_classifier(made("Bert"), word_pieces())
    with pytest.raises(ValueError, match=message):
        pysmdl.explain(TEXTS[0], scorer, removal=removal.replace(by), progress=False)
    with pytest.raises(ValueError, match="by must be a word where there is no tokenizer"):
        pysmdl.explain("a b", scorers.string(len, batched=False), removal=removal.replace(5), progress=False)


@pytest.mark.parametrize("way", ["delete", "attention", "embedding"])
def test_layers_without_keys_and_values_are_run_in_full(way):
    transformers, config = config_of(
        "Lfm2", num_key_value_heads=2, layer_types=["conv", "full_attention"], pad_token_id=0, bos_token_id=1,
        eos_token_id=1,
    )  # fmt: skip
    network, tokenizer = loud(transformers.Lfm2ForCausalLM(config)), byte_level()
    scorer = scorers.language_model(network, tokenizer, answer=" the key")
    game = pysmdl.Game(TEXTS[0], scorer, players="words", removal=way)
    ids, answer = tokenizer(TEXTS[0])["input_ids"], tokenizer(" the key")["input_ids"]
    with torch.no_grad():
        read = network(input_ids=torch.tensor([[*ids, *answer]])).logits[0].softmax(-1)
    wanted = read[range(len(ids) - 1, len(ids) + len(answer) - 1), answer].mean()
    assert game.grand_value == pytest.approx(float(wanted), abs=1e-6)
    member = np.random.default_rng(0).random((9, game.n_players)) < 0.5
    alone = [game(each[None])[0] for each in member]
    assert game(member) == pytest.approx(np.array(alone), abs=1e-6)
