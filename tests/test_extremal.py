"""Extremal masks of a model that reads one disc: where they lie, how large they are, and what they score."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pysmdl import heads, scorers
from pysmdl.studies import extremal

SIDE = 64


def noise():
    return np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)


def disc(radius):
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return (rows - 30) ** 2 + (columns - 34) ** 2 <= radius**2


def reader(inside, image):
    """A model of how much of a disc's pattern is there: 1 of all of it."""
    d, whole = torch.from_numpy(inside), torch.from_numpy(image).permute(2, 0, 1).float() / 255
    pattern = whole[:, d] - whole[:, d].mean(1, keepdim=True)

    def model(batch):
        share = (batch[:, :, d] * pattern).mean((1, 2)) / (pattern**2).mean()
        return torch.stack((0 * share, 6 * share - 2), 1)

    return model


@pytest.mark.parametrize(
    ("radius", "variant"),
    [(10, "preserve"), *(pytest.param(15, each, marks=pytest.mark.slow) for each in ("preserve", "dual"))],
)
def test_the_mask_of_a_disc_is_the_disc(radius, variant):
    inside = disc(radius)
    areas = [inside.mean(), inside.mean() / 2]
    found = extremal(noise(), reader(inside, noise()), 1, areas=areas, variant=variant, steps=60, regions="grid:64")
    mask = found.masks[0]
    assert (mask & inside).sum() / (mask | inside).sum() >= 0.8
    assert (found.masks[1] & inside).sum() / found.masks[1].sum() >= 0.8
    assert found.masks.mean((1, 2)) == pytest.approx(areas, rel=0.02)
    assert (found.scores >= found.subset_scores - 0.02).all()
    assert (found.subsets.mean((1, 2)) <= np.array(areas) + 1e-6).all()
    assert found.smooth.shape == (2, SIDE, SIDE)
    assert found.smooth.min() >= 0
    assert found.smooth.max() <= 1 + 1e-6


def test_a_score_is_the_one_that_is_explained():
    """What a mask of all but one point keeps scores what the full input does, by any head; the same each time."""
    inside, image = disc(10), noise()
    model = reader(inside, image)
    for scorer, target in (
        (scorers.classifier(model, head=heads.log_odds()), 1),
        (scorers.classifier(model, head=heads.kl()), 1),
        (scorers.scalar(lambda batch: model(batch)[:, 1]), None),
    ):
        found, again = (extremal(image, scorer, target, areas=[0.9997], steps=2, regions="grid:16") for _ in range(2))
        assert found.masks.sum() == SIDE * SIDE - 1
        assert found.scores[0] == pytest.approx(found.explanation.deletion[0], abs=0.05)
        assert np.array_equal(again.smooth, found.smooth)


def test_the_weights_of_a_model_get_no_gradients():
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 5), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()).eval()
    extremal(noise(), net, areas=[0.1], steps=2, regions="grid:4")
    assert all(each.grad is None for each in net.parameters())


def test_what_is_wrong_is_said():
    def blind(batch):
        return torch.stack((batch.detach().mean((1, 2, 3)), batch.detach()[:, 0, 0, 0]), 1)

    with pytest.raises(ValueError, match="model must be one of torch that gradients go through"):
        extremal(noise(), blind, steps=1, regions="grid:4")
    with pytest.raises(ValueError, match="variant must be one of 'dual', 'preserve'; got 'keep'"):
        extremal(noise(), blind, variant="keep")
    with pytest.raises(ValueError, match="areas must be a finite number above 0 and below 1; got 1"):
        extremal(noise(), blind, areas=[1])
    similarity = scorers.encoder(lambda batch: batch.mean((2, 3)))
    with pytest.raises(ValueError, match="model must be a classifier or give a number; got Similarity"):
        extremal(noise(), similarity, steps=1, regions="grid:4")
    with pytest.raises(TypeError, match="extremal has no setting 'area'; there is areas"):
        extremal(noise(), blind, area=0.1)
