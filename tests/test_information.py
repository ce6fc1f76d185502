"""pid: what pairs of players say about a score, through errors of an exact denoiser and of games known by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from closed_forms import LOG_SNR, denoising_errors

from pysmdl import heads, scorers
from pysmdl.studies import pid


def test_a_sum_of_two_normals_has_the_information_that_is_known():
    """x = y1 + y2 + e (E8): each says 1/2 log 3/2, both 1/2 log 3."""
    scorer = scorers.custom(lambda batch: denoising_errors(batch[:, 0]), heads.denoising(LOG_SNR), dims=2)
    found = pid(torch.ones(1, 2), scorer, players="columns", baseline="zero")
    assert found.information == pytest.approx([0.20273255] * 2, abs=1e-3)
    assert found.redundancy[0, 1] == found.redundancy[1, 0] == pytest.approx(0.20273255, abs=1e-3)
    assert [found.unique[0, 1], found.unique[1, 0]] == pytest.approx([0, 0], abs=1e-3)
    assert found.synergy[0, 1] == pytest.approx(0.34657359, abs=1e-3)
    assert found.redundancy[0, 1] + found.synergy[0, 1] == pytest.approx(0.54930614, abs=1e-3)
    assert np.isnan(np.diag(found.synergy)).all()
    assert found.evaluations == 4


def test_each_place_has_its_own_parts_and_they_add_up():
    """Of two places one is drawn by the first two of three parts, the other by the last."""

    def errors(batch):
        shown = batch[:, 0]
        return torch.stack((denoising_errors(shown[:, :2]), denoising_errors(shown[:, 2:])), 2)[:, :, None]

    scorer = scorers.custom(errors, heads.denoising(LOG_SNR), dims=4)
    settings = {"players": "columns", "baseline": "zero"}
    places = pid(torch.ones(1, 3), scorer, pointwise=True, **settings)
    alone = [[0.2027, 0], [0.2027, 0], [0, 0.3466]]
    np.testing.assert_allclose(places.information, alone, atol=1e-3)
    np.testing.assert_allclose(places.synergy[0, 1], [0.3466, 0], atol=1e-3)
    np.testing.assert_allclose(places.unique[2, 0], [0, 0.3466], atol=1e-3)
    np.testing.assert_allclose(places.redundancy[0, 2], [0, 0], atol=1e-3)
    whole = pid(torch.ones(1, 3), scorer, **settings)
    np.testing.assert_allclose(places.information.sum(1), whole.information, atol=1e-5)


def of_game(values, **settings):
    """A game of three players by name: {players: value}."""

    def value(rows):
        return [values["".join(name for name, kept in zip("abc", row, strict=True) if kept)] for row in rows.tolist()]

    scorer = scorers.table(lambda rows: np.array(value(rows)), list("abc"))
    return pid(np.ones(3), scorer, baseline="zero", **settings)


GAME = {"": 1.0, "a": 1.5, "b": 1.25, "c": 0.5, "ab": 2.5, "ac": 1.25, "bc": 1.5, "abc": 9.0}


def test_a_game_is_decomposed_by_hand():
    found = of_game(GAME)
    assert found.information.tolist() == [0.5, 0.25, -0.5]
    assert (found.redundancy[0, 1], found.unique[0, 1], found.unique[1, 0]) == (0.25, 0.25, 0)
    assert found.synergy[0, 1] == 1.0
    assert found.redundancy[2, 0] == -0.5
    assert found.names == ("a", "b", "c")
    assert found.evaluations == 7
    clipped = of_game(GAME, clip=True)
    assert (clipped.redundancy[2, 0], clipped.unique[0, 2], clipped.synergy[0, 2]) == (0, 0.5, -0.25)


def test_some_pairs_cost_no_more_than_they_are():
    found = of_game(GAME, pairs=[("a", "c"), (1, 2)])
    assert np.isnan(found.synergy[0, 1])
    assert found.synergy[1, 2] == found.synergy[2, 1] == 0.5 - 0.25
    assert found.evaluations == 6


def test_what_is_wrong_is_said():
    with pytest.raises(ValueError, match=r"pairs must be of two players each, by number or name; got \('a', 'd'\)"):
        of_game(GAME, pairs=[("a", "d")])
    with pytest.raises(ValueError, match="pairs must be of two players"):
        of_game(GAME, pairs=[(1, "b")])
    with pytest.raises(ValueError, match="pointwise needs a score of several parts"):
        of_game(GAME, pointwise=True)
    with pytest.raises(ValueError, match="log_snr must be at least two finite numbers that rise"):
        heads.denoising([1, 0])
    scorer = scorers.custom(lambda batch: batch[:, 0], heads.denoising([0, 1, 2]), dims=2)
    with pytest.raises(ValueError, match=r"denoising reads answers \[B, 3, ...\] of errors"):
        pid(torch.ones(1, 2), scorer, players="columns", baseline="zero")
    with pytest.raises(TypeError, match="pid has no setting 'search'"):
        of_game(GAME, search="exact")
