"""The one place that imports the compiled extension, and that says what to do when it is missing."""

from __future__ import annotations

import os
from functools import cache
from types import ModuleType

from pysmdl.errors import BackendError


@cache
def extension() -> ModuleType | None:
    """``pysmdl._C``, or None where it is not built. Looked for once."""
    try:
        from pysmdl import _C
    except ImportError:
        return None
    return _C


@cache
def require() -> ModuleType:
    """``pysmdl._C``.

    Raises:
        BackendError: it is not built; the message says how to build it.
    """
    found = extension()
    if found is None:
        raise BackendError(
            "pysmdl's compiled extension is not here. From a source tree run `pip install .` (a C++17 compiler is "
            'needed) and start Python outside the tree; or use backend="reference".'
        )
    return found


@cache
def threads() -> int:
    """CPU threads an op may use: PYSMDL_NUM_THREADS, else what torch uses."""
    asked = os.environ.get("PYSMDL_NUM_THREADS")
    if asked is None:
        import torch

        return torch.get_num_threads()
    if not asked.isdecimal() or int(asked) < 1:
        raise ValueError(f"PYSMDL_NUM_THREADS must be a whole number of at least 1; got {asked!r}")
    return int(asked)
