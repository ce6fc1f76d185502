"""Jobs that are killed, again and again: nothing that was said to be stored is lost, nothing is there twice or torn.

PYSMDL_JOB_KILLS and PYSMDL_JOB_INPUTS set how often, and of how many inputs: `make torture`.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter

import pyarrow.parquet as pq
import pytest
from job_runs import Forked, equal, pictures

import pysmdl

pytestmark = pytest.mark.slow  # processes that are killed and run again
KILLS, INPUTS = (int(os.environ.get(f"PYSMDL_JOB_{name}", usual)) for name, usual in (("KILLS", "5"), ("INPUTS", "60")))
SLOW = (
    "    time.sleep(0.004)\n"  # so that a run takes a while
    "    return torch.stack((batch.mean((1, 2, 3)), 0 * batch[:, 0, 0, 0]), 1) * 9\n"
)


def model(batch):
    import torch

    return torch.stack((batch.mean((1, 2, 3)), 0 * batch[:, 0, 0, 0]), 1) * 9


def stored(store) -> Counter:
    """How often each id is in the parts, whatever a reader makes of it."""
    return Counter(id for path in (store / "parts").glob("*.parquet") for id in pq.read_table(path)["id"].to_pylist())


def check(store, said: int) -> None:
    """What there is after a kill: as much as was said, once each, and whole."""
    there = stored(store)
    assert len(there) >= said
    assert set(there.values()) <= {1}


def undisturbed(folder):
    paths = [f"pictures/{path.name}" for path in sorted((folder / "pictures").iterdir())]
    items = [{"image": folder / path, "id": path} for path in paths]
    settings = {"regions": "grid:9", "search": "exact", "batch_size": 32, "progress": False}
    return {each.id: each for each in pysmdl.explain_many(items, model, **settings)}


def killed(folder, dice, *options) -> int:
    """Kill a run at some instant; returns how many it said were stored by then."""
    store = folder / "store"
    (store / "status-1-of-1.json").unlink(missing_ok=True)
    process = Forked(folder, "--rows", "5", *options, model=SLOW)
    while not (store / "status-1-of-1.json").exists() and process.poll() is None:
        time.sleep(0.005)
    time.sleep(dice.uniform(0, 1.0))
    process.kill()
    process.communicate()
    status = store / "status-1-of-1.json"
    said = json.loads(status.read_text()) if status.exists() else {"stored": 0, "before": 0}
    return said["stored"] + said["before"]


def finished(folder, *options, start=Forked) -> None:
    process = start(folder, *options)
    text = process.communicate()[0]
    assert process.returncode == 0, text
    found, whole = pysmdl.open_store(folder / "store"), undisturbed(folder)
    assert found.verify().problems == ()
    assert stored(folder / "store") == dict.fromkeys(whole, 1)
    assert all(equal(each, whole[each.id]) for each in found)


def test_a_job_that_is_killed_and_begun_again_ends_as_one_that_was_left_alone(tmp_path):
    pictures(tmp_path, INPUTS)
    dice = random.Random(0)
    for _ in range(KILLS):
        check(tmp_path / "store", killed(tmp_path, dice))
    finished(tmp_path)
