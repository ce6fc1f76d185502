"""Which implementation of an op runs: the one that was named, or the first that can."""

from __future__ import annotations

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
        dispatch._auto.cache_clear()

    dispatch._auto.cache_clear()
    yield set_to
    monkeypatch.undo()
    dispatch._auto.cache_clear()


def test_unknown_backend_lists_those_there_are():
    with pytest.raises(ValueError, match=r"'auto', 'cpu', 'cuda', 'reference', 'triton'"):
        compose(*compose_inputs(), backend="gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="here it can")
def test_explicit_backend_never_falls_back():
    with pytest.raises(BackendError, match=r"'cuda' cannot run here.*Available: cpu"):
        compose(*compose_inputs(), backend="cuda")


def test_environment_overrides_auto_only(environment):
    environment("reference")
    assert dispatch._auto("compose", "cpu") == "reference"
    assert dispatch.pick("compose", "cpu", torch.device("cpu")).__name__ == "compose_native"
    environment("fast")
    with pytest.raises(ValueError, match="PYSMDL_BACKEND must be one of"):
        dispatch._auto("compose", "cpu")


def test_auto_takes_the_first_that_the_op_has(environment, monkeypatch):
    monkeypatch.setattr(dispatch, "why_not", lambda backend, device: None)
    assert dispatch._auto("compose", "cuda") == "cuda"
    assert dispatch._auto("varlen_attention", "cuda") == "triton"
    assert dispatch._auto("compose", "xpu") == "reference"
    environment("cuda")
    assert dispatch._auto("varlen_attention", "cuda") == "triton"
