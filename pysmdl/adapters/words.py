"""What was understood of a model, in one line."""

from __future__ import annotations

from typing import Any

from pysmdl.adapters.families import classes_of
from pysmdl.inputs.image import InputSpec
from pysmdl.scorers import Scorer
from pysmdl.scorers.classes import ClassScorer


def understood(model: Any, scorer: Scorer, prompts: Any = None) -> str:
    """Model, classes, input: "ViTForImageClassification, 1000 classes, 224 x 224 (shorter side 256, centre crop)"."""
    kind = getattr(model, "__qualname__", type(model).__qualname__)
    return f"{kind}, {_answers(model, scorer, prompts)}, {_input(scorer.input)}"


def _answers(model: Any, scorer: Scorer, prompts: Any) -> str:
    if prompts is not None:
        return f"{len(prompts)} prompt" + ("s" if len(prompts) > 1 else "")
    if not isinstance(scorer, ClassScorer):
        return "features"
    count = classes_of(model)
    return f"{count} classes" if count else "classes"


def _input(spec: InputSpec) -> str:
    parts = [_size(spec)]
    for name in ("mean", "std"):
        values = getattr(spec, name)
        if values is not None:
            listed = values[:1] if len(set(values)) == 1 else values
            parts.append(f"{name} {' '.join(f'{each:.4g}' for each in listed)}")
    if spec.channel_order != "rgb":
        parts.append("BGR")
    if spec.pipeline is None or not spec.pipeline.runs:
        parts.append(spec.interpolation)
    return ", ".join(parts)


def _size(spec: InputSpec) -> str:
    if spec.pipeline is not None and spec.pipeline.runs:
        size = "images of any size" if spec.size is None else f"{spec.size[0]} x {spec.size[1]}"
        return f"{size} (by its own pipeline)"
    if spec.size is None:
        return "images at their own size"
    size = f"{spec.size[0]} x {spec.size[1]}"
    if isinstance(spec.resize, tuple):
        return f"{size} (squashed to {spec.resize[0]} x {spec.resize[1]}, centre crop)"
    if spec.resize is not None:
        return f"{size} (shorter side {spec.resize}, centre crop)"
    return f"{size} (centre crop {spec.crop:g})" if spec.crop is not None else f"{size} (squashed)"
