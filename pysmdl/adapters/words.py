"""What was understood of a model, in one line."""

from __future__ import annotations

from typing import Any

from pysmdl.adapters.families import classes_of
from pysmdl.adapters.pipelines import OwnPipeline
from pysmdl.inputs.image import InputSpec
from pysmdl.scorers import Scorer
from pysmdl.scorers.answers import AnswerScorer
from pysmdl.scorers.boxes import Detector
from pysmdl.scorers.classes import ClassScorer


def understood(model: Any, scorer: Scorer, prompts: Any = None) -> str:
    """Model, classes, input: "ViTForImageClassification, 1000 classes, 224 x 224 (shorter side 256, centre crop)"."""
    kind = getattr(model, "__qualname__", type(model).__qualname__)
    return f"{kind}, {_answers(model, scorer, prompts)}, {_input(scorer.input)}"


def _answers(model: Any, scorer: Scorer, prompts: Any) -> str:
    if prompts is not None:
        return f"{len(prompts)} prompt" + ("s" if len(prompts) > 1 else "")
    if isinstance(scorer, AnswerScorer):
        what = "what it answers" if scorer.given is None else f"{scorer.given!r} as its answer"
        return what if scorer.speech.prompt is None else f"{what} to {scorer.speech.prompt!r}"
    count = classes_of(model) or len(scorer.names or ())
    if isinstance(scorer, Detector):
        return f"boxes of {count} class" + ("es" if count > 1 else "") if count else "boxes"
    if not isinstance(scorer, ClassScorer):
        return "features"
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
    own = spec.pipeline if isinstance(spec.pipeline, OwnPipeline) and spec.pipeline.runs else None
    if spec.size is None:
        return "images at their own size" if own is None else "images of any size, by its own pipeline"
    size = f"{spec.size[0]} x {spec.size[1]}"
    how = "squashed" if spec.crop is None else f"centre crop {spec.crop:g}"
    if isinstance(spec.resize, tuple):
        how = f"squashed to {spec.resize[0]} x {spec.resize[1]}, centre crop"
    elif spec.resize is not None:
        how = f"shorter side {spec.resize}, centre crop"
    elif own is not None and own.said is None:
        return f"{size} (by its own pipeline)"
    return f"{size} ({how})" if own is None else f"{size} ({how}, by its own pipeline)"
