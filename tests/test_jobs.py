"""Jobs: what they take as inputs, how they go on, and what happens when something fails."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading

import numpy as np
import pandas
import pytest
import torch
from command_line import saved
from job_runs import MODEL, SETTINGS, equal, items, job

import pysmdl
from pysmdl import builtin, jobs
from pysmdl.errors import StoreError

from toys import image

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0  # may write anywhere


def test_the_same_call_again_goes_on_where_it_was(tmp_path):
    seen = []

    def model(batch):
        seen.append(len(batch))
        return MODEL(batch)

    assert jobs.run(items(6), model, tmp_path / "s", limit=4, **SETTINGS) == jobs.Outcome(4, 0, 0, False)
    first = sum(seen)
    assert jobs.run(items(6), model, tmp_path / "s", **SETTINGS) == jobs.Outcome(2, 0, 4, False)
    assert sum(seen) - first == pytest.approx(first / 2, rel=0.2)
    rows = sum(seen)
    assert jobs.run(items(6), model, tmp_path / "s", **SETTINGS) == jobs.Outcome(0, 0, 6, False)
    assert sum(seen) == rows
    found = pysmdl.open_store(tmp_path / "s")
    assert found.verify().problems == ()
    whole = {each.id: each for each in pysmdl.explain_many(items(6), MODEL, **SETTINGS)}
    assert {each.id for each in found} == set(whole)
    assert all(equal(each, whole[each.id]) for each in found)


def test_other_settings_in_the_same_store_are_refused_with_what_differs(tmp_path):
    job(items(2), tmp_path / "s")
    with pytest.raises(StoreError, match=r'regions "grid:9", now "grid:4"; take a new one'):
        job(items(2), tmp_path / "s", regions="grid:4")
    with pytest.raises(StoreError, match="k null, now 3"):
        job(items(2), tmp_path / "s", k=3)
    told = jobs.Factory(lambda prompt: MODEL, prompt="what is it?")
    with pytest.raises(StoreError, match=r'model.s prompt null, now "what is it\?"'):
        jobs.run(items(2), told, tmp_path / "s", **SETTINGS)
    scorer = builtin.load("digits")
    other = builtin.load("digits")
    with torch.no_grad():
        next(iter(other.model.modules[0].parameters())).mul_(1.5)
    scenes = [builtin.images()[0]["path"]]
    jobs.run(scenes, scorer, tmp_path / "d", **{**SETTINGS, "regions": "grid:4"})
    with pytest.raises(StoreError, match="model's weights"):
        jobs.run(scenes, other, tmp_path / "d", **{**SETTINGS, "regions": "grid:4"})


def test_ids_must_be_unique(tmp_path):
    with pytest.raises(ValueError, match="ids must be unique; '1' is there twice"):
        job([*items(2), items(2)[1]], tmp_path / "s")
    twice = (each for each in [*items(2), items(2)[1]])  # of a stream it is known at its turn, and what came is kept
    with pytest.raises(ValueError, match="'1' is there twice"):
        job(twice, tmp_path / "t")
    assert len(pysmdl.open_store(tmp_path / "t")) == 2


def test_shards_share_the_inputs_out_and_one_store_takes_all(tmp_path):
    shares = [job(items(20), tmp_path / "s", shard=(number, 3)).explained for number in (1, 2, 3)]
    assert sum(shares) == 20
    assert min(shares) > 0
    found = pysmdl.open_store(tmp_path / "s")
    assert len(found) == 20
    assert found.verify().problems == ()
    for wrong in ((0, 3), (4, 3)):
        with pytest.raises(ValueError, match="shard must be"):
            job(items(2), tmp_path / "s", shard=wrong)


def test_shuffle_changes_the_order_and_nothing_else(tmp_path):
    job(items(12), tmp_path / "a", config=pysmdl.EngineConfig(max_searches=1))
    job(items(12), tmp_path / "b", shuffle=3, config=pysmdl.EngineConfig(max_searches=1))
    a, b = (pysmdl.open_store(tmp_path / name) for name in "ab")
    assert a.ids != b.ids
    assert set(a.ids) == set(b.ids)
    assert all(equal(a[id], b[id]) for id in a.ids)


def test_two_runs_of_one_share_at_once_are_refused(tmp_path):
    def slow():
        for each in items(2):
            with pytest.raises(StoreError, match="another run is at work"):
                job(items(2), tmp_path / "s")
            yield each

    assert job(slow(), tmp_path / "s").explained == 2


def test_inputs_that_fail_take_no_others_along_and_are_tried_again_when_asked(tmp_path):
    broken = [True]

    def model(batch):
        if broken[0] and (batch[:, 0, 0, 0] == 1).any():
            raise RuntimeError("a bad input")
        return MODEL(batch)

    given = items(6)
    for each in given:
        each["image"][0, 0] = 7
    given[2]["image"][:] = 255
    given[4] = {"image": str(tmp_path / "missing.png"), "id": "4"}
    outcome = jobs.run(given, model, tmp_path / "s", **SETTINGS)
    assert (outcome.explained, outcome.failed) == (4, 2)
    failures = pysmdl.open_store(tmp_path / "s").failures
    assert set(failures) == {"2", "4"}
    assert "a bad input" in failures["2"].error
    assert "Traceback" in failures["2"].traceback
    assert "no such image" in failures["4"].error
    assert jobs.run(given, model, tmp_path / "s", **SETTINGS).failed == 0  # not tried again
    broken[0] = False
    again = jobs.run(given, model, tmp_path / "s", retry_failed=True, **SETTINGS)
    assert (again.explained, again.failed, again.before) == (1, 1, 4)
    left = pysmdl.open_store(tmp_path / "s").failures
    assert {id: each.attempts for id, each in left.items()} == {"4": 2}


def test_what_was_settled_of_a_failure_is_kept(tmp_path):
    calls = []

    def model(batch):
        calls.append(1)
        if len(calls) > 12:
            raise RuntimeError("no more")
        return MODEL(batch)

    outcome = jobs.run(items(1), model, tmp_path / "s", batch_size=4, **SETTINGS)
    assert outcome.failed == 1
    (failure,) = pysmdl.open_store(tmp_path / "s").failures.values()
    assert failure.settled is not None
    assert 0 < len(failure.settled.order) <= 9


@pytest.mark.parametrize("seconds", [1.0, pytest.param(10.0, marks=pytest.mark.slow)])
def test_a_store_that_goes_away_for_a_while_loses_nothing(seconds, tmp_path):
    away = tmp_path / "away"

    def given():
        for number, each in enumerate(items(12)):
            if number == 6:
                (tmp_path / "s").rename(away)
                threading.Timer(seconds, away.rename, [tmp_path / "s"]).start()
            yield each

    assert job(given(), tmp_path / "s", rows=2, patience=20).explained == 12
    found = pysmdl.open_store(tmp_path / "s")
    assert len(found) == 12
    assert found.verify().problems == ()


def test_a_store_that_stays_away_ends_the_job_which_says_so(tmp_path):
    def given():
        for number, each in enumerate(items(400)):
            if number == 100:
                (tmp_path / "s").rename(tmp_path / "away")
            yield each

    with pytest.raises(StoreError, match=r"cannot be written to: .*the same command again explains these anew"):
        job(given(), tmp_path / "s", rows=2, patience=0.3)
    (tmp_path / "away").rename(tmp_path / "s")
    kept = len(pysmdl.open_store(tmp_path / "s"))
    assert kept >= 1
    assert job(items(60), tmp_path / "s").explained >= 60 - kept


@pytest.mark.skipif(ROOT, reason="root writes anywhere")
def test_a_folder_that_is_read_only_is_refused_at_once(tmp_path):
    (tmp_path / "s").mkdir(mode=0o500)
    with pytest.raises(OSError, match="Permission denied"):
        job(items(2), tmp_path / "s")


def test_a_full_disk_ends_the_job_which_says_so(tmp_path):
    code = (
        "import resource, signal, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from job_runs import items, job\n"
        "job(items(1), sys.argv[2])\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"  # files longer than that: as on a full disk
        "try: job(items(9), sys.argv[2], patience=0.3)\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )

    tests = os.path.dirname(__file__)
    ran = subprocess.run(
        [sys.executable, "-c", code, tests, tmp_path / "s"], capture_output=True, text=True, check=True
    )
    assert "StoreError the store" in ran.stdout, ran.stderr
    found = pysmdl.open_store(tmp_path / "s")
    assert found.ids == ["0"]
    assert found.verify().problems == ()


def test_stop_gives_what_is_in_flight_its_time_and_leaves_the_rest(tmp_path):
    stop = jobs.Stop()

    def given():
        for number, each in enumerate(items(1000)):
            if number == 20:
                stop()
            yield each

    outcome = job(given(), tmp_path / "s", stop=stop, config=pysmdl.EngineConfig(max_searches=4))
    assert outcome.stopped
    assert outcome.explained == 21
    stop = jobs.Stop()
    stop(0)  # no time at all: nothing is begun
    assert job(items(30), tmp_path / "s", stop=stop).explained == 0


def test_ctrl_c_is_raised_when_all_that_was_explained_is_stored(tmp_path):
    def given():
        for number, each in enumerate(items(1000)):
            if number == 20:
                signal.raise_signal(signal.SIGINT)
            yield each

    with pytest.raises(KeyboardInterrupt):
        job(given(), tmp_path / "s", config=pysmdl.EngineConfig(max_searches=4))
    found = pysmdl.open_store(tmp_path / "s")
    assert 16 <= len(found) <= 20
    assert all(len(each.order) == 9 for each in found)


def test_ray_data_gets_batches_as_rows_of_a_part(tmp_path):
    batch = {"image": np.stack([image(seed) for seed in range(4)]), "target": np.arange(4), "id": list("abcd")}
    explain = jobs.RayExplain(jobs.Factory(lambda: MODEL), {"regions": "grid:9", "search": "exact"})
    rows = explain(batch)
    direct = pysmdl.explain(image(2), MODEL, 2, **SETTINGS)
    assert rows["id"].to_pylist() == list("abcd")
    assert rows["order"].to_pylist()[2] == direct.order.tolist()
    assert rows["error"].null_count == 4
    broken = explain({"image": [str(tmp_path / "none.png"), str(saved(tmp_path / "a.png"))]})
    assert "no such image" in broken["error"].to_pylist()[0]
    assert broken["regions"].to_pylist() == [None, 9]


def test_an_estimator_that_was_fitted_anew_is_another_model(tmp_path):
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = np.random.default_rng(0).normal(size=(60, 4))
    made = [
        make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)).fit(rows, labels)
        for labels in (rows[:, 0] > 0, rows[:, 1] > 0)
    ]
    settings = {"baseline": rows.mean(0), "progress": False}
    jobs.run(list(rows[:2]), made[0], tmp_path / "s", **settings)
    made[0].set_params(randomforestclassifier__n_jobs=1)
    again = pickle.loads(pickle.dumps(made[0]))
    assert jobs.run(list(rows[:4]), again, tmp_path / "s", **settings).explained == 2
    with pytest.raises(StoreError, match="model's weights"):
        jobs.run(list(rows[:6]), made[1], tmp_path / "s", **settings)


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_empty_cells_of_a_table_are_missing_numbers(form, tmp_path):
    from sklearn.ensemble import HistGradientBoostingClassifier

    rows = pandas.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=list("abc"))
    labels = rows.a > 0
    rows.loc[::3, "b"] = np.nan
    net = HistGradientBoostingClassifier(max_iter=5).fit(rows, labels)
    file = tmp_path / f"rows.{form}"
    writers = {"csv": rows.to_csv, "parquet": rows.to_parquet}
    if form == "jsonl":
        rows.to_json(file, orient="records", lines=True)
    else:
        writers[form](file, index=False)
    settings = {"baseline": rows, "progress": False, "search": "exact"}
    assert jobs.run([file], net, tmp_path / "s", limit=6, **settings) == jobs.Outcome(6, 0, 0, False)
    store = pysmdl.open_store(tmp_path / "s")
    for place in range(6):
        found = next(each for each in store if each.index == place)
        assert equal(found, pysmdl.explain(rows.iloc[place], net, **settings))
