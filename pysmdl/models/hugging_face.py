"""What Hugging Face's models need of whoever calls them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def unmasked() -> Iterator[None]:
    """Hugging Face's models see that they are captured; releases before 5.24 then attend with a mask of ones, and with
    any mask at a third of the speed. Nothing is padded here, so they are told that this is a pass like any other.
    """
    masking: Any = sys.modules.get("transformers.masking_utils")
    before = getattr(masking, "is_tracing", None)
    if before is not None:
        masking.is_tracing = lambda *_, **__: False
    try:
        yield
    finally:
        if before is not None:
            masking.is_tracing = before
