"""ReAGent: as its definition says step by step, in batches, with runs that end."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from language_models import byte_level, gpt2

import pysmdl
from pysmdl import methods, scorers
from pysmdl.testing import drive, modular

TEXT = "the plot was red but not the acting of it"


def test_a_token_that_decides_gains_the_logarithm_of_nine_in_a_step():
    """0.9 with it and 0.1 without it: logit(0.9) for those replaced with it, and as much less for all others."""
    for seed in range(8):
        start = np.random.default_rng(seed)
        s = start.random((1, 6))[0]
        replaced = np.isin(np.arange(6), start.random((1, 6)).argsort(1)[0, :2])
        ranking, asked = drive(methods.reagent(steps=1, runs=1, seed=seed), lambda m: 0.1 + 0.8 * m[:, 0], 6)
        assert asked == 3
        gained = np.log(ranking.attribution.astype(np.float64)) - s
        apart = gained[replaced].mean() - gained[~replaced].mean()
        assert apart == pytest.approx(2 * np.log(9) * replaced[0], abs=1e-4)  # a ratio of 81


def says(text):
    """Whether an answer is "red": the word decides, another one helps, a third hinders."""
    return 1 / (1 + np.exp(-(4 * ("red" in text) + 1.5 * ("plot" in text) - 1.0 * ("not" in text) - 2)))


def probabilities(texts):
    return np.array([[1 - says(text), says(text)] for text in texts], np.float32)


def by_hand(texts, n, seed, steps, runs, batch, keep, ratio):
    """One subset at a time; texts: from players that are kept to the text that has them alone."""
    rng = np.random.default_rng(seed)
    states = rng.random((runs, n))
    ended, size = [False] * runs, max(1, round(ratio * n))
    full = probabilities([texts(np.ones(n, bool))])[0, 1]
    for _ in range(steps // batch):
        live = [run for run in range(runs) if not ended[run]]
        if not live:
            break
        places = rng.random((len(live) * batch, n)).argsort(1)[:, :size]
        for at, run in enumerate(live):
            for step in range(batch):
                replaced = np.isin(np.arange(n), places[at * batch + step])
                d = float(full) - float(probabilities([texts(~replaced)])[0, 1])
                for i in range(n):
                    delta = d if replaced[i] else -d
                    states[run, i] += np.log((1 + delta) / 2) - np.log(1 - (1 + delta) / 2)
            best = np.isin(np.arange(n), np.argsort(states[run])[n - keep :])
            ended[run] = probabilities([texts(best)])[0].argmax() == 1
    chosen = [state for state, end in zip(states, ended, strict=True) if end] or list(states)
    return np.mean([np.exp(state) / np.exp(state).sum() for state in chosen], 0), sum(ended)


@pytest.mark.parametrize(("steps", "batch", "keep"), [(12, 1, 2), (12, 4, 1), (40, 8, 3), (1, 1, 1)])
def test_reagent_is_an_oracles(steps, batch, keep):
    words = TEXT.split(" ")

    def texts(kept):
        return " ".join(word for word, shown in zip(words, kept, strict=True) if shown)

    settings = {"steps": steps, "batch": batch, "keep": keep, "runs": 3}
    wanted, ended = by_hand(texts, len(words), 5, ratio=0.3, **settings)
    scorer = scorers.string(probabilities, gives="probabilities")
    search = methods.reagent(seed=5, **settings)
    found = pysmdl.explain(TEXT, scorer, 1, search=search, progress=False)
    assert found.values() == pytest.approx(wanted, rel=1e-4, abs=1e-7)
    assert found.notes["runs_ended"] == ended
    if steps > 1:
        assert found.players[found.order[0]] == "red "
    assert found.notes["sampled"] <= search.asks(len(words), len(words))


def test_reagent_keeps_to_its_rows_and_to_explains():
    ranking, asked = drive(methods.reagent(evaluations=100, batch=8), modular(np.linspace(0, 0.1, 9)), 9)
    assert asked == ranking.notes["sampled"] <= 100
    assert sorted(ranking.order) == list(range(9))
    scorer = scorers.string(probabilities, gives="probabilities")
    found = pysmdl.explain(TEXT, scorer, 0, search=methods.reagent(), evaluations=150, progress=False)
    assert found.evaluations <= 150
    assert np.isfinite(found.insertion).all()


def test_an_answer_is_said_where_it_is_among_so_many_likeliest():
    """Against the rank of each token among the model's own logits; 1 is the likeliest one itself."""
    pytest.importorskip("transformers")
    model, tokenizer, text = gpt2(), byte_level(), "The key of the red box is seven."

    def said(among):
        scorer = scorers.language_model(model, tokenizer, answer=" It is red.", among=among)
        e = pysmdl.explain(text, scorer, players="words", search=pysmdl.search.fixed([0, 3, 1]), k=3, progress=False)
        return e.reading["top_token"][1, 0] == e.target["ids"], e.reading["tokens"]

    ids, answer = tokenizer(text)["input_ids"], tokenizer(" It is red.", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([[*ids, *answer]])).logits[0, len(ids) - 1 : -1]
    own = logits.gather(1, torch.tensor(answer)[:, None])
    ranks = (logits > own).sum(1).numpy()
    likelihoods = said(1)[1]
    for among in (1, 3, int(np.median(ranks)) + 1, 400):
        found, tokens = said(among)
        assert found.tolist() == (ranks < among).tolist()
        assert np.array_equal(tokens, likelihoods), "scores stay what they were"
    with pytest.raises(ValueError, match="among must be a whole number of at least 1; got 0"):
        scorers.language_model(model, tokenizer, among=0)


def test_reagent_goes_by_its_name():
    scorer = scorers.string(probabilities, gives="probabilities")
    named, made = (
        pysmdl.explain(TEXT, scorer, 1, search=search, evaluations=150, progress=False)
        for search in ("reagent", methods.reagent())
    )
    assert np.array_equal(named.values(), made.values())


def test_reagent_refuses_what_it_cannot_do():
    for settings, message in (
        ({"ratio": 1.0}, "ratio must be"),
        ({"keep": 0}, "keep must be"),
        ({"batch": 1.5}, "batch must be"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            methods.reagent(**settings)
    with pytest.raises(ValueError, match="evaluations must be at least 11 for reagent on 4 regions; got 5"):
        drive(methods.reagent(evaluations=5), modular(np.ones(4)), 4)
