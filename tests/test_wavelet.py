"""Players in a transform: Haar coefficients, against energies that add up, and an inverse that gives the image back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl import removal, scorers
from pysmdl.removal.wavelet import inverse, level_of, subbands, transformed

ENERGY = scorers.scalar(lambda batch: (batch**2).sum((1, 2, 3)))


@pytest.fixture(scope="module")
def camera():
    data = pytest.importorskip("skimage.data")
    return torch.from_numpy(data.camera()[::8, ::8].astype(np.float32) / 255)[None]


def explained(x, **settings):
    return pysmdl.explain(x, ENERGY, progress=False, **{"search": "exact", **settings})


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 40), (2, 3, 8, 24)])
def test_the_inverse_gives_back_what_was_transformed(levels, shape):
    x = torch.from_numpy(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    packed = transformed(x, levels)
    assert torch.allclose(inverse(packed, levels), x, atol=1e-6)
    assert float((packed**2).sum()) == pytest.approx(float((x**2).sum())), "it is orthonormal"


def test_a_transform_by_hand():
    packed = transformed(torch.tensor([[1.0, 2], [3, 6]]), 1)
    assert torch.allclose(packed, torch.tensor([[6.0, -2], [-3, 1]]))


@pytest.mark.parametrize("search", ["exact", "guided", "occlusion", "kernel_shap"])
def test_values_of_a_sum_of_squares_are_the_energies_of_the_subbands(search, camera):
    found = explained(camera, removal=removal.wavelet(1), search=search)
    assert found.players == ("average", "level 1, rows", "level 1, columns", "level 1, both")
    values = found.values()
    assert values[0] == pytest.approx(1360.2767, abs=2e-3)
    assert sorted(values[1:], reverse=True) == pytest.approx([14.6707, 10.7464, 5.7692], abs=2e-3)
    assert found.by_group()["level 1"] == pytest.approx(14.6707 + 10.7464 + 5.7692, abs=3e-3)
    assert values.sum() == pytest.approx(1391.463, abs=2e-3)


def test_cells_of_the_packed_square_have_levels_and_lie_somewhere_in_the_image(camera):
    found = explained(camera, removal=removal.wavelet(3), players="cells:8", search="occlusion")
    assert (found.n, found.modality, found.labels.shape) == (64, "wavelet", (64, 64))
    assert list(found.by_group()) == ["average", "level 3", "level 2", "level 1"]
    where = removal.spatial_map(found)
    assert where.sum() == pytest.approx(found.values().sum(), rel=1e-6)
    dot = torch.zeros(1, 64, 64)
    dot[0, 40:44, 12:16] = torch.tensor([[1.0, -1, 1, -1]] * 4)
    of_dot = explained(dot, removal=removal.wavelet(3), players="cells:16", search="occlusion")
    assert removal.spatial_map(of_dot)[40:48, 8:16].sum() == pytest.approx(16, rel=1e-5)


def test_sides_that_do_not_divide_are_filled_up():
    x = torch.rand(3, 13, 22)
    found = explained(x, removal=removal.wavelet(2))
    assert found.labels.shape == (16, 24)
    assert found.deletion[0] == pytest.approx(float((x**2).sum()), rel=1e-5)
    assert found.insertion[0] == 0


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_every_coefficient_is_in_one_subband(levels):
    made, level = subbands((16, 32), levels), level_of((16, 32), levels)
    assert made.n == 3 * levels + 1
    for player in range(made.n):
        (own,) = np.unique(level[made.labels == player])
        assert made.groups[player] == ("average" if own > levels else f"level {own}")


def test_what_has_no_such_transform_is_refused():
    for levels in (0, 9, 2.5):
        with pytest.raises(ValueError, match="levels must be"):
            removal.wavelet(levels)
    with pytest.raises(ValueError, match="is of images"):
        explained(torch.rand(300), removal=removal.wavelet())
    with pytest.raises(ValueError, match="regions='slico:9' needs an image"):  # whose superpixels say nothing of these
        explained(torch.rand(3, 16, 16), removal=removal.wavelet(), players="slico:9")
    with pytest.raises(ValueError, match="paints nothing over"):
        explained(torch.rand(1, 8, 8), removal=removal.wavelet(), baseline="mean")
