"""Host memory for composed batches."""

from __future__ import annotations

import mmap
from functools import cache
from math import prod

import torch
from torch import Tensor

HUGE = 2 << 20  # bytes of a huge page
KEPT = (32 << 20) - (64 << 10)  # bytes; the most that glibc learns from is 32 MiB


def empty(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """torch.empty; on the CPU from huge pages where there are any: the first write takes a third of the time."""
    size = prod(shape) * dtype.itemsize
    if device.type == "cpu" and size >= HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
        try:
            memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            memory.madvise(mmap.MADV_HUGEPAGE)
            return torch.frombuffer(memory, dtype=dtype).view(shape)  # keeps the mapping alive
        except OSError:  # a kernel without huge pages, or no memory: torch says so better
            pass
    return torch.empty(shape, dtype=dtype, device=device)


@cache
def keep_freed() -> None:
    """Have glibc keep the memory that a model's layers free from one batch to the next, once in a process.

    It learns how much by a block that is given back. Else each larger batch's layers are mapped anew, page by page: 16
    rows of a CNN of 30 MFLOP took 1000 page faults, a fifth of their time. A limit that the user set (mallopt,
    MALLOC_TRIM_THRESHOLD_) stays.
    """
    torch.empty(KEPT, dtype=torch.uint8, device="cpu")
