"""Scorers: how a model of yours becomes one that can be explained. Each constructor takes plain callables."""

from __future__ import annotations

import importlib
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from pysmdl.inputs.image import InputSettings, InputSpec, input_spec
from pysmdl.models.base import Forward, Model
from pysmdl.models.remote import Remote, is_url
from pysmdl.scorers import heads
from pysmdl.scorers.answer_tokens import TokenScorer
from pysmdl.scorers.asking import chat
from pysmdl.scorers.base import Outputs, Scorer, Wanted
from pysmdl.scorers.boxes import Decode, Detector
from pysmdl.scorers.classes import Classifier
from pysmdl.scorers.custom import Custom
from pysmdl.scorers.encoders import Encoder, Similarity
from pysmdl.scorers.headed_boxes import HeadedDetector
from pysmdl.scorers.headed_tokens import HeadedTokens
from pysmdl.scorers.language import language_model
from pysmdl.scorers.rollouts import rollout
from pysmdl.scorers.table import table
from pysmdl.scorers.text_prompts import text_encoder
from pysmdl.scorers.texts import string, text_classifier
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
    "chat",
    "classifier",
    "custom",
    "detector",
    "encoder",
    "endpoint",
    "grounding",
    "language_model",
    "resolve",
    "rollout",
    "scalar",
    "string",
    "table",
    "text_classifier",
    "text_encoder",
    "token_drop",
    "tokens",
]


def __getattr__(name: str) -> Any:
    """grounding() is made by the adapters, a floor above this one, and loaded when it is asked for."""
    if name == "grounding":
        return importlib.import_module("pysmdl.adapters.grounding").grounding
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def classifier(
    forward: Forward | Model | str | os.PathLike[str],
    features: Forward | Model | None = None,
    evidence: Forward | Model | None = None,
    *,
    gives: str = "logits",
    head: Any = None,
    device: str | torch.device | None = None,
    batch: int | None = None,
    **input: Unpack[InputSettings],
) -> Classifier:
    """A classifier: p = softmax(forward(x)).

    Args:
        forward: Batch [B, C, H, W] to logits [B, K]: a tensor or any other array, alone or as the part of a tuple,
            mapping or object that :func:`pysmdl.models.answers.tensor_in` finds. Or the path of a file that holds it:
            TorchScript, a program of torch.export (.pt2), or ONNX (.onnx), which brings its own size.
        features: Batch to features [B, D], for the effectiveness term.
        evidence: Batch to the outputs [B, K] of an evidential head, for ``confidence_form="evidential"``.
        gives: "logits"; "probabilities": what forward gives is p itself; "sigmoid": a logit for each class by itself
            (multi-label), p = sigmoid(z), and the decision stands where p is above 0.5.
        head: What is read off the answer in place of p: one of :mod:`pysmdl.heads`, or any callable
            ``head(raw, reference, target) -> [B]`` of the answers [B, K], the full input's beside each row [B, K], and
            the class [B].
        device: Where the batch must be; None: where the model's parameters are, else the CPU.
        batch: Rows that each call must have, where the model takes no other number: fewer are padded. None: any.
        **input: mean, std, size, channel_order, mask_at, interpolation, dtype, crop, resize, cut: see
            :class:`InputSpec`.

    Raises:
        ValueError: the model is in training mode, or on another device than the one named.
    """
    return Classifier(forward, input_spec(**input), features, evidence, device, gives, batch, head)


def encoder(
    forward: Forward | Model,
    prototypes: Any = None,
    *,
    head: Any = None,
    device: str | torch.device | None = None,
    batch: int | None = None,
    **input: Unpack[InputSettings],
) -> Encoder | Similarity:
    """An encoder, CLIP-like: p = softmax(forward(x) @ prototypes.T), or, without prototypes, cosine to a target.

    Args:
        forward: Batch [B, C, H, W] to features [B, D]. They serve the effectiveness term too.
        prototypes: One row per class [K, D], used as given: a scale such as CLIP's 100 is in its rows. None: the
            target is a feature vector [D], or None for the full input's own features.
        head, device, batch, **input: As in :func:`classifier`; a head reads the logits, so it needs prototypes.

    Raises:
        ValueError: a head without prototypes.
    """
    spec = input_spec(**input)
    if prototypes is None and head is not None:
        raise ValueError(f"head needs prototypes, whose logits it reads; got head={head!r} without prototypes")
    if prototypes is None:
        return Similarity(forward, spec, device, batch)
    return Encoder(forward, prototypes, spec, device, batch, head)


def endpoint(
    asked: str | Callable[[Any], Awaitable[Any]],
    *,
    concurrency: int = 16,
    retries: int = 3,
    timeout: float = 30.0,
    batch: int = 1,
    encode: str = "png",
    gives: str = "logits",
    parse: Callable[[Any], Any] | None = None,
    cache: str | os.PathLike[str] | None = None,
    headers: Mapping[str, str] | None = None,
    max_requests: int | None = None,
    head: Any = None,
    **input: Unpack[InputSettings],
) -> Classifier:
    """A classifier behind a server, or any slow function. Each view is sent once, many at a time.

    A view is a picture at the size that the regions live on: ``size``, or the image's own. Its body is POSTed; the
    reply is JSON, a list of numbers, one a class. Time-outs, lost connections and the statuses 408, 425, 429, 500, 502,
    503, 504 are tried again after 0.1 s, then twice as long each time, a half more or less; Retry-After holds all
    requests back. All else, and the last retry, is a ScorerError: what was answered by then is not asked for again.
    In flight are at most as many as the search asks for at once, of all inputs together: exact and the methods ask for
    many, guided for few at a time.

    Args:
        asked: A URL; or an async function of what would be sent, bytes or (encode="array") an array uint8 [H, W, 3], to
            the reply. It runs on a loop in a thread of ours; ConnectionError and TimeoutError are tried again.
        concurrency: Requests in flight at once.
        retries: How often a request is sent again.
        timeout: Seconds that a reply may take.
        batch: Views of a request. More than one go as parts "image" of a form (a function is given a list), and the
            reply is a list with as many lists of numbers.
        encode: "png", "jpeg" (quality 95), or "array": NumPy's .npy, uint8 [H, W, 3].
        gives: "logits", "probabilities" or "sigmoid", as in :func:`classifier`.
        parse: Makes numbers of a reply of another form, as JSON has read it.
        cache: A folder, made where there is none, that keeps an answer a file, by a hash of what was sent and to whom:
            what was answered once is never asked again, by no later run. Where it cannot be written the run goes on
            without, and says so.
        headers: Sent with each request: a key, say.
        max_requests: Sent at most, retries among them, in all calls of this scorer. One beyond is a ScorerError, whose
            `partial` is what was found by then; what was answered is kept. None: any number.
        head, **input: As in :func:`classifier`, but for dtype, layout and takes: pictures have none.

    Raises:
        MissingPackageError: httpx is not installed (``pip install 'pysmdl[http]'``).
    """
    for name in ("dtype", "layout", "takes"):
        if name in input:
            raise ValueError(f"{name} is not for endpoints, which are sent pictures; got {name}={input[name]!r}")
    spec = input_spec(**input)
    tries: dict[str, Any] = {"concurrency": concurrency, "retries": retries, "timeout": timeout, "batch": batch}
    tries |= {"max_requests": max_requests, "cache": cache, "headers": headers}
    model = Remote(asked, spec, encode=encode, parse=parse, **tries)
    return Classifier(model, spec, gives=gives, head=head)


def scalar(
    forward: Forward | Model,
    *,
    decided_at: float | None = None,
    device: str | torch.device | None = None,
    batch: int | None = None,
    **input: Unpack[InputSettings],
) -> Custom:
    """A model that gives one number an input, any finite one: a regression, a reward, a distance. Nothing is softmaxed.

    Args:
        forward: Batch [B, C, H, W] to numbers [B] or [B, 1].
        decided_at: The decision stands where the number is at least this; None: there is none to stand.
        device, batch, **input: As in :func:`classifier`.
    """
    return Custom(forward, heads.value(), input_spec(**input), 1, decided_at, device, batch)


def custom(
    forward: Forward | Model,
    head: Any,
    *,
    dims: int = 2,
    decided_at: float | None = None,
    device: str | torch.device | None = None,
    batch: int | None = None,
    **input: Unpack[InputSettings],
) -> Custom:
    """A model of any answer, with a head that reads one number off it.

    Args:
        forward: Batch [B, C, H, W] to an answer [B, ...].
        head: ``head(raw, reference, target) -> [B]``: answers, the full input's beside each row, and the target [B],
            the number that explain() was given or 0. One of :mod:`pysmdl.heads` takes the answers for logits. Of a
            head that gives [B, T] the mean counts, and the parts are the reading's "tokens".
        dims: Dimensions of the answer, rows first: 1 for [B], 2 for [B, K], 3 for [B, T, K], 4 for [B, K, H, W].
        decided_at: As in :func:`scalar`, of what the head gives.
        device, batch, **input: As in :func:`classifier`.
    """
    return Custom(forward, head, input_spec(**input), dims, decided_at, device, batch)


def detector(
    forward: Forward | Model,
    confidence_floor: float = 0.0,
    *,
    decided_at: float = 0.5,
    decode: Decode | None = None,
    head: Any = None,
    device: str | torch.device | None = None,
    batch: int | None = None,
    **input: Unpack[InputSettings],
) -> Detector:
    """A detector or a grounding model (VPS).

    A target is a :class:`pysmdl.Box`; or a class, by its index or name, or None: the best box of that class, or of all,
    on the full input. ``detections(image)`` of the scorer lists what it finds.

    Args:
        forward: Batch [B, C, H, W] to boxes [B, Q, 4], x0, y0, x1, y1 in the pixels of the model's input, and
            confidences [B, Q, K]; or to a list with a pair ([q, 4], [q, K]) for each row; a pair may be a mapping with
            "boxes", "scores" and "labels", as torchvision's detectors give.
        confidence_floor: Confidences at or below it count as 0.
        decided_at: The decision stands where a box has IoU above 0.5 and confidence above this. A target that is a
            class has to be found with more.
        decode: Makes the above of what forward gives: ``decode(answer, (height, width))``, with the sides of the
            model's input.
        head: What is read off the box that was found in place of IoU x confidence. One of :mod:`pysmdl.heads` takes
            that for the probability that it is found; a function ``head(raw, reference, target) -> [B]`` is given the
            row's [B, 7], match, IoU, confidence and box, the full input's beside it, and the box's first label [B].
        device, batch, **input: As in :func:`classifier`.
    """
    how = input_spec(**input), confidence_floor, decided_at, device, batch, decode
    return Detector(forward, *how) if head is None else HeadedDetector(forward, *how, head)


def tokens(
    forward: Forward | Model,
    *,
    head: Any = None,
    device: str | torch.device | None = None,
    batch: int | None = None,
    **input: Unpack[InputSettings],
) -> TokenScorer:
    """A model that generates text about the input, teacher-forced; targets are :class:`pysmdl.Tokens` (EAGLE).

    Args:
        forward: Batch [B, C, H, W] to logits [B, T, K] at the T positions of the answer generated on the full input.
        head: What is read off each token in place of its probability: ``head(raw, reference, target)``, where each
            token is a row: its logits, those on the full input, its id. The score is the tokens' mean; the sum, or
            another, where one of :mod:`pysmdl.heads` says so (``reduce``).
        device, batch, **input: As in :func:`classifier`.
    """
    if head is None:
        return TokenScorer(forward, input_spec(**input), device, batch)
    return HeadedTokens(forward, input_spec(**input), device, batch, head)


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
        model: Hugging Face's ViT, DeiT, CLIP vision or DINOv2 model, or timm's VisionTransformer, with SDPA attention.
        prototypes: Class prototypes [K, D], for models without a classification head.
        normalize: Whether the features are L2-normalised before they meet the prototypes, as CLIP's are.
        device, **input: As in :func:`classifier`.
    """
    return TokenDropScorer(model, input_spec(**input), prototypes, normalize, device)


def resolve(model: Any, device: str | torch.device | None = None) -> Scorer:
    """A scorer as it is, looked at anew; any other callable, or a model's file or URL, as a classifier on pixel / 255,
    at the image's own size unless a file says another.

    Raises:
        TypeError: it is none of these.
        ValueError: as :meth:`Scorer.ready`; a path where there is no model.
    """
    if isinstance(model, Scorer):
        model.ready()
        return model
    if is_url(model):
        if device is not None:
            raise ValueError(f"device is where a model here runs; a server has its own; got {device!r}")
        return endpoint(model)
    made = classifier(model, device=device)
    if type(model).__weakrefoffset__:  # else nobody says when it goes
        made.made_from = model
    return made
