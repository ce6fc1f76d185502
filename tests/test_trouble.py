"""When things break: memory, models, inputs, Ctrl-C. What was found stays, and no input takes others along."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl import EngineConfig
from pysmdl.errors import ScorerError
from pysmdl.progress import Progress

from toys import Recorder, explain, image, linear_model, same


def test_out_of_memory_halves_the_batch_and_goes_on(caplog):
    def fail(model, batch):
        if len(batch) > 6:
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")

    model = Recorder(linear_model(), fail)
    with caplog.at_level(logging.WARNING, "pysmdl"):
        found = explain(model, batch_size=32)
    assert same(found, explain(linear_model()))
    assert len(model.rows) == len(set(model.rows)) == found.evaluations
    assert "out of memory at 32 rows; going on with batches of 16" in caplog.text
    assert model.sizes.count(32) == 1


def test_out_of_memory_at_one_row_is_an_error():
    def fail(model, batch):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    with pytest.raises(ScorerError, match="can't allocate memory"):
        explain(Recorder(linear_model(), fail))


def failing_after(rows):
    def fail(model, batch):
        if len(model.rows) >= rows:
            raise RuntimeError("no luck")

    return fail


def test_a_model_that_raises_in_mid_search_leaves_what_was_found():
    with pytest.raises(ScorerError, match="the model failed on the input: RuntimeError: no luck") as caught:
        explain(Recorder(linear_model(), failing_after(120)), search="exact", batch_size=4)
    (partial,) = caught.value.partial
    full = explain(linear_model(), search="exact")
    assert 0 < len(partial.order) < 16
    assert partial.order.tolist() == full.order[: len(partial.order)].tolist()
    np.testing.assert_array_equal(partial.insertion[1:], full.insertion[1 : len(partial.order) + 1])
    assert partial.notes["stopped"] == "the model failed"


def poison(x: float):
    """A model that breaks on one image, known by a pixel that its regions never hide."""

    def fail(model, batch):
        if (batch[:, 0, 0, 0] == x).any():
            raise RuntimeError("cannot look at this")

    return fail


def poisoned_items():
    items = []
    for seed in range(6):
        pixels, labels = image(seed), np.arange(144).reshape(12, 12) // 16
        pixels[0, 0], labels[0, 0] = (255 if seed == 3 else 0), -1
        items.append({"image": pixels, "regions": labels, "target": 1, "id": str(seed)})
    return items


def test_a_failure_before_any_curve_point_keeps_its_message():
    def fail(recorder, batch):
        if len(recorder.sizes) > 1:
            raise RuntimeError("no such layer")

    with pytest.raises(ScorerError, match="the model failed on the input: RuntimeError: no such layer") as caught:
        explain(Recorder(linear_model(), fail), search="exact", batch_size=4)
    (partial,) = caught.value.partial
    assert len(partial.order) == 0
    assert np.isnan(partial.insertion).all()


def test_one_bad_input_takes_no_other_along(caplog):
    stream = pysmdl.explain_many(
        poisoned_items(), Recorder(linear_model(), poison(1.0)), progress=False, on_error="skip"
    )
    with caplog.at_level(logging.ERROR, "pysmdl"):
        assert sorted(each.id for each in stream) == ["0", "1", "2", "4", "5"]
    assert "input skipped: the model failed on input '3'" in caplog.text


def test_raise_finishes_what_is_in_flight_first():
    stream = pysmdl.explain_many(poisoned_items(), Recorder(linear_model(), poison(1.0)), progress=False)
    done = []
    with pytest.raises(ScorerError, match="input '3'"):
        done.extend(each.id for each in stream)
    assert {"0", "1", "2"} <= set(done)


def test_an_unreadable_image_in_a_stream_loses_nothing(tmp_path):
    items = [image(0), image(1), tmp_path / "missing.png", image(2)]
    done = []
    with pytest.raises(pysmdl.PysmdlError, match="no such image"):
        done.extend(pysmdl.explain_many(items, linear_model(), regions="grid:9", progress=False))
    assert len(done) == 2
    found = list(pysmdl.explain_many(items, linear_model(), regions="grid:9", progress=False, on_error="skip"))
    assert len(found) == 3


def test_nan_is_refused_with_the_number_of_rows():
    def model(batch):
        logits = linear_model()(batch)
        logits[batch[:, 0, 0, 0] == 0] = torch.nan
        return logits

    with pytest.raises(ScorerError, match=r"the model returned NaN or infinity for \d+ of \d+ rows of the input"):
        explain(model)


def test_nan_for_one_input_takes_no_other_along():
    def model(batch):
        logits = linear_model()(batch)
        logits[batch[:, 0, 0, 0] == 1.0] = torch.nan
        return logits

    stream = pysmdl.explain_many(poisoned_items(), model, progress=False, on_error="skip")
    assert sorted(each.id for each in stream) == ["0", "1", "2", "4", "5"]


def test_ctrl_c_gives_back_what_is_done():
    def fail(model, batch):
        if len(model.rows) > 120:
            raise KeyboardInterrupt

    found = explain(Recorder(linear_model(), fail), search="exact", batch_size=4)
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
                [image(s) for s in range(6)], Recorder(linear_model(), fail), regions="grid:16", progress=False
            )
        )
    stopped = [each for each in found if each.notes.get("stopped") == "interrupted"]
    assert stopped
    assert len(found) > len(stopped)


def test_progress_is_told_after_each_batch():
    seen: list[Progress] = []
    found = explain(linear_model(), batch_size=8, progress=seen.append)
    assert [each.evaluations for each in seen] == sorted({each.evaluations for each in seen})
    last = seen[-1]
    assert (last.evaluations, last.finished, last.inputs) == (found.evaluations, 1, 1)
    assert last.expected >= found.evaluations
    assert last.rate > 0
    assert seen[0].seconds_left > 0


def test_settings_are_checked():
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1; got 0"):
        explain(linear_model(), batch_size=0)
    with pytest.raises(ValueError, match=r"slots must be a whole number of at least 1; got 1\.5"):
        EngineConfig(slots=1.5)


def test_steps_raise_what_the_model_raises():
    with pytest.raises(ScorerError, match="no luck"):
        list(pysmdl.explain_steps(image(), Recorder(linear_model(), failing_after(40)), 1, regions="grid:16"))
