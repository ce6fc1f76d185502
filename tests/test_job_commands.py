"""A job from the command line and in sight: dry runs, job files, status, numbers for Prometheus, signals."""

from __future__ import annotations

import io
import json
import signal
import time
import urllib.request
from dataclasses import replace

import pytest
from command_line import ANSWER, call, module
from job_runs import Forked, items, job, pictures, write_manifest
from rich.console import Console

import pysmdl
from pysmdl import builtin
from pysmdl.jobs.telling import table


def test_the_status_is_written_and_shown(tmp_path, monkeypatch):
    name = module(tmp_path, monkeypatch, ANSWER)
    pictures(tmp_path, 3)
    (tmp_path / "pictures" / "bad.png").write_bytes(b"none")
    options = ("--model", name, "--regions", "grid:4", "--store", tmp_path / "s")
    code, said = call("run", tmp_path / "pictures", *options)
    assert code == 1
    assert "3 explained, 1 failed" in said
    status = json.loads((tmp_path / "s" / "status-1-of-1.json").read_text())
    assert (status["done"], status["stored"], status["failed"], status["total"]) == (3, 3, 1, 4)
    assert status["ended"] == "done"
    assert 0 < status["model_share"] <= 1
    console = Console(width=120, file=io.StringIO())
    console.print(table({**status, "workers": ["w1: 3 done"]}))
    assert all(word in console.file.getvalue() for word in ("3 of 4", "failed", "w1: 3 done"))
    code, said = call("run", "--status", tmp_path / "s")
    assert code == 0
    assert "1-of-1: 3 of 4 explained, 3 stored, 1 failed" in said


def test_a_dry_run_says_how_many_evaluations_how_long_and_how_large(tmp_path, monkeypatch):
    name = module(tmp_path, monkeypatch, ANSWER)
    pictures(tmp_path, 12)
    options = ("--model", name, "--regions", "grid:9", "--search", "exact", "--store", tmp_path / "s", "--dry-run")
    code, said = call("run", tmp_path / "pictures", *options)
    assert code == 0
    assert "12 inputs (0 before, 0 of 8 tried failed), 1104 evaluations at most" in said
    assert "MB" in said
    assert not (tmp_path / "s").exists()


def test_a_dry_run_sees_what_the_run_would(tmp_path, monkeypatch):
    name = module(tmp_path, monkeypatch, ANSWER)
    pictures(tmp_path, 3)
    (tmp_path / "pictures" / "bad.png").write_bytes(b"none")
    options = (tmp_path / "pictures", "--model", name, "--store", tmp_path / "s")
    assert "3 explained, 1 failed" in call("run", *options, "--regions", "grid:4")[1]
    for more, said in (
        ((), "0 inputs (4 before, 0 of 0 tried failed)"),
        (("--shard", "1/1", "--retry-failed", "--k", "2"), "made with other settings: k null, now 2"),
        (("--retry-failed",), "bad.png', say: cannot read"),
    ):
        code, text = call("run", *options, "--regions", "grid:4", "--dry-run", *more)
        assert code == (2 if more else 0)
        assert said in text
    assert "say: ValueError: regions must be one of" in call("run", *options[:3], "--regions", "no", "--dry-run")[1]


def test_a_dry_run_of_texts_says_how_many_evaluations_and_how_large(tmp_path, monkeypatch):
    scorer = "scorer = pysmdl.scorers.string(lambda texts: [float(text.count('good')) for text in texts])\n"
    name = module(tmp_path, monkeypatch, f"    return batch\n\n\nimport pysmdl\n{scorer}").replace(":model", ":scorer")
    path = write_manifest(
        "csv", tmp_path, [{"text": "a good film, not a bad one " * 3, "id": str(n)} for n in range(9)]
    )
    options = ("--model", name, "--search", "exact", "--store", tmp_path / "s")
    code, said = call("run", path, *options, "--dry-run")
    assert code == 0, said
    assert "9 inputs (0 before, 0 of 8 tried failed)" in said
    code, said = call("run", path, *options)
    assert "9 explained, 0 failed" in said


def test_a_job_may_be_a_file_and_the_command_line_goes_before_it(tmp_path, monkeypatch):
    name = module(tmp_path, monkeypatch, ANSWER)
    pictures(tmp_path, 3)
    text = (
        f'inputs = ["{tmp_path}/pictures"]\nmodel = "{name}"\nregions = "grid:4"\nstore = "{tmp_path}/s"\nlimit = 2\n'
    )
    (tmp_path / "job.toml").write_text(text)
    assert "2 explained, 0 failed" in call("run", tmp_path / "job.toml")[1]
    assert "1 explained, 2 before" in call("run", tmp_path / "job.toml", "--limit", 9)[1]
    assert next(iter(pysmdl.open_store(tmp_path / "s"))).n == 4
    (tmp_path / "job.toml").write_text('region = "grid:4"')
    code, said = call("run", tmp_path / "job.toml")
    assert code == 2
    assert "has no setting 'region'" in said


def test_a_job_file_says_options_as_the_command_line_does(tmp_path, monkeypatch):
    name = module(tmp_path, monkeypatch, ANSWER)
    pictures(tmp_path, 3)
    usual = f'inputs = "{tmp_path}/pictures"\nmodel = "{name}"\nregions = "grid:4"\nstore = "{tmp_path}/s"\n'
    path = tmp_path / "job.toml"
    path.write_text(
        f"\ufeff{usual}target = 1\nmean = [0.5, 0.5, 0.5]\nstd = [1, 1, 1]\nretry-failed = true\nseconds = 1\n"
    )
    assert "3 explained" in call("run", path)[1]
    path.write_text(f'{usual}target = 1\nmean = "0.5,0.5,0.5"\nstd = "1,1,1"\nshard = "2/2"\nworkers = 2\n')
    assert "0 explained, 3 before" in call("run", path, "--shard", "1/1", "--workers", 1)[1]  # though it is usual
    for line, said in (
        ("limit = '2'", "limit must be a whole number; got '2'"),
        ("workers = true", "workers must be a whole number; got True"),
        ("retry_failed = 'no'", "retry_failed must be true or false; got 'no'"),
        ("seconds = '1'", "seconds must be a number; got '1'"),
        ("preset = {name = 'lima'}", "preset must be text; got {'name': 'lima'}"),
        ("label = ['cat']", "label must be a whole number; got 'cat'"),
    ):
        path.write_text(f"{usual}{line}\n")
        code, text = call("run", path)
        assert code == 2
        assert said in text
    code, text = call("run", path, tmp_path / "pictures")
    assert code == 2
    assert "a job.toml names its inputs itself" in text


def test_prometheus_reads_the_numbers_on_this_machine_alone(tmp_path):
    from pysmdl.jobs.state import State
    from pysmdl.jobs.telling import serving

    state = replace(State(total=9), done=3, failed=1, evaluations=700)
    with serving(state, 0) as port:
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
        with pytest.raises(OSError, match=f"metrics_port {port} cannot be had"), serving(state, port):
            pass
    lines = text.splitlines()
    assert "pysmdl_job_done 3.0" in lines
    kinds = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE")}
    assert kinds["pysmdl_job_done"] == "gauge"
    assert {name for name, kind in kinds.items() if kind == "counter"} == {
        f"pysmdl_job_{name}" for name in ("stored", "failed", "evaluations", "seconds")
    }
    for number in range(0, len(lines), 3):  # as the text format 0.0.4 has it
        name = lines[number + 2].split()[0]
        assert lines[number].startswith(f"# HELP {name} ")
        assert lines[number + 1] == f"# TYPE {name} {kinds[name]}"


def test_wrong_arguments_are_named(tmp_path):
    with pytest.raises(ValueError, match="limit must be a whole number of at least 1"):
        job(items(1), tmp_path / "s", limit=0)
    with pytest.raises(ValueError, match="inputs must be paths or an iterable"):
        job(3, tmp_path / "s")
    with pytest.raises(TypeError, match="run has no setting 'region'"):
        job(items(1), tmp_path / "s", region="grid")
    for name, wrong in (("ray", "auto"), ("stop", 3), ("shard", 3), ("metrics_port", 70_000), ("metrics_port", "9")):
        with pytest.raises(ValueError, match=f"{name} must be"):
            job(items(1), tmp_path / "s", **{name: wrong})
    of_store = ("--store", tmp_path / "s")
    for options, said in (
        ((), "store must be"),
        *(
            ((*of_store, "--shard", each), "shard must be I/N with I from 1 to N")
            for each in ("3", "0/8", "9/8", "a/2")
        ),
        ((*of_store, "--timeout", 0), "timeout must be"),
    ):
        code, text = call("run", SCENE, *options)
        assert code == 2
        assert said in text


SCENE = builtin.images()[0]["path"]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_command_within_its_time_with_all_that_is_done_stored(number, code, tmp_path):
    pictures(tmp_path, 40)
    process = Forked(tmp_path, model=f"    time.sleep(0.02)\n{ANSWER}")
    store = tmp_path / "store"
    while not (store / "status-1-of-1.json").exists() and process.poll() is None:
        time.sleep(0.01)
    began = time.monotonic()
    process.send_signal(number)
    said = process.communicate()[0]
    assert time.monotonic() - began < 20
    assert process.returncode == code, said
    assert "stopping" in said
    found = pysmdl.open_store(store)
    assert found.verify().problems == ()
    assert all(len(each.order) == 9 for each in found)
    assert json.loads((store / "status-1-of-1.json").read_text())["ended"] == "stopped"
    process = Forked(tmp_path)
    assert f"{40 - len(found)} explained" in process.communicate()[0]
    assert len(pysmdl.open_store(store)) == 40


@pytest.mark.slow
def test_a_model_that_hangs_is_left_at_the_second_signal(tmp_path):
    pictures(tmp_path, 4)
    process = Forked(tmp_path, model=f"    time.sleep(1000 if len(batch) else 0)\n{ANSWER}")
    while not (tmp_path / "store" / "job.json").exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    time.sleep(1.2)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130
    process.communicate()


def test_a_signal_waits_while_something_is_held_and_a_second_insists():
    from pysmdl.cli.stopping import SAME, held, stoppable

    said = []

    def interrupted(again: bool):
        with stoppable(), held():
            signal.raise_signal(signal.SIGINT)
            if again:
                time.sleep(SAME + 0.1)
                signal.raise_signal(signal.SIGINT)
            said.append(again)

    for again in (False, True):
        with pytest.raises(KeyboardInterrupt):
            interrupted(again)
    assert said == [False]
