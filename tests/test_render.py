"""Players that overlap, and inputs that a function of the caller's renders."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl import regions, removal, scorers
from pysmdl.errors import RegionError, ScorerError

from toys import image, linear_model

GRID = torch.arange(1.0, 17).view(1, 4, 4)
SUM = scorers.scalar(lambda batch: batch.sum((1, 2, 3)))
ROW, COLUMN = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
ROW[1], COLUMN[:, 2] = True, True


def explained(x, scorer, **settings):
    return pysmdl.explain(x, scorer, progress=False, **{"search": "exact", **settings})


@pytest.mark.parametrize("count", [1, 5])
def test_a_function_that_renders_another_number_of_rows_is_told_so(count):
    rendered = removal.render(lambda member, item: np.ones((count, 3), np.float32))
    scorer = scorers.scalar(lambda batch: batch.sum(1))
    with pytest.raises(ScorerError, match=rf"each of \d rows must get a score; removal 'render' .* made {count}"):
        explained(None, scorer, players=3, removal=rendered)


@pytest.mark.parametrize("shown", ["any", "all"])
def test_masks_that_do_not_overlap_are_a_partition_to_the_bit(shown):
    labels = np.arange(144).reshape(12, 12) // 16
    masks = labels[None] == np.arange(9)[:, None, None]
    by_labels, by_masks = (
        explained(image(), linear_model(), target=1, regions=given)
        for given in (labels, regions.overlapping(masks, shown))
    )
    for name in ("order", "insertion", "deletion", "area", "score"):
        assert np.array_equal(getattr(by_labels, name), getattr(by_masks, name))
    assert np.allclose(by_labels.value_map(), by_masks.value_map())


@pytest.mark.parametrize(
    ("shown", "crossing"), [("any", (False, True, True, True)), ("all", (False, False, False, True))]
)
def test_where_two_strokes_cross_one_is_enough_or_both_are_needed(shown, crossing):
    seen = []
    scorer = scorers.scalar(lambda batch: seen.append(batch.clone()) or batch.sum((1, 2, 3)))
    game = pysmdl.Game(GRID, scorer, players=regions.overlapping([ROW, COLUMN], shown, ["row", "column"]), baseline=0)
    seen.clear()
    subsets = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], bool)
    fresh = pysmdl.Game(GRID, scorer, players=regions.overlapping([ROW, COLUMN], shown), baseline=0)
    for subset, kept in zip(subsets, crossing, strict=True):
        by_hand = GRID[0].numpy().copy()
        for y, x in np.argwhere(ROW | COLUMN):
            covering = [subset[i] for i, mask in enumerate((ROW, COLUMN)) if mask[y, x]]
            by_hand[y, x] *= any(covering) if shown == "any" else all(covering)
        assert (by_hand[1, 2] > 0) == kept
        assert game(subset) == fresh(subset) == pytest.approx(by_hand.sum())


def test_of_overlapping_masks_a_point_carries_what_all_of_them_do(tmp_path):
    of = regions.overlapping([ROW, COLUMN], names=["row", "column"])
    found = explained(GRID, SUM, players=of, baseline=0)
    values = found.values()
    wanted = values[0] / 4 * ROW + values[1] / 4 * COLUMN
    assert np.allclose(found.value_map(), wanted)
    assert np.allclose(found.value_map(size=(8, 8))[::2, ::2], wanted)
    found.save(tmp_path / "x.npz")
    read = pysmdl.load(tmp_path / "x.npz")
    assert np.allclose(read.value_map(), wanted)
    assert read.players == ("row", "column")
    assert "covers" not in read.to_dict()


def test_a_mask_that_others_hide_is_a_player_like_any():
    hidden = np.zeros((4, 4), bool)
    hidden[0, :2] = True
    parts = [hidden, hidden.copy(), hidden.copy()]
    parts[1][0, 1], parts[2][0, 0] = False, False
    found = explained(GRID, SUM, players=regions.overlapping(parts), baseline=0)
    assert found.n == 3
    assert sorted(found.order) == [0, 1, 2]


def test_strokes_of_a_sketch_are_players_that_cross():
    made = regions.strokes([[(0, 8), (15, 8)], [(8, 0), (8, 15)]], (16, 16), width=1)
    assert made.names == ("stroke 0", "stroke 1")
    assert made.covers[:, 8, 8].all()
    assert [mask.sum() for mask in made.covers] == [16, 16]
    sketch = torch.from_numpy(made.covers.any(0)[None].astype(np.float32))
    found = explained(sketch, SUM, players=made)
    assert found.values().sum() == pytest.approx(31)
    assert pysmdl.Game(sketch, SUM, players=made)([[1, 0], [0, 1]]).tolist() == [16, 16]
    parts = regions.strokes([[(0, 8), (15, 8)], [(8, 0), (8, 15)]], (16, 16), width=1, pieces=3)
    assert (parts.n, parts.groups[:3]) == (6, ("stroke 0",) * 3)
    assert np.array_equal(parts.covers[:3].any(0), made.covers[0])
    for wrong in ([], [[(0, 0)]], [[(40, 40), (50, 50)]]):
        with pytest.raises(RegionError):
            regions.strokes(wrong, (16, 16))


def test_masks_that_cover_nothing_and_removals_for_partitions_alone_are_refused():
    with pytest.raises(RegionError, match="these are empty: 1"):
        regions.overlapping([ROW, ~ROW & ROW])
    with pytest.raises(RegionError, match="names must be 2"):
        regions.overlapping([ROW, COLUMN], names=["a"])
    with pytest.raises(ValueError, match="needs regions that do not overlap"):
        explained(GRID, SUM, players=regions.overlapping([ROW, COLUMN]), baseline=removal.noise(1.0))


def blended(member, item):
    """What painting black over does."""
    labels = torch.from_numpy(item.regions.labels).long()
    keep = torch.from_numpy(member)[:, labels]
    return torch.where(keep[:, None], item.x, 0.0)


@pytest.mark.parametrize("search", ["exact", "guided", "occlusion"])
def test_a_function_that_blends_is_painting_over(search):
    painted, rendered = (
        list(
            pysmdl.explain_many(
                [(image(i), i % 4) for i in range(3)], linear_model(), regions="grid:9", search=search, removal=how,
                ordered=True, progress=False,
            )
        )
        for how in (None, removal.render(blended))
    )  # fmt: skip
    for one, other in zip(painted, rendered, strict=True):
        assert np.array_equal(one.order, other.order)
        assert np.array_equal(one.insertion, other.insertion)
        assert one.evaluations == other.evaluations
    assert rendered[0].notes["removal"] == "render"


def test_a_text_is_what_its_words_make_of_it():
    """Black boxes of texts: a list of strings in, a number each out; no row twice."""
    seen = []

    def score(texts):
        seen.extend(texts)
        return np.array([("good" in text) + 2 * ("not" in text) for text in texts], np.float32)

    words = ["this", "is", "not", "good"]
    found = explained(
        words, scorers.scalar(score), players=words,
        removal=removal.render(lambda member, item: [" ".join(np.array(item.given)[kept]) for kept in member]),
    )  # fmt: skip
    assert found.players == tuple(words)
    assert found.values().tolist() == [0, 0, 2, 1]
    assert (found.modality, len(set(seen)), found.evaluations) == ("given", len(seen), len(seen))


def test_rendered_batches_may_be_arrays_and_dicts():
    def made(member, item):
        return {"one": member[:, :2].astype(np.float32), "two": torch.from_numpy(member[:, 2:]).float()}

    scorer = scorers.scalar(lambda batch: batch["one"].sum(1) + 3 * batch["two"].sum(1))
    found = explained(None, scorer, players=4, removal=removal.render(made))
    assert found.values().tolist() == [1, 1, 3, 3]
    assert found.n == 4
    with pytest.raises(ScorerError, match="render must make a tensor, an array, a dict of them or a list; got int"):
        explained(None, scorer, players=4, removal=removal.render(lambda member, item: 3))
    with pytest.raises(TypeError, match="render needs a function"):
        removal.render(3)
