"""Which implementation of an op runs: the one that was named, or the first that can."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from test_kernels import compose_inputs

from pysmdl.errors import BackendError
from pysmdl.kernels import compose, dispatch


@pytest.fixture
def environment(monkeypatch):
    """Sets PYSMDL_BACKEND, which is otherwise looked at once."""

    def set_to(name):
        monkeypatch.setenv("PYSMDL_BACKEND", name)
        dispatch.resolved.cache_clear()

    dispatch.resolved.cache_clear()
    yield set_to
    monkeypatch.undo()
    dispatch.resolved.cache_clear()


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
