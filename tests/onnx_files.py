"""ONNX files written by hand, in a few lines of protobuf: a convolution, ReLU and a linear layer of torch's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

FLOAT, HALF = 1, 10  # TensorProto's types


def network(seed: int = 0) -> nn.Sequential:
    """[B, 3, 12, 12] to logits [B, 4]."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 4)).eval()


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: Any) -> bytes:
    """A field: a number, text, or a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def info(name: str, kind: int, shape: list[int | str]) -> bytes:
    dims = b"".join(field(1, field(1 if isinstance(side, int) else 2, side)) for side in shape)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, dims)))


def tensor(name: str, value: np.ndarray, kind: int) -> bytes:
    dims = b"".join(field(1, side) for side in value.shape)
    return dims + field(2, kind) + field(8, name) + field(9, value.tobytes())


def node(kind: str, inputs: list[str], output: str, attributes: bytes = b"") -> bytes:
    return b"".join(field(1, each) for each in inputs) + field(2, output) + field(4, kind) + attributes


def write(path: Path, net: nn.Sequential, rows: int | str = "n", half: bool = False, last: bool = False) -> Path:
    """The network in a file.

    Args:
        rows: Of a batch: a number, or the name of a dimension.
        half: Whether it takes float16 and computes in it.
        last: Whether it takes [B, H, W, C].
    """
    kind, dtype = (HALF, np.float16) if half else (FLOAT, np.float32)
    weights = {name: each.detach().numpy().astype(dtype) for name, each in net.named_parameters()}
    order = field(5, field(1, "perm") + b"".join(field(8, axis) for axis in (0, 3, 1, 2)) + field(20, 7))
    nodes = [node("Transpose", ["image"], "turned", order)] if last else []
    nodes += [
        node("Conv", ["turned" if last else "image", "0.weight", "0.bias"], "a"),
        node("Relu", ["a"], "b"),
        node("Flatten", ["b"], "c"),
        node("Gemm", ["c", "3.weight", "3.bias"], "logits", field(5, field(1, "transB") + field(3, 1) + field(20, 2))),
    ]
    shape = [rows, 12, 12, 3] if last else [rows, 3, 12, 12]
    graph = b"".join(field(1, each) for each in nodes) + field(2, "net")
    graph += b"".join(field(5, tensor(name, value, kind)) for name, value in weights.items())
    graph += field(11, info("image", kind, shape)) + field(12, info("logits", kind, [rows, 4]))
    path.write_bytes(field(1, 8) + field(7, graph) + field(8, field(2, 17)))
    return path
