"""Which implementation of an op runs: the one that was named, or the first that can."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from test_kernels import compose_inputs

import pysmdl.kernels
from pysmdl.errors import BackendError
from pysmdl.kernels import BACKENDS, class_scores, compose, dispatch, serves


@pytest.fixture
def environment(monkeypatch):
    """Sets variables of the environment, which are otherwise looked at once."""

    def forget():
        dispatch.resolved.cache_clear()
        dispatch.serves.cache_clear()

    def set_to(name, variable="PYSMDL_BACKEND"):
        monkeypatch.setenv(variable, name)
        forget()

    forget()
    yield set_to
    monkeypatch.undo()
    forget()


def test_unknown_backend_lists_those_there_are():
    with pytest.raises(ValueError, match=r"'auto', 'cpu', 'cuda', 'reference', 'triton'"):
        compose(*compose_inputs(), backend="gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="here it can")
def test_explicit_backend_never_falls_back():
    with pytest.raises(BackendError, match=r"'cuda' cannot run here.*Available: cpu"):
        compose(*compose_inputs(), backend="cuda")


def test_environment_overrides_auto_only(environment):
    environment("reference")
    assert dispatch.resolved("compose", "cpu") == "reference"
    assert dispatch.launcher("compose", "cpu", "cpu").__name__ == "compose_native"
    environment("fast")
    with pytest.raises(ValueError, match="PYSMDL_BACKEND must be one of"):
        dispatch.resolved("compose", "cpu")


@pytest.mark.parametrize(
    ("capability", "devices", "architectures", "problem"),
    [
        ((9, 0), 1, "75-real 80-real 90", None),
        ((12, 0), 1, "75-real 80-real 90", None),
        ((9, 0), 1, "native", None),
        ((7, 0), 1, "75-real 80-real 90", "built for devices from sm_75 on"),
        ((7, 5), 1, "80-real 90", "built for devices from sm_80 on"),
        ((9, 0), 0, "90", "the driver here is older than CUDA 13.0"),
    ],
)
def test_a_gpu_that_the_extension_was_not_built_for(monkeypatch, capability, devices, architectures, problem):
    built = {"cuda": "13.0", "cuda_architectures": architectures}
    extension = SimpleNamespace(build_info=lambda: built, cuda_device_count=lambda: devices)
    monkeypatch.setattr(dispatch._native, "extension", lambda: extension)
    monkeypatch.setattr(dispatch._native, "require", lambda: extension)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (9, 0) if index else capability)
    dispatch._why_not_cuda.cache_clear()
    try:
        found = dispatch.why_not("cuda", "cuda")
    finally:
        dispatch._why_not_cuda.cache_clear()
    assert found is None if problem is None else problem in found


def test_auto_takes_the_first_that_the_op_has(environment, monkeypatch):
    monkeypatch.setattr(dispatch, "why_not", lambda backend, device: None)
    assert dispatch.resolved("compose", "cuda") == "cuda"
    assert dispatch.resolved("varlen_attention", "cuda") == "triton"
    assert dispatch.resolved("compose", "xpu") == "reference"
    environment("cuda")
    assert dispatch.resolved("varlen_attention", "cuda") == "triton"


def test_every_op_takes_every_backend():
    """A run of a backend has one for each of its ops; none is left to chance."""
    for op in dispatch.OPS:
        assert "backend" in getattr(pysmdl.kernels, op).__kwdefaults__
        for backend in ("auto", *BACKENDS):
            for device in ("cpu", "cuda"):
                found = serves(op, backend, device)
                assert found in BACKENDS
                assert found in dispatch.OPS[op]


@pytest.mark.parametrize(
    ("op", "backend", "device", "wanted"),
    [
        ("compose", "triton", "cuda", "triton"),
        ("class_scores", "reference", "cpu", "reference"),
        ("pack_tokens", "triton", "cuda", "triton"),
        ("pack_tokens", "cpu", "cpu", "cpu"),
        ("distance_gains", "cuda", "cpu", "cpu"),  # on the host, whatever the run is on
        ("distance_gains", "cuda", "cuda", "cuda"),
        ("varlen_attention", "reference", "cuda", "reference"),
    ],
)
def test_what_serves_an_op_is_what_the_run_is_of(op, backend, device, wanted):
    assert serves(op, backend, device) == wanted


def test_an_op_that_a_backend_lacks_is_left_to_auto(environment, monkeypatch):
    monkeypatch.setattr(dispatch, "why_not", lambda backend, device: None)
    assert serves("pack_tokens", "cuda", "cuda") == "triton"
    assert serves("varlen_attention", "cuda", "cuda") == "triton"
    assert serves("compose", "auto", "cuda") == "cuda"
    environment("0", "TRITON_INTERPRET")
    assert serves("distance_gains", "triton", "cpu") == "cpu"
    environment("1", "TRITON_INTERPRET")
    assert serves("distance_gains", "triton", "cpu") == "triton"
    environment("reference")
    assert serves("pack_tokens", "cuda", "cuda") == "reference"
    assert serves("compose", "cuda", "cuda") == "cuda"
    with pytest.raises(ValueError, match=r"backend must be one of 'auto', .* got 'gpu'"):
        serves("compose", "gpu", "cpu")


def test_the_way_of_an_op_is_short():
    """An op's call is on the way of each batch: it enters two files of Python, however often it is asked for."""
    given = compose_inputs()
    logits, targets = torch.zeros(2, 5), torch.zeros(2, 1, dtype=torch.int32)

    def calls():
        compose(*given, backend="cpu")
        class_scores(logits, targets, backend="cpu")

    calls()
    entered, before = [], sys.getprofile()
    sys.setprofile(lambda frame, event, argument: entered.append(frame.f_code) if event == "call" else None)
    try:
        calls()
    finally:
        sys.setprofile(before)
    files = {Path(code.co_filename).name for code in entered if code is not calls.__code__}
    assert files == {"__init__.py", "native.py"}
    assert len(entered) <= 13
