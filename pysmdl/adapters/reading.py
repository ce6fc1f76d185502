"""What a library's own pipeline says of itself, as an InputSpec: Hugging Face's, timm's, torchvision's.

Known by the names of their classes and attributes; nothing is imported. None is what cannot be said as an InputSpec:
the pipeline itself then makes the inputs (:func:`pysmdl.adapters.pipelines.agreed`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from pysmdl.inputs.image import InputSpec

RESAMPLES = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers
# Steps of torchvision's, timm's and open_clip's transforms that change no pixel of an RGB picture.
PLAIN_STEPS = (
    "ToTensor", "PILToTensor", "ToImage", "MaybeToTensor", "MaybePILToTensor", "ToPureTensor", "_convert_to_rgb",
    "MaybeConvertMode",
)  # fmt: skip
CONVERTING = ("ToDtype", "ConvertImageDtype")


def of_processor(processor: Any) -> InputSpec | None:
    """Of an image processor of Hugging Face's: size, do_center_crop and crop_size, resample, rescale_factor, mean, std.

    Sources: transformers/image_processing_backends.py, and models/convnext for crop_pct.
    """
    resize, size = _geometry(processor)
    interpolation = RESAMPLES.get(_number(getattr(processor, "resample", None)))
    pads = getattr(processor, "do_pad", False) and getattr(processor, "pad_size", True) is not None
    if size is None or interpolation is None or pads:  # without a pad_size to the largest of a batch: of one
        return None
    factor = float(processor.rescale_factor) if getattr(processor, "do_rescale", False) else 1.0
    mean, std = [0.0] * 3, [1.0] * 3
    if getattr(processor, "do_normalize", False):
        mean, std = list(processor.image_mean), list(processor.image_std)
    unit = 255 * factor  # of what is normalised, in pixel / 255: one, as a rule
    unit = 1.0 if math.isclose(unit, 1.0) else unit
    order = "bgr" if getattr(processor, "do_flip_channel_order", False) else "rgb"
    return InputSpec(
        tuple(each / unit for each in mean), tuple(each / unit for each in std), size, order,
        interpolation=interpolation, resize=resize, cut="floor" if resize else "round",
    )  # fmt: skip


def _geometry(processor: Any) -> tuple[Any, tuple[int, int] | None]:
    """What a processor resizes to, and what it cuts out of that: (height, width), None where it depends."""
    size = getattr(processor, "size", None) if getattr(processor, "do_resize", False) else None
    height, width, shorter = (_side(size, name) for name in ("height", "width", "shortest_edge"))
    if _side(size, "longest_edge") is not None:
        return None, None
    share = getattr(processor, "crop_pct", None)
    if share and shorter:
        square = shorter, shorter
        return (int(shorter / share), square) if shorter < 384 else (None, square)
    resized = shorter if shorter else (height, width) if height and width else None
    if getattr(processor, "do_center_crop", False) and resized is not None:
        crop = getattr(processor, "crop_size", None)
        cut = _side(crop, "height"), _side(crop, "width")
        sides = resized if isinstance(resized, tuple) else (resized, resized)
        fits = cut[0] and cut[1] and cut[0] <= sides[0] and cut[1] <= sides[1]
        return (resized, (cut[0], cut[1])) if fits else (None, None)  # type: ignore[return-value]
    return None, (resized if isinstance(resized, tuple) else None)


def _side(size: Any, name: str) -> int | None:
    found = size.get(name) if isinstance(size, Mapping) else getattr(size, name, None)
    return None if found is None else int(found)


def of_timm(config: Mapping[str, Any]) -> InputSpec | None:
    """Of timm's data config, as pretrained_cfg has it: input_size, crop_pct, crop_mode, interpolation, mean, std.

    Source: timm/data/transforms_factory.py, transforms_imagenet_eval.
    """
    channels, height, width = config.get("input_size") or (3, 224, 224)
    mode, interpolation = config.get("crop_mode") or "center", config.get("interpolation") or "bilinear"
    if channels != 3 or mode not in ("center", "squash") or interpolation not in RESAMPLES.values():
        return None
    share = config.get("crop_pct") or 0.875
    high, wide = math.floor(height / share), math.floor(width / share)
    resize: Any = (high, wide) if mode == "squash" else high
    if mode == "center" and high != wide:
        return None
    mean, std = config.get("mean") or (0.485, 0.456, 0.406), config.get("std") or (0.229, 0.224, 0.225)
    return InputSpec(tuple(mean), tuple(std), (height, width), interpolation=interpolation, resize=resize)


def of_transform(transform: Any) -> InputSpec | None:
    """Of torchvision's presets (``weights.transforms()``), and of a Compose of Resize, CenterCrop, ToTensor, Normalize.

    Sources: torchvision/transforms/_presets.py (ImageClassification) and transforms.py.
    """
    if type(transform).__name__ == "ImageClassification":
        resize, size = transform.resize_size, transform.crop_size
        return _of_steps(resize, size, transform.interpolation, transform.mean, transform.std)
    resize = size = interpolation = mean = std = None
    for step in getattr(transform, "transforms", ()):
        name = getattr(step, "__name__", type(step).__name__)
        if name == "Resize" and getattr(step, "max_size", None) is None and resize is None and size is None:
            resize, interpolation = step.size, step.interpolation
        elif name == "CenterCrop" and size is None:
            size = step.size
        elif name == "Normalize" and mean is None:
            mean, std = step.mean, step.std
        elif name not in PLAIN_STEPS and not (name in CONVERTING and getattr(step, "dtype", None) is torch.float32):
            return None
    return None if resize is None else _of_steps(resize, size, interpolation, mean, std)


def _of_steps(resize: Any, size: Any, interpolation: Any, mean: Any, std: Any) -> InputSpec | None:
    name = str(getattr(interpolation, "value", interpolation))  # of torchvision's InterpolationMode, or its name
    resized, cut = _sides(resize), _sides(size)
    if name not in RESAMPLES.values() or (cut is None and not isinstance(resized, tuple)):
        return None
    sides = resized if isinstance(resized, tuple) else (resized, resized)
    size = sides if cut is None else cut if isinstance(cut, tuple) else (cut, cut)
    if size[0] > sides[0] or size[1] > sides[1]:
        return None  # padded
    mean, std = (None if each is None else tuple(_list(each)) for each in (mean, std))
    return InputSpec(mean, std, size, interpolation=name, resize=None if cut is None else resized)


def _sides(given: Any) -> Any:
    """A shorter side, or (height, width), or None."""
    listed = _list(given) if hasattr(given, "__len__") else [given]
    return (int(listed[0]), int(listed[1])) if len(listed) == 2 else None if given is None else int(listed[0])


def _list(values: Any) -> Sequence[Any]:
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return -1
