"""EfficientNet-Lite0 for the 1000 classes of ImageNet: in torch, as pysmdl[demo] has it, and exported to ONNX."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

import pysmdl
from pysmdl import builtin

from real.files import BUILD

FILE = BUILD / "models" / "lite0.onnx"


def scorer() -> pysmdl.scorers.Scorer:
    """The network in torch, as pysmdl brings it."""
    return builtin.load("imagenet")


def exported(file: Path = FILE) -> pysmdl.scorers.Scorer:
    """The same from an ONNX file, which is written where it is not there yet; any number of rows."""
    own = scorer()
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's exporter that needs no package more is its older one
            rows = {"pixels": {0: "rows"}}
            torch.onnx.export(own.forward, torch.zeros(2, 3, 224, 224), file, input_names=["pixels"],
                              dynamic_axes=rows, dynamo=False)  # fmt: skip
    spec = own.input
    return pysmdl.adapt(
        file, mean=spec.mean, std=spec.std, size=spec.size, crop=spec.crop, interpolation=spec.interpolation,
        names=own.names,
    )  # fmt: skip
