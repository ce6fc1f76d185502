"""Profiles: stages that add up, counts that agree with the explanation, FLOPs, the trace, the report in the notes."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from functools import partial

import pytest
import torch
from torch import nn
from vision_towers import SIDE, TOWERS

import pysmdl
from pysmdl import profiling
from pysmdl.profiling import STAGES, Profile, count, stage

from toys import Recorder, explain, image, linear_model, linear_net, numpy_model, profiled, same


def test_the_stages_of_a_run_add_up_to_its_wall_time():
    found, profile = profiled(regions="slico:16")
    report = found.notes["profile"]
    stages = report["stages"]
    assert list(stages) == [*STAGES, "other"]
    for name in ("partition", "compose", "transfer", "model", "scores", "search", "other"):
        assert stages[name]["seconds"] > 0, name
    assert stages["idle"]["seconds"] == 0  # the CPU answers a batch when it is submitted
    assert sum(each["seconds"] for each in stages.values()) == pytest.approx(report["seconds"], rel=1e-9)
    assert sum(each["share"] for each in stages.values()) == pytest.approx(1, rel=1e-9)
    assert profile.stages() == profile.host()  # nothing ran on a GPU
    assert {event.stage for event in profile.events} == {*STAGES} - {"idle"}


def test_the_model_is_no_part_of_the_scores():
    def slow(batch):
        time.sleep(0.005)
        return linear_net()(batch)

    stages = profiled(slow, regions="grid:9")[0].notes["profile"]["stages"]
    assert stages["model"]["seconds"] > 5 * stages["scores"]["seconds"]


@pytest.mark.parametrize("settings", [{}, {"search": "exact"}, {"k": 3}, {"target": None}, {"evaluations": 200}])
def test_counts_agree_with_the_explanation(settings):
    found, profile = profiled(batch_size=8, **settings)
    report = found.notes["profile"]
    assert report["evaluations"] == found.evaluations
    assert report["asked"] == found.asked
    assert report["memo_hits"] == found.asked - found.evaluations
    assert report["batches"] == profile.counts["batches"] >= found.evaluations / 8
    assert report["fill"] == pytest.approx(found.evaluations / (8 * report["batches"]))
    assert report["padded"] == 0
    assert report["evaluations_per_second"] == pytest.approx(found.evaluations / report["seconds"])


def test_a_search_that_repeats_subsets_hits_the_memo():
    found, _ = profiled(search="exact")  # subsets of n - 1 regions are the complements of round 1
    assert 0 < found.notes["profile"]["memo_hits"] < found.asked / 2


def test_rechecks_are_no_hits():
    config = pysmdl.EngineConfig(precision="mixed")
    found, _ = profiled(search="exact", config=config)
    report = found.notes["profile"]
    assert report["evaluations"] == found.evaluations
    assert 0 < report["memo_hits"] < found.asked / 2


def test_padding_counts_and_an_empty_batch_size_is_full():
    found, _ = profiled(batch_size=8, config=pysmdl.EngineConfig(deterministic=True))
    report = found.notes["profile"]
    assert report["padded"] == 8 * report["batches"] - found.evaluations > 0


def test_rows_of_a_failed_batch_do_not_count():
    def fail(self, batch):
        if len(batch) > 4:
            raise MemoryError

    found, profile = profiled(Recorder(linear_model(), fail), batch_size=16)
    assert profile.counts["rows"] == found.evaluations


def test_a_trace_is_chromes_in_order_and_nested(tmp_path):
    _, profile = profiled()
    profile.write_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert len(events) == len(profile.events) + len(profile.spans)
    assert events[0]["name"] == "run"
    assert events[0]["ts"] == 0
    starts = [event["ts"] for event in events]
    assert starts == sorted(starts)
    around: list[dict] = []
    for event in events:
        assert event["ph"] == "X"
        assert event["dur"] >= 0
        while around and event["ts"] >= around[-1]["ts"] + around[-1]["dur"]:
            around.pop()
        parent = around[-1] if around else None
        if parent is not None:  # inside another: all of it
            assert event["ts"] + event["dur"] <= parent["ts"] + parent["dur"] + 1e-3
        expected = {"run": None, "model": "scores"}.get(event["name"], "run")
        assert (parent and parent["name"]) == expected
        around.append(event)


def test_steps_say_how_long_dividing_took():
    with Profile() as profile:
        list(pysmdl.explain_steps(image(), linear_net(), 1, regions="slico:9"))
    assert profile.stages()["partition"] > 0


def test_the_profiler_measures_its_own_cost():
    found, profile = profiled(regions="grid:49")
    report = found.notes["profile"]
    assert report["events"] == len(profile.events) > 0
    assert 0 < report["overhead_seconds"] < 1e-4 * report["events"]
    assert 0 < report["overhead_share"] < 0.2  # 0.01 where nothing else runs
    assert len(profile.events) == report["events"]  # measuring it adds none


@pytest.mark.parametrize("form", ["npz", "json"])
def test_the_report_is_saved_with_the_explanation(form, tmp_path):
    found = explain(linear_net(), profile=True)
    if form == "npz":
        found.save(tmp_path / "x.npz")
        read = pysmdl.load(tmp_path / "x.npz").notes["profile"]
    else:
        read = json.loads(found.to_json())["notes"]["profile"]
    assert read == found.notes["profile"]
    assert json.loads(json.dumps(read, allow_nan=False)) == read


def test_a_profile_changes_no_answer_and_none_leaves_no_note():
    plain, recorded = explain(linear_net()), explain(linear_net(), profile=True)
    assert same(plain, recorded)
    assert "profile" not in plain.notes


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 5, 3, stride=2, padding=1)
        self.head = nn.Linear(5 * 6 * 6, 7)

    def forward(self, x):
        return self.head(self.convolution(x).relu().flatten(1))


@pytest.mark.parametrize(
    ("net", "macs"),
    [(linear_net(), 432 * 4), (ConvNet().eval(), 5 * 6 * 6 * 3 * 3 * 3 + 5 * 6 * 6 * 7)],
    ids=["linear", "convolution"],
)
def test_flops_are_exact(net, macs):
    report = profiled(net)[0].notes["profile"]
    assert report["flops_per_row"] == 2 * macs
    model = report["stages"]["model"]["seconds"]
    share = report["evaluations"] * 2 * macs / model / report["peak_flops"]
    assert report["peak_share"] == pytest.approx(share)
    assert 0 < report["peak_share"] < 1
    assert report["peak_flops"] > 1e8


def test_flops_see_the_model_after_its_resize():
    scorer = pysmdl.scorers.classifier(linear_net(), size=12, mask_at="image")
    found = pysmdl.explain(image(0, 20, 30), scorer, 1, regions="grid:9", progress=False, profile=True)
    assert found.notes["profile"]["flops_per_row"] == 2 * 432 * 4


def test_flops_nobody_counted_are_none():
    report = profiled(numpy_model)[0].notes["profile"]
    assert (report["flops_per_row"], report["peak_flops"], report["peak_share"]) == (None, None, None)


def test_a_model_that_cannot_be_counted_still_gives_its_explanation(caplog):
    plain = Recorder(linear_model())
    explain(plain, batch_size=8)

    def fail(self, batch):
        if len(self.sizes) > len(plain.sizes):
            raise RuntimeError("once too often")

    found = explain(Recorder(linear_model(), fail), batch_size=8, profile=True)
    assert found.notes["profile"]["flops_per_row"] is None
    assert "FLOPs not counted: RuntimeError: once too often" in caplog.text


def test_peak_memory_is_the_process_own():
    report = profiled()[0].notes["profile"]
    assert report["peak_bytes_of"] == "process"
    assert 50 << 20 < report["peak_bytes"] < 1 << 40


def test_one_profile_at_a_time():
    with Profile(), pytest.raises(RuntimeError, match="active already"), Profile():
        pass
    with Profile(), pytest.raises(RuntimeError, match="active already"):
        explain(linear_net(), profile=True)
    explain(linear_net(), profile=True)  # nothing is left active


def test_a_profile_around_a_run_is_one_too():
    with Profile() as profile:
        found = explain(linear_net())
    assert profile.report()["evaluations"] == found.evaluations
    assert profile.report()["flops_per_row"] is None  # nobody told it the model


def test_a_failing_run_leaves_no_profile_active():
    def fail(self, batch):
        raise RuntimeError("broken")

    profile = Profile()
    with pytest.raises(pysmdl.PysmdlError):
        explain(Recorder(linear_model(), fail), profile=profile)
    assert stage("model") is profiling.NOTHING
    assert profile.report()["evaluations"] == 0
    assert profile.report()["fill"] is None


def test_a_profile_off_costs_nothing():
    assert stage("model") is stage("search") is profiling.NOTHING
    count(rows=3)
    model = Recorder(linear_model())
    found = explain(model)
    assert len(model.rows) == found.evaluations
    model = Recorder(linear_model())
    found = explain(model, profile=True)
    assert len(model.rows) == found.evaluations + 1  # the row whose FLOPs were counted


def test_a_stream_is_profiled_while_it_runs_and_not_while_the_caller_has_the_turn():
    profile = Profile()
    total = 0
    began = time.perf_counter()
    stream = pysmdl.explain_many(
        [(image(seed), 1) for seed in range(3)], linear_net(), regions="grid:9", progress=False, profile=profile
    )
    for found in stream:
        total += found.evaluations
        time.sleep(0.05)
        explain(linear_net(), regions="grid:4")  # somebody else's run
        assert stage("model") is profiling.NOTHING
    wall = time.perf_counter() - began
    report = profile.report()
    assert report["evaluations"] == total
    assert report["seconds"] < wall - 0.15
    assert len(profile.spans) == 4  # the last finds the end
    assert sum(each["seconds"] for each in report["stages"].values()) == pytest.approx(report["seconds"])
    assert report["flops_per_row"] == 2 * 432 * 4


def test_a_profile_filled_again_goes_on():
    profile = Profile()
    totals = [explain(linear_net(), seed=seed, profile=profile).evaluations for seed in range(2)]
    assert profile.report()["evaluations"] == sum(totals)


def test_what_a_profile_may_be():
    with pytest.raises(ValueError, match=r"profile must be True, False or a pysmdl\.Profile; got 'yes'"):
        explain(linear_net(), profile="yes")
    with pytest.raises(ValueError, match=r"profile must be a pysmdl\.Profile, whose report\(\) covers the stream"):
        pysmdl.explain_many([image()], linear_net(), profile=True)
    with pytest.raises(RuntimeError, match="run something under it"):
        Profile().report()
    with pytest.raises(RuntimeError, match="run something under it"):
        Profile().write_trace("none.json")
    with Profile() as profile, pytest.raises(RuntimeError, match="leave it first"):
        profile.report()
    assert pysmdl.Profile is Profile


@pytest.mark.slow
def test_dropped_tokens_have_their_stages_and_no_flops():
    scorer = pysmdl.scorers.token_drop(TOWERS["vit"][0]())
    found = pysmdl.explain(torch.rand(3, SIDE, SIDE), scorer, 0, regions="grid:4", progress=False, profile=True)
    report = found.notes["profile"]
    assert report["flops_per_row"] is None
    assert report["evaluations"] == found.evaluations
    assert report["stages"]["model"]["seconds"] > 0


class FakeCuda:
    """What the profiler needs of torch.cuda: events on a clock of their own, a stream that is the engine's or not."""

    def __init__(self, monkeypatch, stream="slot", capturing=False):
        self.now, self.ranges, cuda = 0.0, [], torch.cuda
        names = {
            "is_initialized": lambda: True,
            "is_current_stream_capturing": lambda: capturing,
            "current_stream": lambda: stream,
            "default_stream": lambda: "default",
            "device_count": lambda: 0,
            "max_memory_allocated": lambda device: {"gpu": 123}[device],
            "Stream": lambda: None,
            "stream": lambda _: nullcontext(),
            "Event": partial(FakeEvent, self),
        }
        for name, value in names.items():
            monkeypatch.setattr(cuda, name, value)
        monkeypatch.setattr(cuda.nvtx, "range_push", self.ranges.append)
        monkeypatch.setattr(cuda.nvtx, "range_pop", lambda: self.ranges.append("pop"))


class FakeEvent:
    device = "gpu"

    def __init__(self, cuda, enable_timing):
        assert enable_timing
        self.cuda = cuda

    def record(self):
        self.at = self.cuda.now

    def synchronize(self):
        pass

    def elapsed_time(self, other):
        return 1000 * (other.at - self.at)  # milliseconds


def test_device_times_count_once_and_the_host_still_adds_up(monkeypatch):
    cuda = FakeCuda(monkeypatch)
    with Profile() as profile:
        with stage("scores"):
            cuda.now += 1
            with stage("model"):
                cuda.now += 5
            cuda.now += 2
        with stage("search"):
            cuda.now += 50
    assert cuda.ranges == ["scores", "model", "pop", "pop"]
    assert profile.device() == pytest.approx({"model": 5, "scores": 3})
    assert profile.stages()["model"] == pytest.approx(5)
    report = profile.report()
    assert sum(each["seconds"] for each in report["stages"].values()) == pytest.approx(report["seconds"])
    assert report["stages"]["model"]["device_seconds"] == pytest.approx(5)
    assert "device_seconds" not in report["stages"]["search"]
    assert (report["peak_bytes"], report["peak_bytes_of"]) == (123, "device")


@pytest.mark.parametrize("where", [{"stream": "default"}, {"capturing": True}], ids=["a model on the CPU", "a capture"])
def test_no_cuda_event_outside_the_engines_streams_or_in_a_capture(where, monkeypatch):
    cuda = FakeCuda(monkeypatch, **where)
    with Profile() as profile, stage("model"):
        pass
    assert cuda.ranges == []
    assert profile.device() == {}
    assert profile.report()["peak_bytes_of"] == "process"


@pytest.mark.gpu
@pytest.mark.parametrize("graphs", [True, False])
def test_a_gpu_is_timed_by_its_own_events(graphs):
    found, profile = profiled(linear_net().cuda(), config=pysmdl.EngineConfig(graphs=graphs))
    report = found.notes["profile"]
    assert report["stages"]["model"]["device_seconds"] > 0
    assert report["stages"]["idle"]["seconds"] > 0
    assert sum(each["seconds"] for each in report["stages"].values()) == pytest.approx(report["seconds"])
    assert report["peak_bytes_of"] == "device"
    assert report["peak_bytes"] > 0
    assert profile.stages()["model"] == report["stages"]["model"]["device_seconds"]
