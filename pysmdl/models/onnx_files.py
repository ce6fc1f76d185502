"""ONNX files, run by ONNX Runtime: what the file says of its input (rows, size, layout, type) is what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pysmdl.errors import need
from pysmdl.models.base import Model

TYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16}
NUMBERS = {torch.float32: np.float32, torch.float16: np.float16}
PROVIDERS = {"cuda": "CUDAExecutionProvider"}  # besides the CPU's


class OnnxModel(Model):
    """A network in an ONNX file.

    Args:
        path: The file.
        device: Where it runs, "cpu" or "cuda": with "cuda" ONNX Runtime's provider for it goes first, and where that
            could be loaded batches are made on the GPU and read there. None: the CPU.

    Raises:
        MissingPackageError: onnxruntime is not installed (``pip install 'pysmdl[onnx]'``).
        ValueError: the file is damaged, takes something else than one batch of images in float32 or float16, or the
            installed ONNX Runtime does not run on that device.
    """

    name: str

    def __init__(self, path: Path, device: str | torch.device | None = None) -> None:
        self._made = path.absolute(), device
        self._session = _session(path, device)
        taken = self._session.get_inputs()
        if len(taken) != 1 or len(taken[0].shape) != 4 or taken[0].type not in TYPES:
            given = ", ".join(f"{each.name} {each.type} {each.shape}" for each in taken)
            raise ValueError(f"{path} must take one batch [B, C, H, W] in float32 or float16; it takes {given}")
        (only,) = taken
        rows, *sides = only.shape
        last = sides[2] in (1, 3) and sides[0] not in (1, 3)
        grid = sides[:2] if last else sides[1:]
        self._input, self._outputs = only.name, [each.name for each in self._session.get_outputs()]
        there = device is not None and PROVIDERS.get(torch.device(device).type) in self._session.get_providers()
        super().__init__(
            self._read if there else self._run,
            device=device if there else None,
            dtype=TYPES[only.type],
            batch=rows if isinstance(rows, int) else None,
            layout="nhwc" if last else "nchw",
            takes="torch" if there else "numpy",
        )
        self.name = path.name
        if all(isinstance(side, int) for side in grid):
            self.size = grid[0], grid[1]

    def __reduce__(self) -> Any:
        """Pickles have its path: the file is opened anew."""
        return OnnxModel, self._made

    def _run(self, batch: Any) -> Any:
        return self._named(self._session.run(None, {self._input: batch}))

    def _read(self, batch: Tensor) -> Any:
        return self._named(answers_to(self._session, self._input, self._outputs, batch))

    def _named(self, found: Sequence[Any]) -> Any:
        """The only output, or all of them by name."""
        return found[0] if len(found) == 1 else dict(zip(self._outputs, found, strict=True))

    def compiled(self) -> Model:
        return self


def answers_to(session: Any, taken: str, given: Sequence[str], batch: Tensor) -> Sequence[Any]:
    """A session's outputs, arrays on the CPU, to a batch that it reads where it lies, without a copy on the way."""
    batch = batch.contiguous()
    if batch.is_cuda:
        torch.cuda.current_stream(batch.device).synchronize()  # ONNX Runtime has a stream of its own
    binding = session.io_binding()
    where = batch.device.type, batch.device.index or 0
    binding.bind_input(taken, *where, NUMBERS[batch.dtype], list(batch.shape), batch.data_ptr())
    for name in given:
        binding.bind_output(name)
    session.run_with_iobinding(binding)
    found: Sequence[Any] = binding.copy_outputs_to_cpu()
    return found


def _session(path: Path, device: str | torch.device | None) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise need("onnxruntime", f"{path.name}, an ONNX file,", "pysmdl[onnx]") from None
    kind, providers = str(device or "cpu").partition(":")[0], ["CPUExecutionProvider"]
    options_of: list[dict[str, Any]] = [{}]
    if kind != "cpu":
        wanted, there = PROVIDERS.get(kind, kind), onnxruntime.get_available_providers()
        if wanted not in there:
            raise ValueError(f"device must be one that this ONNX Runtime runs on, {', '.join(there)}; got {device!r}")
        providers, options_of = [wanted, *providers], [{"device_id": torch.device(device or kind).index or 0}, {}]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers, options_of)
    except Exception as error:  # of many types, as the file is damaged
        raise ValueError(f"{path} is no ONNX model that can be run: {error}") from error
