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


def test_a_model_of_pictures_that_is_given_a_list_of_them_fails_on_a_clip():
    with pytest.raises(ScorerError, match="it was given a clip, which a list or a folder of pictures is: explain_many"):
        pysmdl.explain([np.zeros((8, 8, 3), np.uint8)] * 2, torch.nn.Conv2d(3, 2, 3).eval(), progress=False)


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
    assert "input '3' skipped: the model failed on input '3'" in caplog.text


def test_a_function_is_told_of_each_failure_and_gets_what_was_settled(tmp_path, caplog):
    failed = {}
    stream = pysmdl.explain_many(
        [*poisoned_items(), tmp_path / "gone.png"],
        Recorder(linear_model(), poison(1.0)),
        progress=False,
        ordered=True,
        on_error=failed.__setitem__,
    )
    assert [each.id for each in stream] == ["0", "1", "2", "4", "5"]
    assert list(failed) == [6, 3]  # the missing file before anything ran
    assert isinstance(failed[6], pysmdl.errors.ImageError)
    assert isinstance(failed[3], ScorerError)
    assert all(each.id == "3" for each in failed[3].partial)
    assert not caplog.records


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


@pytest.mark.parametrize("on_error", ["skip", "raise"])
def test_in_order_nobody_waits_for_an_input_that_failed(on_error):
    read = []

    def items():
        for number in range(8):
            read.append(number)
            yield {"image": "missing.png" if number in (0, 3) else image(number), "regions": "grid:4"}

    config, got = EngineConfig(max_searches=1), []
    stream = pysmdl.explain_many(
        items(), linear_model(), ordered=True, progress=False, on_error=on_error, config=config
    )
    if on_error == "raise":
        with pytest.raises(pysmdl.PysmdlError, match="no such image"):
            next(stream)
        return
    for found in stream:
        got.append(found.index)
        assert len(read) <= found.index + 2
    assert got == [1, 2, 4, 5, 6, 7]


def test_in_order_what_was_in_flight_beside_a_failure_is_handed_on():
    items = [image(seed) for seed in range(6)]
    items[1] = "missing.png"
    got = []
    with pytest.raises(pysmdl.PysmdlError, match="no such image"):
        got.extend(
            each.index
            for each in pysmdl.explain_many(items, linear_model(), regions="grid:9", ordered=True, progress=False)
        )
    assert got == [0]
    last = poisoned_items()
    with pytest.raises(ScorerError, match="input '3'"):
        got.extend(
            each.index
            for each in pysmdl.explain_many(last, Recorder(linear_model(), poison(1.0)), ordered=True, progress=False)
        )
    assert got == [0, 0, 1, 2, 4, 5]


def test_a_models_own_value_error_is_its_failure():
    def fail(model, batch):
        if len(model.rows) >= 120:
            raise ValueError("bad input_ids")

    with pytest.raises(ScorerError, match="the model failed on the input: ValueError: bad input_ids") as caught:
        explain(Recorder(linear_model(), fail), search="exact", batch_size=4)
    (partial,) = caught.value.partial
    assert len(partial.order) > 0


def test_a_backend_that_cannot_run_is_not_the_models_failure():
    if torch.cuda.is_available():
        pytest.skip("it can")
    with pytest.raises(pysmdl.errors.BackendError, match="backend 'cuda' cannot run here"):
        explain(linear_model(), config=EngineConfig(backend="cuda"))


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
    with pytest.raises(TypeError, match=r"no setting 'ahead'; there is config=pysmdl\.EngineConfig\(ahead=True\)"):
        explain(linear_model(), ahead=True)


def test_steps_raise_what_the_model_raises():
    with pytest.raises(ScorerError, match="no luck"):
        list(pysmdl.explain_steps(image(), Recorder(linear_model(), failing_after(40)), 1, regions="grid:16"))


def test_memory_that_is_short_is_asked_for_a_few_times_only(caplog):
    """1024 rows where 64 fit: four errors, then batches of 64; the list of what is left is cut when its turn comes."""
    errors = []

    def fail(model, batch):
        if len(batch) > 64:
            errors.append(len(batch))
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")

    model = Recorder(linear_model(), fail)
    with caplog.at_level(logging.WARNING, "pysmdl"):
        found = explain(model, batch_size=1024, regions="grid:36", search=pysmdl.methods.rise(evaluations=1100))
    assert errors == [1024, 512, 256, 128]
    assert same(found, explain(linear_model(), regions="grid:36", search=pysmdl.methods.rise(evaluations=1100)))
    assert len(model.rows) == len(set(model.rows)) == found.evaluations


def test_one_moments_shortage_does_not_hold_batches_down_for_good():
    def fail(model, batch):
        if len(model.sizes) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")

    model = Recorder(linear_model(), fail)
    explain(model, batch_size=8, regions="grid:36", search=pysmdl.methods.rise(evaluations=1000))
    assert 4 in model.sizes
    assert model.sizes[-10:].count(8) > 5


def test_one_row_is_tried_once_more_after_memory_was_freed():
    def fail(model, batch):
        if len(model.sizes) == 5:
            raise MemoryError

    found = explain(Recorder(linear_model(), fail), batch_size=1)
    assert same(found, explain(linear_model(), batch_size=1))


def test_a_plain_failure_gives_no_memory_back():
    from pysmdl.session import SESSIONS

    seen = []
    scorer = pysmdl.scorers.classifier(Recorder(linear_model(), poison(1.0)), size=12)

    def told(number, error):
        seen.append(number)

    before = None
    for _ in range(2):
        list(pysmdl.explain_many(poisoned_items(), scorer, progress=False, on_error=told, batch_size=8))
        (space,) = SESSIONS.of(scorer).resident.workspaces
        memory = space._memory.data_ptr()
        assert before in (None, memory)
        before = memory
    assert seen == [3, 3]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_is_done_and_waits_for_its_turn_is_handed_on_when_the_process_ends(error):
    rows = [0]

    def model(batch):
        rows[0] += len(batch)
        if rows[0] > 700:
            raise error
        return linear_model()(batch)

    items = [{"image": image(seed), "regions": "grid:100" if seed == 0 else "grid:4"} for seed in range(8)]
    got = []
    with pytest.raises(error):
        got.extend(each.index for each in pysmdl.explain_many(items, model, ordered=True, progress=False))
    assert sorted(got) == list(range(8))
