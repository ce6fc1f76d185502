"""Detectors as their libraries have them: what each family answers, as boxes in pixels and confidences."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pysmdl.adapters.families import READING
from pysmdl.adapters.phrases import grounded
from pysmdl.adapters.prompts import prompt_names, text_features
from pysmdl.errors import ScorerError
from pysmdl.inputs.image import InputSpec
from pysmdl.models.answers import described, parts_of
from pysmdl.models.base import Forward
from pysmdl.models.class_names import names_of
from pysmdl.models.inspect import refuse_training
from pysmdl.scorers.boxes import Decode, Detector
from pysmdl.scorers.headed_boxes import HeadedDetector

Size = tuple[int, int]  # height, width
SURE = 0.1  # what OWL-ViT's processors take for found, where all others say 0.5
FOUND = 0.25  # and Grounding DINO's


def detecting(
    model: Any,
    family: str | None,
    decode: Decode | None,
    prompts: Any,
    tokens_of: Any,
    spec: InputSpec,
    device: str | torch.device | None = None,
    head: Any = None,
) -> Detector:
    """A scorer of a detector.

    Args:
        model: As :func:`pysmdl.adapters.families.detector_family` knows it, or any other with a decode.
        family: What that says; None: decode says how it answers.
        decode: As in :func:`pysmdl.scorers.detector`; it goes before the family's.
        prompts, tokens_of: Of OWL-ViT and Grounding DINO, as in :func:`pysmdl.adapters.prompts.prompted`.
        spec: How images become the model's input.
        head: As in :func:`pysmdl.scorers.detector`.

    Raises:
        ValueError: prompts are missing, or are no texts; the model is in training mode.
    """
    make: Callable[..., Detector] = Detector if head is None else partial(HeadedDetector, head=head)
    if family in READING and decode is None:
        names = prompt_names(prompts)
        refuse_training([model])
        if family == "prompts":
            scorer = make(asked(model, names, tokens_of), spec, decided_at=SURE, device=device, decode=by_sigmoid)
        else:
            found = grounded(model, names, tokens_of)
            scorer = make(found, spec, decided_at=FOUND, device=device, decode=by_confidence)
        scorer.names = names
        return scorer
    if decode is None and family is not None:
        decode = _decode_of(model, family)
    scorer = make(model, spec, device=device, decode=decode)
    scorer.names = names_of(model.names) if family == "ultralytics" else None
    return scorer


def _decode_of(model: Any, family: str) -> Decode | None:
    if family == "torchvision":  # it answers in boxes, labels and scores
        return None
    if family == "ultralytics":
        return partial(by_head, classes=len(model.names))
    return by_softmax if family == "softmax" else by_sigmoid


def by_softmax(answer: Any, size: Size) -> tuple[Tensor, Tensor]:
    """DETR's and YOLOS': a softmax over the classes and, last, none of them.

    Source: transformers/models/detr/image_processing_detr.py, post_process_object_detection.

    Args:
        answer: With logits [B, Q, K + 1] and pred_boxes [B, Q, 4], centre, width and height in shares of the sides.
        size: (height, width) of the model's input.

    Returns:
        Boxes x0, y0, x1, y1 in pixels [B, Q, 4], and confidences [B, Q, K].

    Raises:
        ScorerError: the answer has no such parts.
    """
    logits, boxes = _parts(answer)
    return _in_pixels(boxes, size), logits.softmax(-1)[..., :-1]


def by_sigmoid(answer: Any, size: Size) -> tuple[Tensor, Tensor]:
    """Conditional and Deformable DETR's, RT-DETR's and OWL-ViT's: a sigmoid for each class, or prompt.

    Source: transformers/models/deformable_detr/image_processing_deformable_detr.py, post_process_object_detection.

    Args, Returns and Raises as in :func:`by_softmax`, but that logits are [B, Q, K].
    """
    logits, boxes = _parts(answer)
    return _in_pixels(boxes, size), logits.sigmoid()


def by_confidence(answer: Any, size: Size) -> tuple[Tensor, Tensor]:
    """Grounding DINO's, whose phrases have their confidences by then: see :func:`pysmdl.adapters.phrases.grounded`."""
    return _in_pixels(answer["pred_boxes"].float(), size), answer["confidences"]


def by_head(answer: Any, size: Size, classes: int) -> tuple[Tensor, Tensor]:
    """Ultralytics' raw head: centre, width and height in pixels, then a confidence for each class.

    Source: ultralytics/utils/ops.py, non_max_suppression.

    Args:
        answer: [B, 4 + K, Q], alone or first of a tuple, as in evaluation.
        size: (height, width) of the model's input, which it needs not.
        classes: K.

    Raises:
        ScorerError: it has another form: of a head that masks, or that gives [B, Q, 6].
    """
    found = answer[0] if isinstance(answer, (tuple, list)) and len(answer) else answer
    if not isinstance(found, Tensor) or found.dim() != 3 or found.shape[1] != 4 + classes:
        raise ScorerError(
            f"ultralytics' head must return [B, {4 + classes}, Q], 4 numbers of a box and {classes} classes; got "
            f"{described(answer) if not isinstance(found, Tensor) else list(found.shape)}. For another one give decode="
        )
    rows = found.float().transpose(1, 2)
    return _corners(rows[..., :4]), rows[..., 4:]


def asked(model: Any, prompts: tuple[str, ...], tokens_of: Any) -> Forward:
    """OWL-ViT on prompts, whose text tower runs once: a function of a batch to logits and pred_boxes.

    Source: transformers/models/owlvit/modeling_owlvit.py, OwlViTForObjectDetection.forward.
    """
    towers = getattr(model, model.base_model_prefix)
    return partial(_asked, model, text_features(towers, prompts, tokens_of)[None])


def _asked(model: Any, queries: Tensor, batch: Tensor) -> dict[str, Tensor]:
    features = model.image_embedder(batch)[0]
    flat = features.flatten(1, 2)
    own = queries.to(flat.device, flat.dtype).expand(len(flat), -1, -1)
    return {"logits": model.class_predictor(flat, own)[0], "pred_boxes": model.box_predictor(flat, features)}


def _parts(answer: Any) -> tuple[Tensor, Tensor]:
    parts = parts_of(answer)
    logits, boxes = parts.get("logits"), parts.get("pred_boxes")
    if not isinstance(logits, Tensor) or not isinstance(boxes, Tensor):
        raise ScorerError(
            f"the detector must return logits [B, Q, K] and pred_boxes [B, Q, 4]; got {described(answer)}"
        )
    return logits.float(), boxes.float()


def _in_pixels(boxes: Tensor, size: Size) -> Tensor:
    """Centre, width and height in shares of (height, width), as corners in pixels. [..., 4]."""
    height, width = size
    return _corners(boxes) * boxes.new_tensor([width, height, width, height])


def _corners(boxes: Tensor) -> Tensor:
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat((centre - half, centre + half), -1)
