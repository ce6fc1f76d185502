"""Reading inputs: in their order, a few ahead where threads may, and what breaks takes nothing else along."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest
import torch
from PIL import Image

import pysmdl
from pysmdl import EngineConfig
from pysmdl.engine import Loader
from pysmdl.engine.device.pool import Pool
from pysmdl.types import Regions

from toys import image, linear_model, same


def many(items, *, loaders=0, flight=3, regions="grid:9", **settings):
    config = EngineConfig(loaders=loaders, max_searches=flight)
    return pysmdl.explain_many(items, linear_model(), regions=regions, progress=False, config=config, **settings)


@pytest.mark.parametrize("bad", [1, 3])
@pytest.mark.parametrize("loaders", [0, 2])
def test_bad_inputs_at_the_start_do_not_end_the_stream(bad, loaders):
    items = ["missing.png"] * bad + [image(0), "missing.png", image(1), "missing.png"]
    found = list(many(items, loaders=loaders, on_error="skip"))
    assert sorted(each.index for each in found) == [bad, bad + 2]
    assert list(many(["missing.png"] * bad, loaders=loaders, on_error="skip")) == []
    with pytest.raises(pysmdl.PysmdlError, match="no such image"):
        list(many(items, loaders=loaders))


@pytest.mark.parametrize("loaders", [0, 2])
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_source_that_breaks_loses_nothing_that_it_gave(loaders, on_error):
    def source():
        yield from (image(seed) for seed in range(5))
        raise OSError("the disk is gone")

    found = []
    with pytest.raises(OSError, match="the disk is gone"):
        found.extend(each.index for each in many(source(), loaders=loaders, on_error=on_error))
    assert sorted(found) == list(range(5))


@pytest.mark.slow
@pytest.mark.parametrize("loaders", [0, 2])
def test_no_memory_for_many_inputs_at_once_means_fewer_at_once(monkeypatch, caplog, loaders):
    grow = Pool._grow

    def fail(self, size):
        if size > 2:
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")
        grow(self, size)

    items = [image(seed) for seed in range(7)]
    wanted = list(many(items, ordered=True))
    monkeypatch.setattr(Pool, "_grow", fail)
    found = list(many(items, loaders=loaders, flight=5, ordered=True))
    assert [each.index for each in found] == list(range(7))
    assert all(same(*pair) for pair in zip(found, wanted, strict=True))
    assert caplog.text.count("out of memory for another input; going on with 2 in flight") == 1


def test_no_memory_for_a_single_input_is_its_error(monkeypatch):
    def fail(self, size):
        raise torch.OutOfMemoryError("CUDA out of memory (injected)")

    monkeypatch.setattr(Pool, "_grow", fail)
    assert list(many([image(0), image(1)], on_error="skip")) == []
    with pytest.raises(torch.OutOfMemoryError, match="injected"):
        list(many([image(0), image(1)]))


def test_regions_that_raise_stop_iteration_do_not_end_the_stream():
    def regions(pixels):
        raise StopIteration("no regions")

    items = [{"image": image(0), "regions": regions}, image(1)]
    assert [each.index for each in many(items, on_error="skip")] == [1]


@pytest.mark.slow
@pytest.mark.parametrize("loaders", [1, 3])
def test_threads_change_no_answer(loaders, tmp_path):
    items = []
    for seed in range(9):
        Image.fromarray(image(seed, 40, 30)).save(tmp_path / f"{seed}.png")
        items.append((tmp_path / f"{seed}.png", seed % 4))
    model = pysmdl.scorers.classifier(linear_model(), size=12)
    settings = {"regions": "slico:9", "progress": False, "ordered": True}
    alone = [pysmdl.explain(path, model, target, regions="slico:9", progress=False) for path, target in items]
    found = pysmdl.explain_many(items, model, config=EngineConfig(loaders=loaders, max_searches=4), **settings)
    assert all(same(one, other) for one, other in zip(alone, found, strict=True))


def test_two_items_may_share_one_image_that_is_not_read_yet(tmp_path):
    Image.fromarray(image(0)).save(tmp_path / "shared.png")
    with Image.open(tmp_path / "shared.png") as shared:
        found = list(many([(shared, target % 4) for target in range(12)], loaders=4, ordered=True))
    assert all(np.array_equal(each.pixels, image(0)) for each in found)


@pytest.mark.slow
def test_inputs_are_read_by_the_caller_s_thread_and_only_a_few_ahead():
    read, threads, most = 0, set(), 0

    def source():
        nonlocal read
        for seed in range(30):
            read += 1
            threads.add(threading.current_thread())
            yield image(seed)

    for done, _ in enumerate(many(source(), loaders=2)):
        most = max(most, read - done)
    assert read == 30
    assert threads == {threading.current_thread()}
    assert most <= 3 + 4 + 1  # in flight, ahead, and the one just done


def test_who_loads():
    main = threading.current_thread()

    def where(given):
        return threading.current_thread()

    for inputs, threads, others in (([1], 2, 0), ([1, 2, 3], 0, 0), ([1, 2, 3], 2, 3), (iter([1]), 2, 1)):
        loader = Loader(inputs, where, threads)
        jobs = list(iter(loader.take, None))
        assert sum(job() is not main for job in jobs) == others
        loader.close()
    loader = Loader(["a", "b"], where, 2, lend=lambda given: (given, given == "b"))
    first, second = loader.take(), loader.take()
    assert first() is main
    assert second() is not main
    loader.close()


def test_a_loader_is_ready_when_its_next_one_is():
    go = threading.Event()

    def slow(given):
        go.wait(60)
        return given

    loader = Loader(["first", "second", "third"], slow, 1)
    assert not loader.ready
    go.set()
    assert [job() for job in iter(loader.take, None)] == ["first", "second", "third"]
    assert loader.ready  # for the end
    loader.close()


def test_what_calls_the_caller_s_code_is_left_to_the_caller_s_thread():
    seen = set()

    def regions(pixels):
        seen.add(threading.current_thread())
        return np.arange(144).reshape(12, 12) // 16

    items = [{"image": image(seed), **({"regions": regions} if seed % 2 else {})} for seed in range(6)]
    assert len(list(many(items, loaders=2))) == 6
    assert seen == {threading.current_thread()}


def test_threads_end_with_the_run():
    def loading():
        return [each for each in threading.enumerate() if each.name.startswith("pysmdl-loader")]

    stream = many((image(seed) for seed in range(20)), loaders=2)
    next(stream)
    threads = loading()
    assert threads
    stream.close()
    for thread in threads:
        thread.join(10)
    assert not loading()


@pytest.mark.slow
@pytest.mark.parametrize("loaders", [0, 2])
def test_the_caller_may_fill_one_buffer_again_and_again(loaders):
    def items(fresh):
        pixels, labels = np.empty((12, 12, 3), np.uint8), np.empty((12, 12), np.int32)
        for seed in range(12):
            pixels[:] = image(seed)
            labels[:] = np.random.default_rng(seed).permutation(144).reshape(12, 12) // 16
            yield {"image": pixels.copy(), "regions": labels.copy()} if fresh else {"image": pixels, "regions": labels}

    found, wanted = (list(many(items(fresh), loaders=loaders, ordered=True)) for fresh in (False, True))
    assert all(
        same(*pair) and np.array_equal(pair[0].pixels, pair[1].pixels) for pair in zip(found, wanted, strict=True)
    )


@pytest.mark.parametrize("loaders", [0, 2])
def test_images_may_be_closed_and_label_maps_filled_anew_once_they_are_read(loaders, tmp_path):
    labels = np.empty((12, 12), np.int32)

    def items():
        for seed in range(8):
            Image.fromarray(image(seed)).save(tmp_path / "one.png")
            labels[:] = np.random.default_rng(seed).permutation(144).reshape(12, 12) // 16
            with Image.open(tmp_path / "one.png") as opened:
                yield {"image": opened, "regions": Regions(labels, 9)}

    found = list(many(items(), loaders=loaders, ordered=True))
    assert all(np.array_equal(each.pixels, image(each.index)) for each in found)
    for seed, each in enumerate(found):
        wanted = np.random.default_rng(seed).permutation(144).reshape(12, 12) // 16
        np.testing.assert_array_equal(each.labels, wanted)


def test_what_a_thread_may_not_have_is_loaded_at_its_turn():
    def lend(given):
        raise MemoryError

    loader = Loader([1, 2], lambda given: 10 * given, 2, lend)
    assert [job() for job in iter(loader.take, None)] == [10, 20]
    loader.close()


@pytest.mark.parametrize("loaders", [0, 2])
def test_a_buffer_that_is_filled_again_while_regions_are_the_callers_own_function(loaders):
    def items():
        buffer = np.empty((12, 12, 3), np.uint8)
        for seed in range(6):
            buffer[:] = image(seed)
            yield {"image": buffer, "regions": lambda pixels: np.arange(144).reshape(12, 12) // 16}

    found = list(many(items(), loaders=loaders, ordered=True))
    assert all(np.array_equal(each.pixels, image(each.index)) for each in found)


def test_inputs_that_were_skipped_are_let_go():
    alive = []

    def items():
        for seed in range(6):
            pixels = image(seed)
            x = torch.from_numpy(pixels.transpose(2, 0, 1) / np.float32(255))
            alive.append(weakref.ref(x))
            yield x if seed % 2 else {"image": x, "regions": "nonsense"}
            del x

    stream = many(items(), on_error="skip", flight=1)
    for _ in stream:
        pass
    gc.collect()
    assert not any(ref() is not None for ref in alive)


def test_a_tensor_is_loaded_like_any_other():
    items = [torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(seed)) for seed in range(4)]
    first, second = (list(many(items, loaders=loaders, ordered=True)) for loaders in (0, 2))
    assert all(same(*pair) for pair in zip(first, second, strict=True))


def test_loaders_is_checked():
    assert EngineConfig(loaders=0).loaders == 0
    with pytest.raises(ValueError, match="loaders must be a whole number of at least 0; got -1"):
        EngineConfig(loaders=-1)
