"""Hugging Face's classifiers of sounds and of clips: AST, Wav2Vec2, HuBERT, Whisper; VideoMAE, ViViT, TimeSformer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pysmdl.adapters.families import is_hugging_face
from pysmdl.adapters.pipelines import OwnPipeline
from pysmdl.errors import ImageError
from pysmdl.inputs import clips
from pysmdl.inputs.base import Input
from pysmdl.inputs.frames import are_frames, frames_of
from pysmdl.inputs.image import InputSpec
from pysmdl.inputs.tensors import clip_frames
from pysmdl.models.base import Model
from pysmdl.scorers.classes import Classifier

HEARS = ("input_values", "input_features")
CLASSIFIES_SOUND = ("ForAudioClassification", "ForSequenceClassification")


def signal_family(model: Any) -> str | None:
    """What a classifier of transformers is given: "sound" or "clip"; None: neither."""
    if not is_hugging_face(model):
        return None
    name, given = type(model).__name__, getattr(model, "main_input_name", "")
    if name.endswith("ForVideoClassification"):
        return "clip"
    return "sound" if given in HEARS and name.endswith(CLASSIFIES_SOUND) else None


def sounding(
    model: Any, family: str, processor: Any, device: str | torch.device | None, gives: str, head: Any
) -> Classifier:
    """A scorer of such a classifier. Sounds are silenced before the feature extractor, which is run for each row, so
    that a score is that of the pipeline on the masked sound; clips are masked as the model sees them.

    Raises:
        ValueError: there is no processor, or one of another kind.
    """
    wanted = "sampling_rate" if family == "sound" else "image_mean"
    found = getattr(processor, "feature_extractor", processor)
    if not callable(found) or not hasattr(found, wanted):
        kind = "feature extractor" if family == "sound" else "video processor"
        raise ValueError(
            f"{type(model).__name__} needs processor=, the {kind} that it was trained with; got "
            f"{type(processor).__name__ if processor is not None else None}"
        )
    if family == "sound":
        heard = Model(partial(_of_sounds, model, found), device=device, dtype=torch.float32)
        return Classifier(heard, InputSpec(rate=int(found.sampling_rate)), gives=gives, head=head)
    reader = ClipPipeline(found, model)
    levels = OwnPipeline(reader.still, type(found).__name__).measured()
    seen = Model(partial(_of_clips, model), device=device)
    spec = InputSpec(mean=levels.mean, std=levels.std, channel_order=levels.channel_order)
    scorer = Classifier(seen, spec, gives=gives, head=head)
    scorer.reader = reader
    return scorer


def _of_sounds(model: nn.Module, extractor: Any, batch: Tensor) -> Any:
    """Sounds [B, N] through the extractor, then the model."""
    rows = list(batch.detach().cpu().numpy())
    made = extractor(rows, sampling_rate=extractor.sampling_rate, return_tensors="pt")
    weights = next(model.parameters())
    given = {name: each.to(weights if each.is_floating_point() else weights.device) for name, each in made.items()}
    return model(**given)


def _of_clips(model: Any, batch: Tensor) -> Any:
    """Clips [B, C, T, H, W] as the model has them, frame by frame."""
    return model(**{model.main_input_name: batch.transpose(1, 2)})


class ClipPipeline:
    """Frames, uint8 [T, H, W, 3] or pictures in a row, or a file of which as many are taken as the model takes, through
    a model's own processor: float [C, T, height, width].
    """

    def __init__(self, processor: Any, model: Any) -> None:
        self._processor, self._name = processor, model.main_input_name
        said = (getattr(model.config, name, None) for name in ("num_frames", "frames_per_clip"))
        self._count = self.frames = next((each for each in said if isinstance(each, int)), None)

    def takes(self, given: Any) -> bool:
        return isinstance(given, (Sequence, os.PathLike)) or are_frames(given)

    def read(self, given: Any, spec: InputSpec, computed: bool) -> Input:
        path = isinstance(given, (str, os.PathLike))
        count = spec.frames if spec.frames is not None or not path else self._count
        if not path and not are_frames(given):
            raise ImageError("a clip must be frames, uint8 [T, H, W, 3], or a list of pictures")
        frames = frames_of(given, count) if are_frames(given) else list(clips.load(given, count))
        if self._count is not None and len(frames) != self._count:
            raise ImageError(f"the model takes clips of {self._count} frames; got {len(frames)}: choose as many")
        made = self._processor(frames, return_tensors="pt")
        x = made[self._name][0].float().transpose(0, 1).contiguous()
        seen = clip_frames(x, spec)
        return Input(x, seen, None, modality="clip", shown=seen, divided="tubes:4x4x4")

    def still(self, picture: Any) -> Tensor:
        """The first frame of a clip of one picture, as the processor makes it. [C, height, width]."""
        found: Tensor = self._processor([picture] * (self._count or 1), return_tensors="pt")[self._name][0][0]
        return found

    def lend(self, given: Any) -> tuple[Any, bool]:
        return clips.ClipReader().lend(given)[0], False
