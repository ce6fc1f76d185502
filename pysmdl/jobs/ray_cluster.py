"""Ray, started for a job on this machine alone, or joined where it runs."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pysmdl.errors import need
from pysmdl.jobs.task import RayOptions

REACHED = 10.0  # seconds: Ray itself tries for minutes, and says little
STORE = 100 << 20  # bytes of Ray's own memory for objects: what is sent is small


def imported(options: RayOptions) -> Any:
    """Ray. Where it is started here, it is told first, by what it has for laptops, that this machine is no part of a
    cluster: else it takes 127.0.0.1 for the machine's own address, and listens on all of them.

    Raises:
        MissingPackageError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if options.address is None and "ray" not in sys.modules:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        os.environ.setdefault(
            "RAY_worker_niceness", "0"
        )  # as this process: 15, Ray's own, starves them on a busy machine
    try:
        import ray
        from ray._private import ray_constants
    except ImportError:
        raise need("ray", "A job with several workers", "pysmdl[ray]") from None
    if options.address is None and not ray.is_initialized():  # imported before
        ray_constants.ENABLE_RAY_CLUSTER = False
    return ray


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray puts a handler of its own for SIGTERM in place of whatever is there."""
    main = threading.current_thread() is threading.main_thread()
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)} if main else {}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def start(ray: Any, workers: int, options: RayOptions) -> bool:
    """Start Ray on the loopback interface, without its dashboard, or join a cluster; whether it was not there.

    Raises:
        ConnectionError: there is no cluster.
        ValueError: a worker wants more GPUs than this machine has.
    """
    if ray.is_initialized():
        return False
    with _signals_kept():
        if options.address is not None:
            _reach(options.address)
            ray.init(address=options.address, log_to_driver=False)
            return True
        ray.init(
            num_cpus=max(1, round(workers * options.cpus)),
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            object_store_memory=STORE,
            log_to_driver=False,
            configure_logging=False,
        )
    there = ray.cluster_resources().get("GPU", 0)
    if options.gpus > there:
        ray.shutdown()
        raise ValueError(f"gpus must be at most {there:g}, which Ray finds here; got {options.gpus:g}")
    return True


def _reach(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), REACHED).close()
        except OSError as error:
            raise ConnectionError(f"ray must be the address of a cluster; at {address} is none: {error}") from None
