"""Scorers: how a model of yours becomes one that can be explained. Each constructor takes plain callables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from pysmdl.inputs.image import InputSettings, InputSpec, input_spec
from pysmdl.models.base import Forward, Model
from pysmdl.scorers.answer_tokens import TokenScorer
from pysmdl.scorers.base import Outputs, Scorer, Wanted
from pysmdl.scorers.boxes import Detector
from pysmdl.scorers.classes import Classifier
from pysmdl.scorers.encoders import Encoder, Similarity
from pysmdl.scorers.token_drop import TokenDropScorer
from pysmdl.types import Reading

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "InputSpec",
    "Model",
    "Outputs",
    "Reading",
    "Scorer",
    "Wanted",
    "classifier",
    "detector",
    "encoder",
    "resolve",
    "token_drop",
    "tokens",
]


def classifier(
    forward: Forward | Model,
    features: Forward | Model | None = None,
    evidence: Forward | Model | None = None,
    *,
    gives: str = "logits",
    device: str | torch.device | None = None,
    batch: int | None = None,
    **input: Unpack[InputSettings],
) -> Classifier:
    """A classifier: p = softmax(forward(x)).

    Args:
        forward: Batch [B, C, H, W] to logits [B, K]: a tensor or any other array, alone or as the part of a tuple,
            mapping or object that :func:`pysmdl.models.answers.tensor_in` finds.
        features: Batch to features [B, D], for the effectiveness term.
        evidence: Batch to the outputs [B, K] of an evidential head, for ``confidence_form="evidential"``.
        gives: "logits", or "probabilities": what forward gives is p itself.
        device: Where the batch must be; None: where the model's parameters are, else the CPU.
        batch: Rows that each call must have, where the model takes no other number: fewer are padded. None: any.
        **input: mean, std, size, channel_order, mask_at, interpolation, dtype, crop, resize, cut: see
            :class:`InputSpec`.

    Raises:
        ValueError: the model is in training mode, or on another device than the one named.
    """
    return Classifier(forward, input_spec(**input), features, evidence, device, gives, batch)


def encoder(
    forward: Forward | Model,
    prototypes: Any = None,
    *,
    device: str | torch.device | None = None,
    batch: int | None = None,
    **input: Unpack[InputSettings],
) -> Encoder | Similarity:
    """An encoder, CLIP-like: p = softmax(forward(x) @ prototypes.T), or, without prototypes, cosine to a target.

    Args:
        forward: Batch [B, C, H, W] to features [B, D]. They serve the effectiveness term too.
        prototypes: One row per class [K, D], used as given: a scale such as CLIP's 100 is in its rows. None: the
            target is a feature vector [D], or None for the full input's own features.
        device, batch, **input: As in :func:`classifier`.
    """
    spec = input_spec(**input)
    if prototypes is None:
        return Similarity(forward, spec, device, batch)
    return Encoder(forward, prototypes, spec, device, batch)


def detector(
    forward: Forward | Model,
    confidence_floor: float = 0.0,
    *,
    decided_at: float = 0.5,
    device: str | torch.device | None = None,
    batch: int | None = None,
    **input: Unpack[InputSettings],
) -> Detector:
    """A detector or a grounding model; targets are :class:`pysmdl.Box` (VPS).

    Args:
        forward: Batch [B, C, H, W] to boxes [B, Q, 4], x0, y0, x1, y1 in the pixels of the model's input, and
            confidences [B, Q, K]; or to a list with a pair ([q, 4], [q, K]) for each row; a pair may be a mapping with
            "boxes", "scores" and "labels", as torchvision's detectors give.
        confidence_floor: Confidences at or below it count as 0.
        decided_at: The decision stands where a box has IoU above 0.5 and confidence above this.
        device, batch, **input: As in :func:`classifier`.
    """
    return Detector(forward, input_spec(**input), confidence_floor, decided_at, device, batch)


def tokens(
    forward: Forward | Model,
    *,
    device: str | torch.device | None = None,
    batch: int | None = None,
    **input: Unpack[InputSettings],
) -> TokenScorer:
    """A model that generates text about the input, teacher-forced; targets are :class:`pysmdl.Tokens` (EAGLE).

    Args:
        forward: Batch [B, C, H, W] to logits [B, T, K] at the T positions of the answer generated on the full input.
        device, batch, **input: As in :func:`classifier`.
    """
    return TokenScorer(forward, input_spec(**input), device, batch)


def token_drop(
    model: Any,
    prototypes: Any = None,
    *,
    normalize: bool = False,
    device: str | torch.device | None = None,
    **input: Unpack[InputSettings],
) -> TokenDropScorer:
    """A vision transformer whose absent regions are dropped as tokens, not painted over.

    Regions must be constant within patches (:func:`pysmdl.regions.label_maps.snap_to_patches`); explain() sees to it
    for regions that it computes itself. There is no baseline. Features are the pooled ones.

    Args:
        model: Hugging Face's ViT, CLIP vision or DINOv2 model, or timm's VisionTransformer, with SDPA attention.
        prototypes: Class prototypes [K, D], for models without a classification head.
        normalize: Whether the features are L2-normalised before they meet the prototypes, as CLIP's are.
        device, **input: As in :func:`classifier`.
    """
    return TokenDropScorer(model, input_spec(**input), prototypes, normalize, device)


def resolve(model: Any, device: str | torch.device | None = None) -> Scorer:
    """A scorer as it is, looked at anew; any other callable as a classifier on pixel / 255 at the image's own size.

    Raises:
        TypeError: it is neither.
        ValueError: as :meth:`Scorer.ready`.
    """
    if isinstance(model, Scorer):
        model.ready()
        return model
    made = classifier(model, device=device)
    if type(model).__weakrefoffset__:  # else nobody says when it goes
        made.made_from = model
    return made
