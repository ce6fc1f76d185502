"""How alike explanations are, whether they serve groups alike, and concepts: values by hand, and known maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl import methods, metrics, scorers, studies

ONE, OTHER = np.array([5, 4, 3, 2, 1]), np.array([4, 5, 3, 1, 2])


@pytest.mark.parametrize(
    ("measure", "held"), [("kendall", 0.6), ("spearman", 0.8), ("cosine", 0.96363636), ("top:2", 1), ("top:1", 0)]
)
def test_two_rankings_have_their_similarities(measure, held):
    """(5, 4, 3, 2, 1) and (4, 5, 3, 1, 2) (E9)."""
    assert metrics.similarity(ONE, OTHER, measure) == pytest.approx(held, abs=1e-8)


def blob(y, x, side=64):
    rows, columns = np.mgrid[:side, :side]
    return np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 50.0)


@pytest.mark.parametrize("measure", ["spearman", "kendall", "cosine", "ssim", "hog", "top:200"])
def test_a_map_is_like_itself_at_any_scale_and_less_like_what_lies_elsewhere(measure):
    here, there, far = blob(20, 20), blob(24, 22), blob(45, 50)
    assert metrics.similarity(here, 3 * here, measure) == pytest.approx(1, abs=1e-6)
    near, away = metrics.similarity(here, there, measure), metrics.similarity(here, far, measure)
    assert away < near < 1
    noise = np.random.default_rng(0).normal(size=(2, 64, 64))
    if measure in ("spearman", "kendall", "cosine"):  # chance: 0 within three standard errors
        assert abs(metrics.similarity(*noise, measure)) < 3 / 64
    found = metrics.pairwise_similarity([here, there, far], measure)
    assert (found[0, 1], found[2, 0]) == (near, away)
    assert np.array_equal(found, found.T)
    assert np.array_equal(np.diag(found), np.ones(3))


def test_upside_down_is_the_opposite():
    assert metrics.similarity(ONE, -ONE) == pytest.approx(-1)
    assert metrics.similarity(ONE, -ONE, "kendall") == pytest.approx(-1)


def test_of_a_constant_map_nothing_can_be_said():
    flat = np.ones((64, 64))
    for measure in ("spearman", "kendall", "hog"):
        assert np.isnan(metrics.similarity(flat, blob(9, 9), measure))
    assert np.isnan(metrics.similarity(0 * flat, blob(9, 9), "ssim"))
    assert np.isnan(metrics.similarity(0 * flat, blob(9, 9), "cosine"))


def picture():
    return np.random.default_rng(0).integers(0, 255, (48, 48, 3)).astype(np.uint8)


def middle(batch):
    return torch.stack((batch[..., 16:32, 16:32].mean((1, 2, 3)), batch.mean((1, 2, 3)) * 0.5), 1)


def test_explanations_of_many_settings_are_compared():
    found = studies.sweep(
        [picture(), picture()[::-1]], middle, over={"seed": [0, 1], "baseline": ["black", "mean"]}, regions="grid:9"
    )
    assert found.settings[1] == {"seed": 0, "baseline": "mean"}
    assert found.similarity().shape == (2, 4, 4)
    seeds = found.similarity("top:256")[:, [0, 1], [2, 3]]
    assert (seeds == 1).all(), "guided asks the same of nine regions whatever the seed"
    told = found.summary()
    assert told["least"] <= told["mean"] <= 1
    assert told["score_deviation"] > 0


def test_what_depends_on_the_seed_alone_is_told_from_what_does_not():
    settings = {"over": {"seed": range(4)}, "regions": "grid:36"}
    exact, drawn = (
        studies.sweep([picture()], middle, search=search, **settings)
        for search in ("occlusion", methods.lime(evaluations=45))
    )
    assert exact.summary()["mean"] == pytest.approx(1)
    assert exact.summary()["score_deviation"] == 0
    assert drawn.summary("kendall")["least"] < drawn.summary("kendall")["mean"] < 0.9


def test_gaps_between_groups_by_hand():
    """Shares 0.95, 0.90 and 0.80 of 100, 60 and 40 inputs (E9)."""
    right = np.repeat([1, 0, 1, 0, 1, 0], [95, 5, 54, 6, 32, 8])
    groups = ["a"] * 100 + ["b"] * 60 + ["c"] * 40
    found = metrics.group_gaps(right, groups)
    assert found.largest == pytest.approx(0.105)
    assert found.mean == pytest.approx(0.1)
    assert found.groups == {"a": 0.95, "b": 0.9, "c": 0.8}
    assert metrics.group_gaps(right, groups, of=np.sum).groups["c"] == 32


def test_the_model_that_lime_fits_says_what_a_linear_model_does():
    data = np.random.default_rng(0).normal(size=(40, 3))

    def linear(rows):
        return rows @ [0.1, 0.2, -0.1] + 0.5

    def steep(rows):
        return 1 / (1 + np.exp(1 - 20 * rows.prod(1)))

    search = methods.lime(alpha=0, kernel_width=np.inf)  # all subsets weigh the same
    settings = {"players": "columns", "baseline": "mean", "progress": False, "search": search}
    for model, exact in ((linear, True), (steep, False)):
        scorer = scorers.table(model, ["a", "b", "c"], data=data)
        found = sorted(pysmdl.explain_many(list(data), scorer, **settings), key=lambda each: each.index)
        error = metrics.fidelity(found, "error")
        assert (error < 1e-5).all() == exact
        assert metrics.fidelity(found).min() == (1 if exact else 0)


def test_concepts_count_for_the_classes_that_have_them():
    found = metrics.cgim([[1, 0], [3, 4], [0, 0]], [[2, 0], [4, 3], [1, 1]])
    np.testing.assert_allclose(found, [1, 24 / 25, np.nan])


def test_the_most_important_concepts_are_there_or_not():
    values, present = [0.5, 0.9, -1, 0.7], [True, False, True, True]
    assert [metrics.cem(values, present, count) for count in (1, 2, 3)] == [0, 0.5, pytest.approx(2 / 3)]


def test_concepts_are_seen_where_their_part_is():
    maps, centres = [blob(20, 20), blob(20, 20)], [[20.5, 20.5], [50.5, 50.5]]
    assert metrics.clm([1, 2], maps, centres) == 0
    assert metrics.clm([1, 2], maps, centres, count=2) == 0.5
    assert metrics.clm([1, 2], maps, [[20, 20], [np.nan, np.nan]], count=2) == 0.5
    flat = [np.ones((24, 24))]
    assert [metrics.clm([1], flat, [[3, 3]], alpha=alpha) for alpha in (1, 3, 6)] == pytest.approx(
        [1 / 12, 1 / 4, 1 / 2]
    )
    e = pysmdl.explain(picture(), middle, 0, regions="grid:9", search="occlusion", progress=False)
    assert metrics.clm([1], [e], [[24, 24]], alpha=2) == 1
    assert metrics.clm([1], [e], [[3, 3]], alpha=1) == 0


def test_what_is_wrong_is_said():
    with pytest.raises(ValueError, match="measure must be one of 'cosine', 'hog', 'kendall', 'spearman', 'ssim', 'top"):
        metrics.similarity(ONE, OTHER, "pearson")
    with pytest.raises(ValueError, match="the K of top:K must be at most 5"):
        metrics.similarity(ONE, OTHER, "top:6")
    with pytest.raises(ValueError, match="the K of top:K must be a whole number of at least 1"):
        metrics.similarity(ONE, OTHER, "top:0")
    with pytest.raises(ValueError, match="must have one shape"):
        metrics.similarity(ONE, OTHER[:4])
    with pytest.raises(ValueError, match=r"hog needs maps \[H, W\] of at least 48 x 48; got \[32, 32\]"):
        metrics.similarity(np.eye(32), np.eye(32), "hog")
    with pytest.raises(ValueError, match="must be finite"):
        metrics.similarity(ONE, OTHER * np.nan)
    with pytest.raises(ValueError, match="at least two to be compared; got 1"):
        metrics.pairwise_similarity([ONE])
    with pytest.raises(ValueError, match="over has 'seed', which is given by itself, too"):
        studies.sweep([picture()], middle, over={"seed": [0, 1]}, seed=3)
    with pytest.raises(ValueError, match="two combinations of settings at least; got 1"):
        studies.sweep([picture()], middle, over={"seed": [0]})
    with pytest.raises(ValueError, match=r"over must be one of .*'seed'.*; got 'sed'"):
        studies.sweep([picture()], middle, over={"sed": [0, 1]})
    with pytest.raises(ValueError, match="groups must be two at least"):
        metrics.group_gaps([1, 0], ["a", "a"])
    with pytest.raises(ValueError, match="groups must name one of each"):
        metrics.group_gaps([1, 0], ["a"])
    e = pysmdl.explain(picture(), middle, 0, regions="grid:9", search="occlusion", progress=False)
    with pytest.raises(ValueError, match="explanations must be of a method that fits a model"):
        metrics.fidelity(e)
    with pytest.raises(ValueError, match=r"centres must lie in the map, 48 x 48"):
        metrics.clm([1], [e], [[60, 3]])
    with pytest.raises(ValueError, match="count=2 concepts"):
        metrics.cem([1], [True], 2)
