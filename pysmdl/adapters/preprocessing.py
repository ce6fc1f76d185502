"""How photographs become a model's input: as a processor, a transform, settings, or the model itself says it."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from pysmdl.adapters import reading
from pysmdl.adapters.families import (
    data_config,
    detector_family,
    is_hugging_face,
    is_open_clip,
    is_timm,
    is_torchvision,
)
from pysmdl.adapters.pipelines import OwnPipeline, agreed
from pysmdl.inputs.image import InputSettings, InputSpec, input_spec


def check_said_once(processor: Any, transform: Any, input: InputSettings, prompts: Any) -> None:
    """Raise ValueError where the input is said more than once. A processor beside a transform is that of prompts."""
    said = {"processor": processor, "transform": transform, " and ".join(input): input or None}
    ways = [name for name, value in said.items() if value is not None]
    if len(ways) > 1 and (prompts is None or ways != ["processor", "transform"]):
        raise ValueError(f"what the input is was said {len(ways)} times, by {', by '.join(ways)}: give one of them")


def input_of(model: Any, processor: Any, transform: Any, input: InputSettings) -> InputSpec:
    """How photographs become the input, as one of these says it, else the model itself.

    Raises:
        ValueError: none says it, or what was given is of no use.
    """
    if transform is not None:
        return _of_transform(transform)
    if processor is not None:
        return _of_processor(processor)
    if input:
        return input_spec(**input)
    if is_timm(model):
        return _of_timm(model)
    if is_open_clip(model):
        return _of_open_clip(model)
    if is_hugging_face(model):
        raise ValueError(
            f"{type(model).__name__} does not say what its input is: give processor=, as "
            "AutoImageProcessor.from_pretrained(...) makes it, or transform=, or mean, std and size"
        )
    family = detector_family(model)
    if family == "ultralytics":
        raise ValueError(
            f"{type(model).__name__} does not say what its input is: give size=640, or the size that it was trained at"
        )
    if is_torchvision(model) and family is None:  # its detectors resize and normalise by themselves
        raise ValueError(
            f"{type(model).__name__} does not say what its input is: give transform=weights.transforms(), or mean, std "
            "and size"
        )
    return InputSpec()


def _of_processor(processor: Any) -> InputSpec:
    found = getattr(processor, "image_processor", processor)
    if not callable(found) or not hasattr(found, "preprocess"):
        raise ValueError(
            f"processor must be an image processor of Hugging Face's, or have one; got {type(processor).__name__}; any "
            "function of a picture goes in as transform="
        )
    kind = type(found).__name__
    return agreed(reading.of_processor(found), OwnPipeline(partial(_pixel_values, found), kind))


def _pixel_values(processor: Any, picture: Any) -> Any:
    found = processor(images=picture, return_tensors="pt")
    mask = found.get("pixel_mask")
    if mask is not None and not mask.bool().all():
        raise ValueError(
            f"it pads a picture to {list(mask.shape[1:])}, and what is padding does not reach the model here: set its "
            "pad_size to None"
        )
    values = found["pixel_values"]
    if getattr(values, "ndim", 4) == 3:
        raise ValueError(
            f"it cuts a picture into patches {list(values.shape[1:])}, of which the model is told more than can be "
            "said here: explain a function of pictures [B, 3, H, W] that does so, pysmdl.scorers.classifier(function)"
        )
    return values


def _of_transform(transform: Any) -> InputSpec:
    if not callable(transform):
        raise ValueError(f"transform must be a function of a picture of Pillow's; got {type(transform).__name__}")
    return agreed(reading.of_transform(transform), OwnPipeline(transform, "transform"))


def _of_timm(model: Any) -> InputSpec:
    config = data_config(model) or {}
    library, spec = sys.modules.get("timm.data"), reading.of_timm(config)
    if library is not None:
        return agreed(spec, OwnPipeline(library.create_transform(**config, is_training=False), "timm's transform"))
    if spec is None:
        raise ValueError(f"the input of {type(model).__name__} is not known without timm.data: give transform=")
    return spec


def _of_open_clip(model: Any) -> InputSpec:
    """As open_clip's factory wrote it down with the model; its own way of making the transform of that."""
    library = sys.modules.get("open_clip")
    config = getattr(getattr(model, "visual", None), "preprocess_cfg", None)
    if library is None or not config:
        raise ValueError(f"{type(model).__name__} does not say what its input is: give transform=, its preprocess")
    names = ("mean", "std", "interpolation", "resize_mode", "fill_color")
    said = {name: config[name] for name in names if name in config}
    return _of_transform(library.image_transform(config["size"], is_train=False, **said))
