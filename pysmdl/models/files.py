"""Models from files: TorchScript, programs of torch.export, and ONNX."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pysmdl.errors import described
from pysmdl.models.base import Model
from pysmdl.models.inspect import device_here
from pysmdl.models.onnx_files import OnnxModel
from pysmdl.models.programs import load_program, module_of


def load_file(path: Path, device: str | torch.device | None = None) -> Callable[[Tensor], Any] | Model:
    """The model in a file: TorchScript, a program of torch.export (.pt2), or ONNX (.onnx).

    Raises:
        ValueError: there is no such file, it holds none of these, is damaged, or a program holds what would run code.
        MissingPackageError: an ONNX file, and onnxruntime is not installed.
    """
    if not path.is_file():
        raise ValueError(f"model must be a file of TorchScript, .pt2 or .onnx, or a callable; there is no file {path}")
    if path.suffix.lower() == ".onnx":
        return OnnxModel(path, device)
    where = device_here(device or "cpu")
    if path.suffix == ".pt2":
        program = load_program(path)
        try:
            return _Exported(program, path, where)
        except Exception as error:
            raise ValueError(f"{path} is a program that takes no batch of images: {described(error)}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch prefers its exported programs
            scripted = torch.jit.load(str(path), map_location=where)
    except Exception as error:  # of many types, as the file is damaged
        if "constants.pkl" in str(error):  # torch.jit's archives have it, torch.save's have not
            raise ValueError(
                f"{path} is what torch.save wrote, not TorchScript: load it in Python, and give the module that has "
                "these weights"
            ) from error
        raise ValueError(
            f"{path} is no TorchScript file, or damaged; a program of torch.export needs the suffix .pt2, ONNX .onnx"
        ) from error
    return scripted.eval()  # type: ignore[no-any-return]


class _Exported:
    """An exported program as a callable; one exported for a single batch size is fed in pieces of that size.

    The batch is converted to the dtype that it was exported for. Not a module: what it does in training or evaluation
    was settled when it was exported.
    """

    def __init__(self, program: torch.export.ExportedProgram, path: Path, device: torch.device) -> None:
        self._made = path.absolute(), device
        self._module = module_of(program).to(device)
        first = next(node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs)
        taken = first.meta["val"]
        size = taken.shape[0]
        self._dtype, self._fixed = taken.dtype, size if isinstance(size, int) else None

    def __reduce__(self) -> Any:
        """Pickles have its path: the file is opened anew."""
        return load_file, self._made

    def __call__(self, batch: Tensor) -> Tensor:
        if self._fixed is None:
            return self._answer(batch)
        padding = -len(batch) % self._fixed
        padded = torch.cat((batch, batch[-1:].expand(padding, *batch.shape[1:]))) if padding else batch
        return torch.cat([self._answer(piece) for piece in torch.split(padded, self._fixed)])[: len(batch)]

    def _answer(self, batch: Tensor) -> Tensor:
        answer = self._module(batch.to(self._dtype))
        logits = getattr(answer, "logits", answer)
        if not isinstance(logits, Tensor):
            raise ValueError(f"an exported program must return logits [B, K], one tensor; got {type(logits).__name__}")
        return logits
