"""Stores at an address: one run at a time on a share, whether or not the run before it could say that it ended."""

from __future__ import annotations

import threading
import time
import uuid
from contextlib import ExitStack

import pytest
from job_runs import items, job

import pysmdl
from pysmdl.errors import StoreError
from pysmdl.jobs import leases
from pysmdl.jobs.places import place_of


@pytest.fixture
def address(monkeypatch):
    pytest.importorskip("fsspec")
    monkeypatch.setattr(leases, "BEAT", 0.05)
    monkeypatch.setattr(leases, "DEAD", 10.0)
    return f"memory://{uuid.uuid4().hex}"


def test_a_second_run_of_one_share_is_refused_while_the_first_lives(address):
    def slow():
        for each in items(3):
            with pytest.raises(StoreError, match="another run is at work on this share of the store memory://"):
                job(items(2), address)
            yield each

    assert job(slow(), address).explained == 3
    assert place_of(address).names(leases.FOLDER, "") == []
    assert job(items(4), address).explained == 1  # it is over


def test_other_shares_go_on_beside_it(address):
    with place_of(address).held("1-of-2"), place_of(address).held("1-of-2-workers"):
        assert 0 < job(items(20), address, shard=(2, 2)).explained < 20


def test_a_run_that_was_killed_is_found_to_be_dead(address, monkeypatch, caplog):
    monkeypatch.setattr(leases, "DEAD", 0.5)
    place = place_of(address)
    place.ready()
    place.write(f"{leases.FOLDER}/1-of-1.alone.0123456789ab", b"7")
    assert job(items(2), address).explained == 2
    assert "is of a run that is dead" in caplog.text
    assert place.names(leases.FOLDER, "") == []
    assert len(pysmdl.open_store(address)) == 2


def test_workers_share_what_the_next_run_waits_for(address):
    place, workers = place_of(address), ExitStack()
    for _ in range(2):
        workers.enter_context(place.held("1-of-1-workers", by_all=True))
    with pytest.raises(StoreError, match="another run is at work"), place.held("1-of-1-workers", seconds=0.2):
        pass
    threading.Timer(0.3, workers.close).start()
    began = time.monotonic()
    with place.held("1-of-1-workers", seconds=60.0):
        assert time.monotonic() - began > 0.2


def test_a_lease_outlives_a_store_that_is_away(address, monkeypatch):
    place = place_of(address)
    write, away = place.write, threading.Event()

    def sometimes(name, content):
        if away.is_set():
            raise OSError("away")
        write(name, content)

    monkeypatch.setattr(place, "write", sometimes)
    with place.held("1-of-1"):
        away.set()
        time.sleep(0.2)
        away.clear()
        with pytest.raises(StoreError, match="another run is at work"), place_of(address).held("1-of-1"):
            pass
