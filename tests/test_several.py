"""Several inputs at once: each divided and painted over by itself, the model given a dict, players grouped by input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl import regions, scorers

from toys import image

TABLE = torch.tensor([0.0, 1, 2, 4, 8, 16])


def both(batch):
    """A pair's score: the image's sum, an eighth of the ids', and a bonus where both have their first player."""
    seen, said = batch["image"].sum((1, 2, 3)), TABLE[batch["text"]]
    return seen + said.sum(1) / 8 + (batch["image"][:, 0, 0, 0] > 0) * (said[:, 0] > 0)


def pair(**settings):
    x = torch.full((1, 4, 4), 0.25)
    given = {"image": x, "text": torch.tensor([5, 3])}
    return pysmdl.explain(given, scorers.scalar(both), progress=False, **{"search": "exact", **settings})


def test_players_of_all_inputs_are_one_set_grouped_by_input(tmp_path):
    found = pair(players={"image": "grid:4", "text": ["loud", "soft"]})
    assert found.players == ("image: 0", "image: 1", "image: 2", "image: 3", "text: loud", "text: soft")
    assert found.by_group().keys() == {"image", "text"}
    assert sum(found.by_group().values()) == pytest.approx(4 + 20 / 8 + 1)
    assert found.area[-1] == 1
    assert found.modality == "several"
    found.save(tmp_path / "x.npz")
    assert pysmdl.load(tmp_path / "x.npz").groups == found.groups


def test_each_input_is_composed_by_itself():
    game = pysmdl.Game(
        {"image": torch.full((1, 4, 4), 0.25), "text": torch.tensor([5, 3])}, scorers.scalar(both),
        players={"image": "grid:4"}, baseline={"image": 0.0, "text": 1},
    )  # fmt: skip
    assert game.n_players == 6
    values = game([[0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0], [1, 0, 0, 0, 1, 1], [0, 1, 1, 1, 0, 0]])
    assert values.tolist() == pytest.approx([0.25, 1 + 0.25 + 1, 17 / 8, 1 + 20 / 8 + 1, 3 + 0.25])


def test_pairs_share_batches_and_change_nothing_for_each_other():
    rng = np.random.default_rng(0)
    items = [
        {"input": {"image": torch.from_numpy(rng.random((1, 4, 4), np.float32)), "text": torch.tensor([i, 5 - i])}}
        for i in range(1, 5)
    ]
    settings = {"players": {"image": "grid:4"}, "search": "exact", "progress": False}
    together = list(pysmdl.explain_many(items, scorers.scalar(both), ordered=True, **settings))
    for item, found in zip(items, together, strict=True):
        alone = pysmdl.explain(item["input"], scorers.scalar(both), **settings)
        assert np.array_equal(alone.order, found.order)
        assert np.array_equal(alone.insertion, found.insertion)


def test_a_picture_and_a_row_in_one_question():
    model = scorers.scalar(lambda batch: batch["photo"].mean((1, 2, 3)) + batch["facts"] @ torch.tensor([1.0, 2]))
    found = pysmdl.explain({"photo": image(), "facts": np.array([3.0, 4])}, model, progress=False,
                           players={"photo": "grid:4", "facts": ["age", "height"]}, search="exact")  # fmt: skip
    assert found.players[-2:] == ("facts: age", "facts: height")
    assert found.pixels is not None
    assert found.by_group()["facts"] == pytest.approx(11, abs=1e-4)


def test_what_several_inputs_cannot_have_is_refused():
    with pytest.raises(ValueError, match="players of several inputs are given by name, of image, text"):
        pair(players="grid:4")
    with pytest.raises(ValueError, match="given by name"):
        pair(players={"sound": "time:4"})
    with pytest.raises(ValueError, match='several inputs need removal="baseline"'):
        pair(baseline=pysmdl.removal.noise(1.0))
    with pytest.raises(
        ValueError, match="baseline of several inputs must be the same each time; of 'image' it is a fill"
    ):
        pair(baseline={"image": pysmdl.removal.noise(1.0)})
    with pytest.raises(ValueError, match=r"baseline of several inputs is given by name, of image, text; got \['txt'\]"):
        pair(baseline={"txt": 0})
    with pytest.raises(ValueError, match=r"several inputs need names that are text; got \[0, 1\]"):
        pysmdl.explain({0: image(), 1: np.ones(3)}, scorers.scalar(lambda batch: batch[0]), progress=False)
    masks = np.ones((2, 4, 4), bool)
    with pytest.raises(ValueError, match="those of 'image' do"):
        pair(players={"image": regions.overlapping(masks)})
