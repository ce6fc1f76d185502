"""Ctrl-C: what was settled is handed over, and nobody loses what was done."""

from __future__ import annotations

import numpy as np
import pytest

import pysmdl

from toys import Recorder, explain, failing_at, image, linear_model


def interrupted(model, **settings) -> pysmdl.Explanation:
    """What Ctrl-C carries out of explain()."""
    with pytest.raises(KeyboardInterrupt) as caught:
        explain(model, **settings)
    (partial,) = caught.value.partial
    return partial


def test_ctrl_c_ends_a_loop_over_images():
    explained = []

    def over_images():
        for seed in range(4):
            explained.append(explain(Recorder(linear_model(), failing_at(0 if seed == 2 else 99)), seed=seed))

    with pytest.raises(KeyboardInterrupt) as caught:
        over_images()
    assert len(explained) == 2
    assert caught.value.partial == ()  # the model had answered nothing of that image


def test_ctrl_c_gives_back_what_is_done():
    def fail(model, batch):
        if len(model.rows) > 120:
            raise KeyboardInterrupt

    found = interrupted(Recorder(linear_model(), fail), search="exact", batch_size=4)
    full = explain(linear_model(), search="exact")
    assert found.notes["stopped"] == "interrupted"
    assert 0 < len(found.order) < 16
    assert found.order.tolist() == full.order[: len(found.order)].tolist()
    found.to_json()


def test_ctrl_c_in_a_crowd_gives_back_all_that_are_in_flight():
    def fail(model, batch):
        if len(model.rows) > 1300:
            raise KeyboardInterrupt

    found = []
    with pytest.raises(KeyboardInterrupt):
        found.extend(
            pysmdl.explain_many(
                [image(s) for s in range(6)],
                Recorder(linear_model(), fail),
                regions="grid:16",
                search="bidirectional",
                progress=False,
            )
        )
    stopped = [each for each in found if each.notes.get("stopped") == "interrupted"]
    assert stopped
    assert len(found) > len(stopped)


@pytest.mark.parametrize("search", ["backward", "guided"])
def test_ctrl_c_gives_back_the_best_order_known_where_none_is_settled(search):
    def fail(model, batch):
        if len(model.rows) > 120:
            raise KeyboardInterrupt

    found = interrupted(Recorder(linear_model(), fail), search=search, batch_size=4)
    assert sorted(found.order) == list(range(16))
    assert found.order.tolist() != list(range(16))


def test_ctrl_c_in_order_gives_back_all_that_is_done():
    def fail(model, batch):
        if len(model.rows) > 1300:
            raise KeyboardInterrupt

    items = ["missing.png", *(image(seed) for seed in range(6))]
    found = []
    with pytest.raises(KeyboardInterrupt):
        found.extend(
            pysmdl.explain_many(
                items, Recorder(linear_model(), fail), regions="grid:16", search="bidirectional", ordered=True,
                progress=False, on_error="skip",
            )
        )  # fmt: skip
    indices = [each.index for each in found]
    assert indices == sorted(indices)
    assert any(each.notes.get("stopped") == "interrupted" for each in found)
    assert any("stopped" not in each.notes for each in found)


@pytest.mark.parametrize("ordered", [True, False])
def test_ctrl_c_between_two_batches_loses_nothing_that_is_done(ordered):
    def stop(progress):
        if progress.finished == 3:
            raise KeyboardInterrupt

    found = []
    with pytest.raises(KeyboardInterrupt):
        found.extend(
            pysmdl.explain_many(
                [image(seed) for seed in range(3)], linear_model(), regions="grid:4", ordered=ordered, progress=stop
            )
        )
    assert sorted(each.index for each in found) == [0, 1, 2]


def test_what_was_settled_shows_without_the_points_that_were_not_measured():
    def fail(model, batch):
        if len(model.rows) > 120:
            raise KeyboardInterrupt

    found = interrupted(Recorder(linear_model(), fail), search="exact", batch_size=4)
    assert np.isnan(found.insertion[0])
    assert found.saliency().max() == 1
    assert found.highest_confidence() == np.nanmax(found.insertion)
    nothing = interrupted(Recorder(linear_model(), failing_at(2)), search="exact", batch_size=1)
    assert np.isnan(nothing.highest_confidence())
    assert nothing.best_step() == 0
