"""Host memory for composed batches: from huge pages or not, it is a tensor like any other."""

from __future__ import annotations

import gc
import mmap

import pytest
import torch

from pysmdl.engine.device.buffers import HUGE, empty

CPU = torch.device("cpu")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("rows", [1, 5000])
def test_a_buffer_holds_what_is_written(rows, dtype):
    buffer = empty((rows, 3, 151), dtype, CPU)
    assert (rows * 3 * 151 * dtype.itemsize >= HUGE) == (rows == 5000)
    assert buffer.is_contiguous()
    wanted = torch.randn(buffer.shape).to(dtype)
    part = buffer.copy_(wanted)[rows // 2 :]
    del buffer
    gc.collect()
    assert torch.equal(part, wanted[rows // 2 :])  # a slice keeps the memory


def test_without_huge_pages_torch_allocates(monkeypatch):
    def refuse(*_, **__):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(mmap, "mmap", refuse)
    assert empty((HUGE,), torch.float32, CPU).shape == (HUGE,)
