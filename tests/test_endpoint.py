"""Models behind a server of the test's own: fast by many requests at once, and never asked twice for an answer had."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from serving import WEIGHTS, logits, pixels_of, serving

import pysmdl
from pysmdl import heads, scorers
from pysmdl.errors import ScorerError
from pysmdl.models import Remote
from pysmdl.models.sending import seconds_after
from pysmdl.models.views import encoded

from toys import image

pytest.importorskip("httpx")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def local(batch):
    """What the server computes."""
    return (batch.flatten(1).double() @ torch.from_numpy(WEIGHTS) / 8).float()


def explain(scorer, seed: int = 0, **settings):
    settings = {"regions": "grid:16", "search": "exact", "progress": False, **settings}
    return pysmdl.explain(image(seed), scorer, 1, **settings)


def once(served) -> bool:
    return max(served.bodies.values()) == 1


@pytest.mark.parametrize(("encode", "kind"), [("png", "image/png"), ("array", "application/octet-stream")])
def test_a_server_gives_what_its_model_gives(encode, kind):
    with serving() as served:
        found = explain(scorers.endpoint(served.url, encode=encode))
    plain = explain(local)
    np.testing.assert_array_equal(found.order, plain.order)
    np.testing.assert_allclose(found.insertion, plain.insertion, atol=1e-6)
    assert served.kinds == {kind}
    assert served.count == found.evaluations == len(served.bodies)
    assert found.provenance["model"] == served.url


def test_jpeg_and_forms_of_several_views():
    with serving() as served:
        found = explain(scorers.endpoint(served.url, encode="jpeg", batch=5))
    assert served.kinds == {"multipart/form-data"}
    assert served.count < found.evaluations / 2
    np.testing.assert_allclose(found.deletion[0], explain(local).deletion[0], atol=0.1)  # JPEG blurs


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (7, 1), (12, 12), (61, 83)])
def test_a_png_is_of_the_same_pixels(height, width):
    for pixels in (image(3, height, width), np.zeros((height, width, 3), np.uint8)):
        read = Image.open(io.BytesIO(encoded(pixels, "png")))
        assert (read.format, read.mode) == ("PNG", "RGB")
        np.testing.assert_array_equal(np.asarray(read), pixels)


def test_many_are_in_flight_at_once():
    with serving(delay=0.05) as served:
        explain(scorers.endpoint(served.url), regions="grid:4")  # opens connections
        scorer = scorers.endpoint(served.url)
        began = time.perf_counter()
        found = explain(scorer, search=pysmdl.methods.rise(evaluations=230))
        seconds = time.perf_counter() - began
    assert 12 <= served.most <= 16  # views are sent as they are encoded
    assert found.evaluations > 230
    assert seconds < 0.05 * found.evaluations / 4  # one after the other would take four times as long


def test_the_default_search_fills_an_endpoints_places():
    with serving() as served:
        several, one = (scorers.endpoint(served.url, concurrency=count) for count in (16, 1))
        found, alone = (explain(each, search=None) for each in (several, one))
    assert (found.notes["search"], found.notes["search.batch"]) == ("guided", 8)
    assert found.notes["fits"] < alone.notes["fits"] / 2
    np.testing.assert_array_equal(alone.order, explain(local, search=None).order)


def test_troubles_cost_retries_and_no_answer():
    troubles = {**dict.fromkeys(range(7, 400, 20), 503), **dict.fromkeys(range(3, 400, 50), "reset")}
    troubles |= dict.fromkeys(range(90, 400, 100), "hang")
    with serving(trouble=troubles.get) as served:
        found = explain(scorers.endpoint(served.url, timeout=1.2, retries=3))  # far above what a busy machine takes
    np.testing.assert_array_equal(found.order, explain(local).order)
    met = sum(number < served.count for number in troubles)
    assert met > 15
    assert served.count == found.evaluations + met
    assert max(served.bodies.values()) <= 4


def test_retry_after_holds_all_requests_back():
    with serving(trouble={5: (429, {"retry-after": "1"})}.get) as served:
        found = explain(scorers.endpoint(served.url, concurrency=4), regions="grid:9")
    gaps = np.diff(sorted(served.times))
    assert served.count == found.evaluations + 1
    assert 0.9 < gaps.max() < 1.6


def test_dates_and_numbers_of_retry_after():
    assert seconds_after("7") == 7
    assert seconds_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert seconds_after(None) is seconds_after("soon") is None


def test_a_server_that_dies_leaves_a_partial_and_a_cache_from_which_it_goes_on(tmp_path):
    with serving(trouble=lambda number: 500 if number >= 100 else None) as served:
        scorer = scorers.endpoint(served.url, retries=1, cache=tmp_path / "answers")
        with pytest.raises(ScorerError, match=r"classify failed 2 times, the last time with: status 500") as failed:
            explain(scorer)
        (partial,) = failed.value.partial
        assert 0 < len(partial.order) < 16
        assert partial.notes["stopped"] == "the model failed"
        known = len(list((tmp_path / "answers").glob("*.json")))
        assert known == 100
        served.trouble = lambda number: None
        served.bodies.clear()
        found = explain(scorers.endpoint(served.url, cache=tmp_path / "answers"))
        # A set, as a request that the first call gave up may reach the server only now.
        assert len(served.bodies) == found.evaluations - known
        served.bodies.clear()
        explain(scorers.endpoint(served.url, cache=tmp_path / "answers"))
        assert not served.bodies
    np.testing.assert_array_equal(found.order, explain(local).order)
    np.testing.assert_array_equal(found.order[: len(partial.order)], partial.order)


def test_without_a_cache_the_next_call_asks_for_nothing_that_was_answered():
    model = Remote("http://127.0.0.1:9", scorers.InputSpec())
    batch = torch.from_numpy(np.stack([image(seed).transpose(2, 0, 1) for seed in range(12)])).float() / 255
    with serving(trouble=lambda number: 400 if number == 11 else None) as served:
        model = Remote(served.url, scorers.InputSpec(), concurrency=1)
        with pytest.raises(ScorerError, match="replied with status 400: not now"):
            model(batch)
        assert served.count == 12
        np.testing.assert_allclose(model(batch), local(batch), atol=1e-6)
        assert served.count == 13
    assert model.requests == 13


def test_a_budget_in_requests_leaves_a_partial_and_every_answer_that_was_paid_for(tmp_path):
    with serving(delay=0.02, trouble={3: 503}.get) as served:
        scorer = scorers.endpoint(served.url, max_requests=100, cache=tmp_path)
        with pytest.raises(ScorerError, match=r"classify was sent max_requests=100 requests") as spent:
            explain(scorer)
        (partial,) = spent.value.partial
        assert 0 < len(partial.order) < 16
        assert served.count == 100
        assert len(list(tmp_path.glob("*.json"))) == 99
        with pytest.raises(ScorerError, match="max_requests=100"):
            explain(scorer)
        assert served.count == 100
        found = explain(scorers.endpoint(served.url, cache=tmp_path))
        assert served.count - 100 == found.evaluations - 99
    np.testing.assert_array_equal(found.order[: len(partial.order)], partial.order)


def test_a_damaged_answer_on_disk_is_asked_for_again(tmp_path):
    with serving() as served:
        found = explain(scorers.endpoint(served.url, cache=tmp_path), regions="grid:4")
        files = sorted(tmp_path.glob("*.json"))
        assert len(files) == found.evaluations
        for file, damaged in zip(files, ("[1.0, ", "null", "[]", '{"a": 1}', "3"), strict=False):
            file.write_text(damaged)
        again = explain(scorers.endpoint(served.url, cache=tmp_path), regions="grid:4")
        assert served.count == found.evaluations + 5
    np.testing.assert_array_equal(found.insertion, again.insertion)


def test_what_is_final_is_not_tried_again():
    with serving(trouble=lambda number: 404) as served:
        with pytest.raises(ScorerError, match="replied with status 404"):
            explain(scorers.endpoint(served.url, concurrency=1), regions="grid:4")
        assert served.count == 1


# Functions


def test_an_async_function_is_a_server_too():
    async def asked(png):
        await asyncio.sleep(0.01)
        return {"scores": logits(pixels_of(png))}

    found = explain(scorers.endpoint(asked, parse=lambda reply: reply["scores"]), regions="grid:9")
    np.testing.assert_array_equal(found.order, explain(local, regions="grid:9").order)


def test_an_async_function_may_get_arrays_and_lists_of_them():
    shapes = []

    async def asked(views):
        shapes.append([(view.dtype.name, view.shape) for view in views])
        return [logits(view) for view in views]

    scorer = scorers.endpoint(asked, encode="array", batch=3, head=heads.margin())
    found = explain(scorer, regions="grid:9")
    assert {each for sent in shapes for each in sent} == {("uint8", (12, 12, 3))}
    assert max(map(len, shapes)) == 3
    z = local(torch.from_numpy(image().transpose(2, 0, 1)[None]).float() / 255)[0]
    assert found.deletion[0] == pytest.approx(float(z[1] - torch.cat((z[:1], z[2:])).max()), abs=1e-5)


def test_a_function_is_tried_again_where_its_connection_was_lost_and_not_for_a_fault_of_its_own():
    tries = []

    async def asked(png):
        tries.append(png)
        if len(tries) == 3:
            raise ConnectionResetError("gone")
        if len(tries) == 20:
            raise KeyError("scores")
        return logits(pixels_of(png))

    with pytest.raises(ScorerError, match=r"asked failed: KeyError: 'scores'"):
        explain(scorers.endpoint(asked, concurrency=1))
    assert len(tries) == 20
    assert len(set(tries)) == 19


def test_a_function_that_gives_up_its_task_is_named():
    async def asked(png):
        raise asyncio.CancelledError

    with pytest.raises(ScorerError, match="gave no answer to some views"):
        explain(scorers.endpoint(asked), regions="grid:4")


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["asked", "parse"])
def test_a_function_that_ends_the_process_ends_the_call_and_not_the_loop(error, where):
    seen = []

    def met(place):
        if place == where:
            seen.append(place)
            if len(seen) == 10:
                raise error("no key")

    async def asked(png):
        met("asked")
        return logits(pixels_of(png))

    def parse(reply):
        met("parse")
        return reply

    scorer = scorers.endpoint(asked, parse=parse, concurrency=1)
    with pytest.raises(error):
        explain(scorer, regions="grid:4")
    found = explain(scorer, regions="grid:4")  # the loop goes on
    np.testing.assert_array_equal(found.order, explain(local, regions="grid:4").order)


def test_a_reply_that_parse_does_not_take_is_shown():
    async def asked(png):
        return {"error": "busy"}

    with pytest.raises(ScorerError, match=r"parse failed on {'error': 'busy'}, of .*asked: KeyError: 'scores'"):
        explain(scorers.endpoint(asked, parse=lambda reply: reply["scores"]), regions="grid:4")


def test_answers_that_cannot_be_kept_on_disk_are_not_lost(tmp_path, caplog):
    async def asked(png):
        if not broken:
            broken.append(tmp_path.joinpath("cache").rmdir())
        return logits(pixels_of(png))

    broken = []
    scorer = scorers.endpoint(asked, cache=tmp_path / "cache")
    found = explain(scorer, regions="grid:4")
    assert scorer.model.requests == found.evaluations
    assert [each.getMessage().partition(":")[0] for each in caplog.records] == [
        f"answers cannot be kept in cache={str(tmp_path / 'cache')!r}, the run goes on without"
    ]


def test_a_cache_that_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"cache must be a folder, or where one can be made; got '.*file'"):
        scorers.endpoint(logits_of, cache=tmp_path / "file")


async def logits_of(png):
    return logits(pixels_of(png))


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (None, r"must reply with a list of numbers, one a class; got None"),
        ({"logits": [1, 2]}, r"must reply with a list of numbers, one a class; got {'logits': \[1, 2\]}"),
        ([], r"must reply with a list of numbers"),
        ("busy", r"must reply with a list of numbers, one a class; got busy"),
    ],
)
def test_a_reply_that_is_no_numbers_is_shown(reply, says):
    async def asked(png):
        return reply

    with pytest.raises(ScorerError, match=says):
        explain(scorers.endpoint(asked), regions="grid:4")


def test_ctrl_c_ends_within_a_second():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in jobs begun with &
    try:
        _ctrl_c()
    finally:
        signal.signal(signal.SIGINT, before)


def _ctrl_c():
    with serving(delay=30) as served:
        timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
        began = time.monotonic()
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            explain(scorers.endpoint(served.url))
        assert time.monotonic() - began < 1.5


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: scorers.endpoint("ftp://host/model"), "an endpoint must be a URL, .*; got 'ftp://host/model'"),
        (lambda: scorers.endpoint(local), "an endpoint must be a URL or an async function; got function"),
        (
            lambda: scorers.endpoint("http://host", encode="gif"),
            "encode must be one of 'array', 'jpeg', 'png'; got",
        ),
        (
            lambda: scorers.endpoint("http://host", concurrency=0),
            "concurrency must be a whole number of at least 1",
        ),
        (lambda: scorers.endpoint("http://host", retries=-1), "retries must be a whole number of at least 0; got -1"),
        (lambda: scorers.endpoint("http://host", max_requests=0), "max_requests must be a whole number of at least 1"),
        (lambda: scorers.endpoint("http://host", timeout=0), "timeout must be a finite number above 0; got 0"),
        (lambda: scorers.endpoint("http://host", layout="nhwc"), "layout is not for endpoints"),
    ],
)
def test_what_is_no_endpoint_is_refused(make, says):
    with pytest.raises((ValueError, TypeError), match=says):
        make()


def test_without_httpx_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(pysmdl.errors.MissingPackageError, match=r"needs httpx, .*: pip install 'pysmdl\[http\]'"):
        scorers.endpoint("http://127.0.0.1:1/")


def test_the_scorers_load_no_client():
    code = "import sys, pysmdl.scorers; print('httpx' in sys.modules, 'onnxruntime' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.home())
    assert ran.stdout.split() == ["False", "False"]
