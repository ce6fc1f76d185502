"""Jobs on Ray's workers, started on this machine: the same explanations, whoever dies meanwhile."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from job_runs import equal, pictures, started
from PIL import Image
from test_job_kills import KILLS, check, finished, stored, undisturbed

import pysmdl
from pysmdl import jobs
from pysmdl.jobs.ray_cluster import imported, start

from toys import image

pytest.importorskip("ray")
pytestmark = pytest.mark.slow  # Ray takes its time to start
ANSWER = "    return torch.stack((batch.mean((1, 2, 3)), 0 * batch[:, 0, 0, 0]), 1) * 9\n"
MODEL = f"    open(f'pid-{{os.getpid()}}', 'w').close()\n    time.sleep(0.02)\n{ANSWER}"
TWO = ("--workers", "2", "--rows", "3")


def workers(folder) -> list[int]:
    """Processes that the model ran in and that are there still."""
    found = []
    for path in folder.glob("pid-*"):
        pid = int(path.name.removeprefix("pid-"))
        with suppress(OSError):
            os.kill(pid, 0)
            found.append(pid)
    return found


def listening_elsewhere() -> set[str]:
    """Ray's processes that listen on other addresses than loopback."""
    sockets = {}
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            address, state, inode = (line.split()[place] for place in (1, 3, 9))
            if state == "0A" and "0100007F:" not in address and not address.startswith(f"{1 << 24:032X}:"):
                sockets[f"socket:[{inode}]"] = address
    found = set()
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            listens = sockets.get(os.readlink(descriptor))
            command = (descriptor.parents[1] / "cmdline").read_text()
            if listens is not None and "ray" in command:
                found.add(f"{command[:60]} {listens}")
    return found


def test_two_workers_explain_as_one_process_does_one_of_them_killed_and_the_driver_too(tmp_path):
    pictures(tmp_path, 40)
    before, dice = listening_elsewhere(), random.Random(0)  # somebody else's Ray may run here
    process = started(tmp_path, *TWO, model=MODEL)
    while not stored(tmp_path / "store") and process.poll() is None:
        time.sleep(0.05)
    assert len(workers(tmp_path)) >= 1
    assert listening_elsewhere() <= before
    os.kill(dice.choice(workers(tmp_path)), signal.SIGKILL)
    time.sleep(0.5)
    process.kill()
    process.communicate()
    status = json.loads((tmp_path / "store" / "status-1-of-1.json").read_text())
    check(tmp_path / "store", status["stored"])
    finished(tmp_path, *TWO, start=started)


def test_an_input_that_ends_its_process_and_one_that_hangs_are_put_aside(tmp_path):
    pictures(tmp_path, 5)
    for seed, corner in ((1, (0, 0)), (4, (0, -1))):
        pixels = image(seed)
        pixels[corner] = 255
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{seed}.png")
    model = (
        "    if (batch[:, 0, 0, 0] > 0.999).any():\n        os._exit(1)\n"
        "    if (batch[:, 0, 0, -1] > 0.999).any():\n        time.sleep(1000)\n"
    )
    process = started(tmp_path, *TWO, "--timeout", "8", "--attempts", "1", model=model + ANSWER)
    said = process.communicate()[0]
    assert process.returncode == 1, said
    assert "3 explained, 2 failed" in said
    found = pysmdl.open_store(tmp_path / "store")
    assert found.verify().problems == ()
    assert set(found.failures) == {"pictures/1.png", "pictures/4.png"}
    assert "took its worker along" in found.failures["pictures/1.png"].error
    assert "has not answered" in found.failures["pictures/4.png"].error
    whole = undisturbed(tmp_path)
    assert all(equal(each, whole[each.id]) for each in found)


@pytest.fixture(scope="module")
def here():
    """Ray, started once for the jobs of this process."""
    options = jobs.RayOptions()
    ray = imported(options)
    assert start(ray, 2, options)
    yield
    ray.shutdown()


@pytest.mark.usefixtures("here")
def test_a_model_that_hangs_while_it_is_loaded_ends_the_job_which_says_so(tmp_path):
    jammed = jobs.Factory(time.sleep, 1000)
    with pytest.raises(RuntimeError, match=r"workers do not begin: its model was not loaded within 1 s"):
        jobs.run([image(0)], jammed, tmp_path / "s", ray=jobs.RayOptions(loading=1.0), regions="grid:4", progress=False)


def test_sigterm_stores_what_the_workers_have_done(tmp_path):
    pictures(tmp_path, 60)
    process = started(tmp_path, *TWO, model=MODEL)
    while not stored(tmp_path / "store") and process.poll() is None:
        time.sleep(0.05)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    said = process.communicate()[0]
    assert time.monotonic() - began < 20
    assert process.returncode == 143, said
    found = pysmdl.open_store(tmp_path / "store")
    assert found.verify().problems == ()
    assert 0 < len(found) <= 60
    assert np.all([len(each.order) == 9 for each in found])


@pytest.mark.usefixtures("here")
def test_a_model_that_cannot_be_sent_is_refused_by_name(tmp_path):
    import threading

    lock = threading.Lock()

    def model(batch):
        with lock:
            return batch.mean((2, 3))

    with pytest.raises(ValueError, match=r"give the model as pysmdl\.jobs\.Factory"):
        jobs.run([image(0)], model, tmp_path / "s", workers=2, regions="grid:4", progress=False)


class Started:
    """Ray on a machine without a GPU, as far as start() asks."""

    running = False

    def is_initialized(self):
        return self.running

    def init(self, **_):
        self.running = True

    def cluster_resources(self):
        return {"CPU": 2.0}

    def shutdown(self):
        self.running = False


def test_what_ray_would_wait_for_without_end_is_said_at_once():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ConnectionError, match=f"ray must be the address of a cluster; at {address} is none"):
            start(Started(), 1, jobs.RayOptions(address))
    ray = Started()
    with pytest.raises(ValueError, match=r"gpus must be at most 0, which Ray finds here; got 0\.5"):
        start(ray, 2, jobs.RayOptions(gpus=0.5))
    assert not ray.running


@pytest.mark.skipif(KILLS <= 5, reason="make torture")
def test_workers_and_driver_killed_again_and_again(tmp_path):
    pictures(tmp_path, int(os.environ.get("PYSMDL_JOB_INPUTS", "60")))
    dice, kills = random.Random(1), 0
    while kills < KILLS:
        process = started(tmp_path, *TWO, model=MODEL)
        while not workers(tmp_path) and process.poll() is None:
            time.sleep(0.05)
        for _ in range(dice.randint(1, 4)):
            time.sleep(dice.uniform(0.2, 2.0))
            here = workers(tmp_path)
            if here and process.poll() is None:
                os.kill(dice.choice(here), signal.SIGKILL)
                kills += 1
        process.kill()
        kills += 1
        process.communicate()
        assert set(stored(tmp_path / "store").values()) <= {1}
    finished(tmp_path, *TWO, start=started)
