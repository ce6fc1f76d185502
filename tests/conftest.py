"""Shared by all tests. Without a GPU Triton's kernels run under its interpreter; set that before any import."""

from __future__ import annotations

import os
import signal
from typing import Any

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # one worker a core
os.environ["COLUMNS"] = "200"  # of the command line's tables; consoles look once
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # started in the background of a script
    signal.signal(signal.SIGINT, signal.default_int_handler)

import numpy as np
import pytest

from pysmdl.kernels import backends_for

from real.files import BUILD

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
RUNNABLE = [
    (backend, device) for device in DEVICES for backend, problem in backends_for(device).items() if problem is None
]


def params(pairs: list[tuple[str, str]]) -> list[Any]:
    """Pairs of backend and device as parameters; those on a GPU, or under Triton's interpreter, are marked so."""
    marks = {("triton", "cpu"): pytest.mark.slow}
    on_gpu = {"cpu": (), "cuda": pytest.mark.gpu}
    return [pytest.param(pair, id="-".join(pair), marks=marks.get(pair, on_gpu[pair[1]])) for pair in pairs]


@pytest.fixture(params=params(RUNNABLE))
def backend_device(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Every backend that can run here, with its device."""
    return request.param


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))
    for item in items:
        missing = [file for mark in item.iter_markers("real") for file in mark.args if not (BUILD / file).exists()]
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"build/{missing[0]} is not here: run make models"))


@pytest.fixture(params=params([pair for pair in RUNNABLE if pair[0] != "cuda"]))
def attention_backend(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The same for what drops tokens, which has no CUDA twin."""
    return request.param
