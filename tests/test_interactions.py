"""interactions: indices of pairs of games whose Moebius transform is known, by all subsets and by draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl import methods, scorers
from pysmdl.studies import interactions
from pysmdl.testing import drive

PAIRS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))


def of_game(terms, n, **settings):
    """Of v(S) = sum of a over the terms (a, players) that lie in S."""

    def value(batch):
        kept = batch[:, 0].double()
        return sum(a * kept[:, list(players)].prod(1) for a, players in terms)

    settings = {"players": "columns", "baseline": "zero", **settings}
    return interactions(torch.ones(1, n), scorers.scalar(value), **settings)


E3 = ((1, [0]), (2, [1]), (4, [0, 1]), (6, [0, 1, 2]), (-1, [2, 3]))


@pytest.mark.parametrize(
    ("index", "held"),
    [("sii", (7, 3, 0, 3, 0, -1)), ("bii", (7, 3, 0, 3, 0, -1)), ("stii", (6, 2, 0, 2, 0, -1))],
)
def test_a_game_of_four_has_its_indices(index, held):
    """[0] + 2[1] + 4[01] + 6[012] - [23] (E3)."""
    found = of_game(E3, 4, index=index)
    assert [found.matrix[pair] for pair in PAIRS] == pytest.approx(held, abs=1e-5)
    assert np.isnan(np.diag(found.matrix)).all()
    assert found.evaluations == 16
    assert not found.errors.any()


def test_the_same_game_has_its_shapley_and_banzhaf_values():
    """E3: all coalitions, and least squares over uniform ones."""

    def value(member):
        return np.array([sum(a * row[players].all() for a, players in E3) for row in member], float)

    ranking, _ = drive(methods.kernel_shap(evaluations=16), value, 4)
    assert ranking.attribution == pytest.approx([5, 6, 1.5, -0.5], abs=1e-5)
    ranking, _ = drive(methods.regression(evaluations=100_000), value, 4)
    assert ranking.attribution == pytest.approx([4.5, 5.5, 1, -0.5], abs=0.06)


def random_game(rng, n, terms=12):
    return [(rng.normal(), rng.choice(n, rng.integers(1, 5), replace=False).tolist()) for _ in range(terms)]


def by_moebius(terms, n, index):
    """A term of t players gives each pair of them 1 / (t - 1) of it by sii, 2^(2 - t) by bii and 1 / C(t, 2) by stii,
    but all of it where t is 2.
    """
    found = np.zeros((n, n))
    for a, players in terms:
        t = len(players)
        if t > 1:
            share = {"sii": 1 / (t - 1), "bii": 0.5 ** (t - 2), "stii": 2 / (t * (t - 1))}[index]
            found[np.ix_(players, players)] += a * share
    np.fill_diagonal(found, np.nan)
    return found


@pytest.mark.parametrize("index", ["sii", "bii", "stii"])
@pytest.mark.parametrize("n", [2, 3, 8])
def test_all_subsets_give_what_the_moebius_transform_does(index, n, rng):
    terms = random_game(rng, n) if n > 3 else [(1.5, [0, 1]), (-2, [1]), *([(3, [0, 1, 2])] if n == 3 else [])]
    np.testing.assert_allclose(of_game(terms, n, index=index).matrix, by_moebius(terms, n, index), atol=1e-5)


@pytest.mark.parametrize("index", ["sii", "bii", "stii"])
def test_draws_are_unbiased_and_know_their_error(index, rng):
    terms, n = random_game(rng, 7), 7
    wanted = by_moebius(terms, n, index)
    seeds = [of_game(terms, n, index=index, draws=8, seed=seed, batch_size=512) for seed in range(30)]
    mean = np.mean([each.matrix for each in seeds], 0)
    spread = np.std([each.matrix for each in seeds], 0, ddof=1)
    apart = np.abs(mean - wanted) / np.maximum(spread / np.sqrt(30), 1e-6)
    assert np.nanmax(apart) < 4.5
    told = np.sqrt(np.mean([each.errors**2 for each in seeds], 0))
    where = np.nan_to_num(spread) > 0.01
    assert (told[where] > 0.5 * spread[where]).all(), "draws that are evenly spread err less than the error says"


def test_what_many_players_cost_is_told_and_what_does_not_interact_is_zero():
    def value(batch):
        return batch[:, 0].double() @ torch.arange(16.0).double() + 5 * batch[:, 0, 3] * batch[:, 0, 7]

    found = interactions(torch.ones(1, 16), scorers.scalar(value), players="columns", baseline="zero", draws=3)
    assert found.evaluations <= 3 * (1 + 16 + 120) + 2
    assert found.top(1) == [(3, 7, pytest.approx(5, abs=1e-4))]
    others = found.matrix.copy()
    others[3, 7] = others[7, 3] = 0
    assert np.nanmax(np.abs(others)) < 1e-4
    assert np.nanmax(found.errors) < 1e-4


def test_exclusive_or_is_an_interaction_and_nothing_else():
    """a XOR(x0, x1) beside an idle third: every pair but the one is 0, which is -2a."""
    terms = ((1.5, [0]), (1.5, [1]), (-3, [0, 1]))
    for index in ("sii", "bii"):
        found = of_game(terms, 3, index=index)
        assert [found.matrix[pair] for pair in ((0, 1), (0, 2), (1, 2))] == pytest.approx((-3, 0, 0), abs=1e-6)


@pytest.mark.parametrize(("index", "held"), [("sii", -0.2995), ("bii", -0.1786)])
def test_negation_is_an_interaction_of_words(index, held):
    """VADER reads "not good" (E6)."""
    vader = pytest.importorskip("vaderSentiment.vaderSentiment").SentimentIntensityAnalyzer()
    scorer = scorers.string(lambda texts: [vader.polarity_scores(text)["compound"] for text in texts])
    text = "The plot was not good but the acting was great"
    found = interactions(text, scorer, players="words", index=index)
    assert found.matrix[3, 4] == pytest.approx(held, abs=1e-4)
    assert [found.names[i].strip() for i in (3, 4)] == ["not", "good"]


def test_batches_change_nothing():
    one, other = (of_game(E3, 4, draws=5, seed=2, batch_size=size) for size in (1, 64))
    assert np.array_equal(one.matrix, other.matrix, equal_nan=True)


def test_what_is_wrong_is_said():
    with pytest.raises(ValueError, match="index must be one of 'bii', 'sii', 'stii'; got 'shapley'"):
        of_game(E3, 4, index="shapley")
    with pytest.raises(ValueError, match="draws must be a whole number of at least 2"):
        of_game(E3, 4, draws=1)
    with pytest.raises(ValueError, match="players must be at least two to interact; got 1"):
        of_game(E3, 4, players=pysmdl.regions.segments((4,), 1))
    with pytest.raises(TypeError, match="interactions has no setting 'search'"):
        of_game(E3, 4, search="exact")
