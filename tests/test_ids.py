"""Ids, signals, and grids that are no image's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl.errors import ImageError
from pysmdl.scorers import scalar


@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4", ">i4", "u4", "i8", "u8", "?"])
def test_whole_numbers_of_any_type_are_ids(kind):
    ids, table = np.array([3, 0, 1, 2]).astype(kind), torch.tensor([0.0, 1, 2, 4])
    scorer = scalar(lambda batch: table[batch.long()].sum(1))
    found = pysmdl.explain(ids, scorer, baseline=0, search="occlusion", progress=False)
    assert found.modality == "ids"
    assert found.attribution.tolist() == table[torch.from_numpy(ids.astype(np.int64))].tolist()


def test_lists_and_series_of_numbers_are_ids_and_signals():
    pandas = pytest.importorskip("pandas")
    table = torch.tensor([0.0, 1, 2, 4])
    scorer = scalar(lambda batch: table[batch.long()].sum(1))
    for ids in ([3, 1, 2], [np.int64(3), 1, 2], pandas.Series([3, 1, 2]), pandas.Series([3, 1, 2])[::-1][::-1]):
        found = pysmdl.explain(ids, scorer, baseline=0, search="occlusion", progress=False)
        assert found.attribution.tolist() == [4, 1, 2]
    for values in ([0.5, 1, 2], pandas.Series([0.5, 1, 2])):
        found = pysmdl.explain(values, scalar(lambda batch: batch.sum(1)), search="occlusion", progress=False)
        assert found.attribution.tolist() == [0.5, 1, 2]
    with pytest.raises(ImageError, match=r"must be float .*, or plain \[N\]; got torch.complex64"):
        pysmdl.explain(torch.ones(3, dtype=torch.complex64), scorer, progress=False)
    with pytest.raises(ImageError, match="image must be a path"):
        pysmdl.explain(["a", 1], scorer, progress=False)


def test_of_ids_no_fraction_is_drawn():
    scorer = scalar(lambda batch: batch.float().sum(1))
    for fill in (pysmdl.removal.noise(1.0), pysmdl.removal.boundary_gaussian()):
        with pytest.raises(ValueError, match="draws fractions; of ids a baseline must hold whole numbers"):
            pysmdl.explain(torch.tensor([3, 14, 15]), scorer, baseline=fill, progress=False)
    drawn = pysmdl.removal.marginal([[1, 2, 3], [3, 2, 1]])
    found = pysmdl.explain(torch.tensor([3, 14, 15]), scorer, baseline=drawn, search="occlusion", progress=False)
    assert found.attribution.tolist() == [1, 12, 13]


def test_axes_that_are_short_are_not_divided_so_that_cells_are_about_so_many():
    total = scalar(lambda batch: batch.flatten(1).sum(1))
    for shape in ((4, 1, 500), (4, 500, 2), (2, 1, 3, 500), (2, 7, 7)):
        assert pysmdl.explain(torch.ones(shape), total, search="occlusion", progress=False).n == 49


def test_other_grids_than_images():
    sound = torch.rand(1, 40)
    labels = np.arange(40) // 8

    def model(batch):
        return torch.stack((batch[:, 0, 16:24].sum(1), batch[:, 0].mean(1)), 1)

    found = pysmdl.explain(sound, model, 0, regions=labels, progress=False)
    assert found.order[0] == 2
    volume = torch.rand(2, 4, 4, 4)
    found = pysmdl.explain(
        volume, lambda b: b.flatten(1)[:, :3], 0, regions=np.arange(64).reshape(4, 4, 4) // 16, progress=False
    )
    assert found.saliency().shape == (4, 4, 4)
