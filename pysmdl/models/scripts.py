"""TorchScript in pickles, which it refuses itself: as its file."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import torch


class Script:
    """Stands for a TorchScript module while a pickle of it is made; what is read back is the module."""

    def __init__(self, module: torch.jit.ScriptModule) -> None:
        self._module = module

    def __reduce__(self) -> Any:
        file = BytesIO()
        torch.jit.save(self._module, file)
        return _read, (file.getvalue(),)


def _read(content: bytes) -> Any:
    return torch.jit.load(BytesIO(content)).eval()
