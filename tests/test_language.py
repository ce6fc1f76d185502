"""What causal language models and classifiers say of texts without some of their spans."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from language_models import bert, byte_level, gpt2, loud, qwen3, word_pieces

import pysmdl
from pysmdl import heads, removal, scorers
from pysmdl.errors import ScorerError

TEXT = "The cat sat on the mat. A dog barked at night, and nobody came. Dr. Smith met J. Doe. Was it cold?"
TALK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": TEXT}]
ANSWER = " The key is red."
EACH = [("qwen3", qwen3), ("gpt2", gpt2)]
WAYS = [
    "delete", "replace", "attention", removal.attention("close"), "embedding", removal.embedding("mean"), "soft",
    "text",
]  # fmt: skip


def named(way):
    return way if isinstance(way, str) else f"{way.name}-2"


def game(scorer, text=TEXT, players="sentences", target=None, **settings):
    return pysmdl.Game(text, scorer, target, players=players, **settings)


def subsets(n, count=12, seed=0):
    return np.random.default_rng(seed).random((count, n)) < 0.5


def by_hand(network, prompt, answer, positions=None, mask=None):
    """Mean probability of an answer after a prompt of ids, one plain forward pass."""
    ids = torch.tensor([[*prompt, *answer]])
    given = {} if mask is None else {"attention_mask": torch.tensor([[*mask, *[1] * len(answer)]])}
    if positions is not None:
        given["position_ids"] = torch.tensor([positions])
    with torch.no_grad():
        logits = network(input_ids=ids, **given).logits[0].double()
    said = logits.softmax(1)[len(prompt) - 1 : -1]
    return float(said[torch.arange(len(answer)), torch.tensor(answer)].mean())


@pytest.mark.parametrize(("name", "made"), EACH)
def test_deleted_and_replaced_tokens_are_those_of_a_plain_forward_pass(name, made):
    tokenizer, network = byte_level(), made()
    prompt, tail = "Read this. {}", " So?"
    answer = tokenizer(ANSWER)["input_ids"]
    sentences = ["The cat sat. ", "A dog barked! ", "Nobody came."]
    scorer = scorers.language_model(network, tokenizer, prompt=prompt + tail, answer=ANSWER)
    whole = tokenizer("Read this. " + "".join(sentences) + tail, return_offsets_mapping=True)
    ends = np.cumsum([len("Read this. "), *map(len, sentences)])
    texts = [tokenizer.decode(each) for each in whole["input_ids"]]
    starts = [place[0] for place in whole["offset_mapping"]]
    first = [start + (text[0] == " " and len(text) > 1) for start, text in zip(starts, texts, strict=True)]
    player = np.searchsorted(ends, first, side="right") - 1
    player[player == 3] = -1
    for way in ("delete", "replace"):
        found = game(scorer, "".join(sentences), removal=way)
        for kept in subsets(3):
            shown = np.append(kept, True)[player]
            ids = np.array(whole["input_ids"])
            given = ids[shown] if way == "delete" else np.where(shown, ids, tokenizer.mask_token_id)
            assert found(kept)[0] == pytest.approx(by_hand(network, given.tolist(), answer), abs=1e-6)


@pytest.mark.parametrize(("name", "made"), EACH)
@pytest.mark.parametrize("players", ["words", "sentences"])
def test_hidden_tokens_that_move_up_are_deleted_ones_and_kept_places_are_not(name, made, players):
    scorer = scorers.language_model(made(), byte_level(), answer=ANSWER)
    member = subsets(game(scorer, players=players).n_players)
    member[0], member[1] = False, True
    deleted, closed, kept = (
        game(scorer, players=players, removal=way)(member)
        for way in ("delete", removal.attention("close"), "attention")
    )
    assert np.abs(deleted - closed).max() < 1e-5
    assert np.abs(deleted - kept).max() > 1e-4


@pytest.mark.parametrize(("name", "made"), EACH)
@pytest.mark.parametrize("positions", ["keep", "close"])
def test_of_hidden_tokens_nothing_leaks(name, made, positions):
    scorer = scorers.language_model(made(), byte_level(), answer=ANSWER, reuse=False)
    words = [(0, 3), (4, 7), (8, 11), (12, 15), (16, 19)]  # the third and the last are hidden, and of one token each
    member = np.array([[1, 1, 0, 1, 0], [1, 0, 0, 1, 0], [0, 0, 0, 0, 0]], bool)
    texts = ["the red cat box mat", "the red mat box cat"]
    found = [game(scorer, text, words, removal=removal.attention(positions)) for text in texts]
    assert found[0].grand_value != found[1].grand_value
    assert np.array_equal(found[0](member), found[1](member))


@pytest.mark.parametrize("way", WAYS, ids=named)
@pytest.mark.parametrize(("name", "made"), EACH)
def test_keys_and_values_that_are_shared_change_nothing(name, made, way):
    shared, alone = (
        scorers.language_model(made(), byte_level(True), answer=ANSWER, reuse=reuse, head=heads.jsd())
        for reuse in (True, False)
    )
    found = [
        pysmdl.explain(TALK, each, players="words", k=5, search="exact", removal=way, progress=False)
        for each in (shared, alone)
    ]
    for name in ("insertion", "deletion", "score"):
        assert np.abs(getattr(found[0], name) - getattr(found[1], name)).max() < 1e-5
    assert np.array_equal(found[0].order, found[1].order)
    ran = [each.notes["tokens"] for each in found]
    assert ran[0] < ran[1]
    assert ran[1] >= found[1].notes["tokens_of_rows"] == found[0].notes["tokens_of_rows"]


def test_leaving_one_sentence_out_runs_what_follows_it_alone():
    m, sentence = 12, "The cat sat on the mat. "
    scorer = scorers.language_model(qwen3(), byte_level(), answer=" A")
    found = pysmdl.explain((sentence * m).strip(), scorer, players="sentences", search="occlusion", progress=False)
    answer = len(byte_level()(" A")["input_ids"])
    curves = found.evaluations - m - 1  # beside one row a sentence and the whole text
    length = found.notes["tokens_of_rows"] / found.evaluations
    assert found.notes["tokens"] <= ((m + 1) / (2 * m) * m + curves + 2) * length + answer * found.evaluations


@pytest.mark.parametrize(("way", "most"), [("delete", 0.8), ("attention", 0.45), ("replace", 0.8)])
def test_the_versions_of_a_round_run_what_they_share_once(way, most):
    """Of "attention" and "replace" each version has all tokens; of "delete" half of them, on average."""
    text = " ".join(f"The cat number {i} sat on the mat." for i in range(16))
    scorer = scorers.language_model(qwen3(), byte_level(), answer=" A")
    settings = {"players": "sentences", "search": "exact", "removal": way, "progress": False, "batch_size": 32}
    notes = pysmdl.explain(text, scorer, **settings).notes
    assert notes["tokens"] <= most * notes["tokens_of_rows"]


@pytest.mark.parametrize("count", [1, 2, 7, 33])
def test_any_company_of_rows_gives_what_each_gives_alone(count):
    """Rows that share much with each other and little with the text, in any order, are answered in theirs."""
    drawn = np.random.default_rng(count)
    shared, alone = (
        game(scorers.language_model(qwen3(), byte_level(), answer=ANSWER, reuse=reuse), TEXT * 4, "words")
        for reuse in (True, False)
    )
    member = np.repeat(drawn.random((1, shared.n_players)) < 0.4, count, 0)
    member[np.arange(count), drawn.permutation(shared.n_players)[:count]] ^= True
    assert np.abs(shared(member) - alone(member)).max() < 1e-6


@pytest.mark.parametrize("made", [qwen3, gpt2], ids=["qwen3", "gpt2"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_company_and_padding_change_no_answer(made, side):
    tokenizer = byte_level()
    before, tokenizer.padding_side = tokenizer.padding_side, side
    texts = ["The cat.", TEXT, "A dog barked at night! Nobody came."]
    scorer = scorers.language_model(made(), tokenizer, answer=ANSWER)
    try:
        settings = {"players": "words", "search": "exact", "progress": False}
        together = sorted(pysmdl.explain_many(texts, scorer, **settings), key=lambda e: e.index)
        alone = [pysmdl.explain(text, scorer, batch_size=1, **settings) for text in texts]
    finally:
        tokenizer.padding_side = before
    for one, other in zip(together, alone, strict=True):
        assert np.array_equal(one.order, other.order)
        assert np.abs(one.insertion - other.insertion).max() < 1e-6


@pytest.mark.parametrize("way", WAYS, ids=named)
def test_a_classifier_of_texts_in_one_line(way):
    found = pysmdl.explain(TEXT, bert(), tokenizer=word_pieces(), target="fair", removal=way, progress=False)
    assert found.names[1] == "fair"
    assert found.called == "spans"
    assert found.notes["removal"] == (way if isinstance(way, str) else way.name)
    with torch.no_grad():
        wanted = bert()(**word_pieces()(TEXT, return_tensors="pt")).logits.softmax(1)[0, 1]
    assert found.deletion[0] == pytest.approx(float(wanted), abs=1e-6)


def test_a_classifier_reads_shorter_rows_as_if_they_were_alone():
    scorer = scorers.text_classifier(bert(), word_pieces())
    found = game(scorer, target=2, players="words")
    member = subsets(found.n_players)
    ids = np.array(word_pieces()(TEXT)["input_ids"])
    of_word = [-1, *word_pieces()(TEXT.split(), is_split_into_words=True).word_ids()[1:-1], -1]
    for kept, value in zip(member, found(member), strict=True):
        shown = ids[np.append(kept, True)[of_word]]
        with torch.no_grad():
            wanted = bert()(input_ids=torch.tensor(shown[None])).logits.softmax(1)[0, 2]
        assert value == pytest.approx(float(wanted), abs=1e-6)


def masked(table, ids, kept, seed=0):
    """Embeddings of a text, each token's dimensions kept with its own probability, one token at a time."""
    states = table(torch.tensor([ids])).detach().clone()
    for place, keep in enumerate(kept):
        drawn = np.random.default_rng((seed, place)).random(states.shape[-1])
        states[0, place, torch.from_numpy(drawn < np.float32(1) - np.float32(keep))] = 0
    return states


@pytest.mark.parametrize("keep", [0.5, [0.1, 0.9, 0.3, 0.0, 1.0, 0.5]])
def test_soft_removal_keeps_dimensions_by_their_probability(keep):
    text, words = "the red cat box mat key", [(0, 3), (4, 7), (8, 11), (12, 15), (16, 19), (20, 23)]
    tokenizer, network = byte_level(), gpt2()
    coded, answer = tokenizer(text, return_offsets_mapping=True), tokenizer(ANSWER)["input_ids"]
    of_token = [next((w for w, (a, b) in enumerate(words) if start < b and stop > a), -1)
                for start, stop in coded["offset_mapping"]]  # fmt: skip
    weights = np.broadcast_to(keep, 6)
    scorer = scorers.language_model(network, tokenizer, answer=ANSWER)
    found = game(scorer, text, words, removal=removal.soft(keep, seed=3))
    member = np.concatenate((subsets(6, 5), [np.zeros(6, bool)]))
    for kept, value in zip(member, found(member), strict=True):
        shown = [1.0 if player < 0 or kept[player] else weights[player] for player in of_token]
        states = masked(
            network.get_input_embeddings(), [*coded["input_ids"], *answer], [*shown, *[1.0] * len(answer)], 3
        )
        with torch.no_grad():
            said = network(inputs_embeds=states).logits[0, len(of_token) - 1 : -1].double().softmax(1)
        assert value == pytest.approx(float(said[torch.arange(len(answer)), torch.tensor(answer)].mean()), abs=1e-6)
    assert found.empty_value == found(np.zeros(6, bool))[0]


def test_soft_removal_is_between_the_whole_embedding_and_none():
    scorer = scorers.text_classifier(bert(), word_pieces())
    member = subsets(game(scorer, target=2).n_players)

    def of(way):
        return game(scorer, target=2, removal=way)(member)

    assert np.array_equal(of(removal.soft(0)), of("embedding"))
    assert np.ptp(of(removal.soft(1))) < 1e-6
    assert not np.array_equal(of(removal.soft(0.5, seed=1)), of("soft"))
    assert np.array_equal(of("soft"), of(removal.soft(0.5)))


def test_an_encoder_of_sentences_compares_a_text_with_prompts():
    encoder, tokenizer = bert().bert, word_pieces()
    scorer = scorers.text_encoder(encoder, tokenizer, ["A dog barked", "The key of the box"])
    found = pysmdl.explain(TEXT, scorer, "A dog barked", players="sentences", search="exact", progress=False)
    assert found.names[0] == "A dog barked"

    def state(text):
        with torch.no_grad():
            return encoder(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)

    states = [state(each) for each in (TEXT, "A dog barked", "The key of the box")]
    alike = torch.stack([torch.cosine_similarity(states[0], each, dim=0) for each in states[1:]])
    assert found.deletion[0] == pytest.approx(float((20 * alike).softmax(0)[0]), abs=1e-5)
    with pytest.raises(ValueError, match="prompts must be two texts or more"):
        scorers.text_encoder(encoder, tokenizer, ["one"])


def test_a_language_model_in_one_line_explains_words_of_its_own_answer():
    tokenizer = byte_level(True)
    found = pysmdl.explain(
        TALK, qwen3(), tokenizer=tokenizer, target=pysmdl.Tokens([0, 1]), players="messages", progress=False
    )
    ids = tokenizer.apply_chat_template(TALK, add_generation_prompt=True, tokenize=True, return_dict=False)
    with torch.no_grad():
        said = qwen3().generate(torch.tensor([ids]), do_sample=False, max_new_tokens=2)[0, len(ids) :].tolist()
    assert found.target["ids"] == said
    assert found.groups == ("system", "user")
    assert found.deletion[0] == pytest.approx(by_hand(qwen3(), ids, said), abs=1e-6)
    of_red = pysmdl.explain(TEXT, qwen3(), tokenizer=byte_level(), answer=ANSWER, target="red", progress=False)
    assert "".join(of_red.target["texts"]).strip() == "red"
    assert of_red.target["answer"] == ANSWER


def scoped_by_hand(value, n, scope, update_step, pending):
    """EAGLE's scoped search, one subset at a time."""
    listed, front, back = list(range(n)), [], []
    while len(listed) > 1:
        everyone = len(front) % update_step == 0
        considered = list(listed if everyone else listed[:scope])
        scores = [value([*front, each]) for each in considered]
        if everyone:
            listed = [listed[i] for i in sorted(range(len(listed)), key=lambda i: -scores[i])]
            taken = listed[0]
        else:
            taken = considered[scores.index(max(scores))]
        listed.remove(taken)
        front.append(taken)
        if len(front) == 1 and listed:
            back.append(listed.pop())
        elif len(listed) > pending:
            last = listed[-pending:]
            left = [value([each for each in range(n) if each not in (*back, one)]) for one in last]
            back.append(last[left.index(max(left))])
            listed.remove(back[-1])
    return [*front, *listed, *reversed(back)]


@pytest.mark.parametrize("numbers", [(10, 5, 8), (8, 10, 4)])
@pytest.mark.parametrize(("players", "target"), [("words", "red"), ("sentences", None), ("messages", None)])
@pytest.mark.parametrize("way", ["replace", "attention"])
def test_eagles_search_over_texts_is_an_oracles(way, players, target, numbers):
    talk = [
        {"role": "user", "content": each} for each in ("The cat sat. A dog?", "It was cold.", "Is the key red? Say so.")
    ]
    scorer = scorers.language_model(qwen3(), byte_level(True), answer=ANSWER)
    found = pysmdl.explain(
        talk,
        scorer,
        target,
        players=players,
        removal=way,
        objective="eagle",
        search=pysmdl.search.scoped(*numbers),
        progress=False,
    )
    plain = game(
        scorers.language_model(qwen3(), byte_level(True), answer=ANSWER, reuse=False),
        talk,
        players,
        target,
        removal=way,
    )
    n = plain.n_players

    def value(chosen):
        kept = np.isin(np.arange(n), chosen)
        return np.float32(plain(kept)[0]) + np.float32(1) - np.float32(plain(~kept)[0])

    assert found.order.tolist() == scoped_by_hand(value, n, *numbers)


def test_a_head_compares_each_row_with_the_whole_texts_own_answer():
    tokenizer, network = byte_level(), gpt2()
    answer = tokenizer(ANSWER)["input_ids"]
    first, rest = "The cat sat.", " A dog barked"

    def logits(text):
        ids = tokenizer(text)["input_ids"]
        with torch.no_grad():
            return network(torch.tensor([[*ids, *answer]])).logits[0, len(ids) - 1 : -1]

    whole, without, ids = logits(first + rest), logits(rest), torch.tensor(answer)
    for head in (heads.jsd(), heads.jsd("arc"), heads.kl(0.6), heads.sequence("log_sum")):
        scorer = scorers.language_model(network, tokenizer, answer=ANSWER, head=head)
        found = game(scorer, first + rest, [(0, len(first)), (len(first), len(first + rest))])
        wanted = float(head(without, whole, ids).sum()), float(head(whole, whole, ids).sum())
        assert found(np.array([[0, 1], [1, 1]], bool)) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: scorers.language_model("gpt2", byte_level()), "model must be a causal model of transformers; got str"),
        (
            lambda: scorers.language_model(gpt2(), byte_level(), prompt="Hello"),
            'prompt must have "{}" where the text stands',
        ),
        (lambda: scorers.language_model(gpt2(), byte_level(), head="jsd"), "head must be callable"),
        (lambda: pysmdl.explain("a", gpt2()), "GPT2LMHeadModel reads texts: give tokenizer="),
        (lambda: pysmdl.explain("a", bert(), tokenizer=word_pieces(), prompt="{}"), "reads texts; drop prompt"),
        (lambda: pysmdl.explain("a", gpt2(), tokenizer=byte_level(), answer=" "), "answer must be a text, or None"),
        (
            lambda: pysmdl.explain("a b", gpt2(), tokenizer=byte_level(), answer=" A", target="dog"),
            "the answer has no 'dog'",
        ),
        (lambda: removal.attention("open"), "positions must be one of"),
        (lambda: removal.embedding("noise"), "fill must be one of"),
        (lambda: removal.soft(1.5), "keep must be from 0 to 1, one number or one for each player; got 1.5"),
        (
            lambda: game(scorers.language_model(gpt2(), byte_level(), answer=ANSWER), removal=removal.soft([0.5])),
            "keep must have",
        ),
        (
            lambda: pysmdl.explain("a b", bert(), tokenizer=word_pieces(), removal=removal.replace("eos")),
            "by must be a token",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(made, message):
    with pytest.raises((TypeError, ValueError), match=message):
        made()


@pytest.mark.parametrize("answer", [ANSWER, None])
def test_a_text_that_is_longer_than_its_model_takes_is_told(answer):
    long = "the key " * 400
    for model, tokenizer, said, message in (
        (gpt2(), byte_level(), answer, "GPT2LMHeadModel takes 512: explain a shorter one"),
        (bert(), word_pieces(), None, r"the text has \d+ tokens, .* BertForSequenceClassification takes 256"),
    ):
        with pytest.raises((ScorerError, ValueError), match=message):
            pysmdl.explain(long, model, tokenizer=tokenizer, answer=said, players="lines", progress=False)


def of_family(name, **settings):
    """A random language model of another family."""
    import transformers

    config = getattr(transformers, f"{name}Config")(
        **{"vocab_size": 403, "hidden_size": 32, "eos_token_id": 1, **settings}
    )
    made = {"Bert": "BertLMHeadModel", "XLNet": "XLNetLMHeadModel"}.get(name, f"{name}ForCausalLM")
    return loud(getattr(transformers, made)(config))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("Bert", {"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}),
        ("XLNet", {"n_layer": 2, "n_head": 4, "d_inner": 48, "d_head": 8}),
    ],
)
def test_a_model_that_looks_ahead_at_its_answer_is_refused(name, settings):
    with pytest.raises(
        TypeError, match=r"model must be a causal one; \w+ looks ahead, .* load it with is_decoder=True"
    ):
        scorers.language_model(of_family(name, **settings), byte_level(), answer=ANSWER)


def test_a_model_that_heeds_no_attention_mask_has_nothing_hidden():
    network = of_family("Rwkv", num_hidden_layers=2, attention_hidden_size=32, intermediate_size=48)
    scorer = scorers.language_model(network, byte_level(), answer=ANSWER)
    assert np.ptp(game(scorer, removal="delete")(subsets(4))) > 1e-4
    with pytest.raises(
        (ScorerError, ValueError), match="RwkvForCausalLM looks at tokens that its attention_mask hides"
    ):
        game(scorer, removal="attention")(subsets(4))
    assert np.ptp(game(scorer, removal="delete")(subsets(4))) > 1e-4  # as before


def test_layers_that_see_the_last_few_tokens_count_those_that_are_hidden():
    network = of_family("GPTNeo", num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]], window_size=5)
    tokenizer, text = byte_level(), "the red cat box mat so it goes"
    found = game(scorers.language_model(network, tokenizer, answer=" the key"), text, "tokens", removal="attention")
    ids, answer = tokenizer(text)["input_ids"], tokenizer(" the key")["input_ids"]
    for kept in subsets(len(ids)):
        kept[-1] = True  # what is said follows on the last one
        assert found(kept)[0] == pytest.approx(by_hand(network, ids, answer, mask=kept.astype(int)), abs=1e-6)


def test_a_model_with_a_cache_of_its_own_kind_is_run_in_full():
    class Own(type(gpt2())):
        def forward(self, *given, past_key_values=None, **more):
            if past_key_values is not None:
                raise ValueError("layer 0 is a DynamicLayer; it has no indexer key cache")
            return super().forward(*given, **more)

    network = Own(gpt2().config).eval()
    network.load_state_dict(gpt2().state_dict())
    found, wanted = (game(scorers.language_model(each, byte_level(), answer=ANSWER)) for each in (network, gpt2()))
    np.testing.assert_allclose(found(subsets(4)), wanted(subsets(4)), atol=1e-6)
