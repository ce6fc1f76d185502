"""What an absent region looks like."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl.inputs.image import input_spec
from pysmdl.removal import baseline_of
from pysmdl.scorers import classifier

from toys import image

RGB = image(height=9, width=11)


# Baselines


def test_baselines_by_name():
    spec = input_spec(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 1.0))
    x, black = spec.normalise(RGB), spec.black()
    shown = baseline_of("black", x, black)
    assert shown.shape == x.shape
    np.testing.assert_allclose(shown[:, 3, 4], [-0.2, -0.8, -0.3], atol=1e-6)
    np.testing.assert_array_equal(shown, spec.normalise(np.zeros_like(RGB)))
    assert not baseline_of("zero", x, black).any()
    np.testing.assert_allclose(baseline_of("mean", x, black)[:, 0, 0], x.mean((1, 2)), atol=1e-6)


def test_blur_is_a_gaussian_of_a_twentieth_of_the_shorter_side():
    x = torch.zeros(1, 60, 80)
    x[0, 30, 40] = 1
    blurred = baseline_of("blur", x, torch.zeros(1, 1, 1))[0]
    sigma = 60 / 20
    np.testing.assert_allclose(blurred[30, 40] / blurred[30, 43], np.exp(9 / (2 * sigma**2)), rtol=1e-3)
    assert blurred.sum() == pytest.approx(1, abs=1e-3)


def test_baselines_as_numbers():
    x, black = torch.rand(3, 4, 5), torch.zeros(1, 1, 1)
    for given in (
        0.5,
        np.float64(0.5),
        torch.tensor(0.5),
        [0.5, 0.5, 0.5],
        torch.full((3, 1, 1), 0.5),
        np.full((3, 4, 5), 0.5),
    ):
        assert (baseline_of(given, x, black) == 0.5).all()
    assert baseline_of([1.0, 2.0, 3.0], x, black)[:, 2, 2].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("white", "baseline must be one of 'black', 'blur', 'mean', 'zero'; got 'white'"),
        (np.zeros((4, 4, 5)), r"baseline must be a number, one per channel \[3\].*got \[4, 4, 5\]"),
        (float("nan"), "baseline must be finite"),
    ],
)
def test_bad_baselines_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        baseline_of(given, torch.rand(3, 4, 5), torch.zeros(1, 1, 1))


def test_the_baseline_is_what_the_empty_view_shows():
    rows = []

    def model(batch):
        rows.extend(batch.clone())
        return batch.mean((2, 3))

    scorer = classifier(model, mean=0.5, std=0.5)
    for baseline, value in (("black", -1.0), ("zero", 0.0), (0.25, 0.25)):
        rows.clear()
        pysmdl.explain(image(), scorer, 0, regions="grid:4", baseline=baseline, progress=False)
        assert any((row == value).all() for row in rows), baseline
