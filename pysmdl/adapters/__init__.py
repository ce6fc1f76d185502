"""The models people use, in one line: what a library's model and its processor say of themselves becomes a scorer."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pysmdl.adapters.families import (
    answering_family,
    detector_family,
    is_hugging_face,
    is_timm,
    is_torchvision,
    text_family,
    unpacked,
)
from pysmdl.adapters.making import Said, of_images, of_rows, of_signals, of_texts, of_words
from pysmdl.adapters.pipelines import BarePixels
from pysmdl.adapters.signals import signal_family
from pysmdl.inputs.image import InputSettings
from pysmdl.models.base import Model
from pysmdl.models.files import load_file
from pysmdl.scorers import Scorer
from pysmdl.scorers import resolve as resolve_bare
from pysmdl.scorers.boxes import Decode
from pysmdl.scorers.estimators import answers_rows

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["adapt", "resolve"]


def adapt(
    model: Any,
    *,
    processor: Any = None,
    transform: Any = None,
    tokenizer: Any = None,
    prompts: Any = None,
    prompt: str | None = None,
    answer: str | None = None,
    names: Any = None,
    gives: str = "logits",
    decode: Decode | None = None,
    head: Any = None,
    device: str | torch.device | None = None,
    **input: Unpack[InputSettings],
) -> Scorer:
    """A scorer of a model as its library has it, whose input is made as the library's own pipeline makes it.

    It is known by its class: Hugging Face's image classifiers, detectors, CLIP, SigLIP, vision towers, models that
    answer a picture with words, classifiers of texts, sounds and clips, and causal language models; timm's networks;
    torchvision's; open_clip's; ultralytics' detectors; scikit-learn's estimators, of a table's row; any other callable
    as a classifier, or, with decode, as a detector. `repr` of the scorer says what was understood.

    Args:
        model: The model, in evaluation mode, the path of a file with one, or a pipeline of transformers, which has
            the processor too.
        processor: Hugging Face's image processor, feature extractor or video processor, or the processor with a
            tokenizer that prompts need.
        transform: A function of a picture of Pillow's to the model's input [C, H, W], such as ``weights.transforms()``
            (torchvision) or open_clip's preprocess.
        tokenizer: Of a model that reads texts; of the prompts, where the processor has none; None: open_clip's own.
        prompts: Texts that images are compared with, for models with a text tower, which runs once. They are the names
            of the classes: ``target="a cat"``. {class: several} is a class by the mean of several, as of CLIP's
            templates.
        prompt: What a model that answers with words is asked, ``"What is in the picture?"``: in the processor's chat
            template, or as it is where it has the model's own image token. Of a language model: what the text stands
            in, at "{}".
        answer: The answer whose words are explained, teacher-forced; None: what the model answers by itself to each
            full input, greedily. Targets are words of it: ``target="cat"``, a slice of its characters,
            :class:`pysmdl.Tokens` by position, :class:`pysmdl.Answer`, None for all.
        names: Names of the classes; None: what the model carries, or the prompts.
        gives: "logits", or "probabilities", as in :func:`pysmdl.scorers.classifier`.
        decode: Makes boxes and confidences of a detector's answer, as in :func:`pysmdl.scorers.detector`.
        head: What is read off the answer in place of the probability, one of :mod:`pysmdl.heads` or a function: for
            classifiers as in :func:`pysmdl.scorers.classifier`, for detectors and answers in words as in
            :func:`pysmdl.scorers.detector` and :func:`pysmdl.scorers.tokens`.
        device: As in :func:`pysmdl.scorers.classifier`.
        **input: How images become the input, in place of processor and transform: see :class:`InputSpec`.

    Raises:
        TypeError: the model cannot be called.
        ValueError: what its input needs is missing or said twice, it answers what is not known here, or it is in
            training mode.
    """
    if isinstance(model, Scorer):
        raise ValueError("model must be a model, not a scorer, which says itself what its input is")
    model, processor, tokenizer = unpacked(model, processor, tokenizer)
    if isinstance(model, (str, PathLike)):
        model = load_file(Path(model), device)
    if isinstance(model, Model):  # it says itself where it runs
        device = None
    if not callable(model) and not answers_rows(model):
        raise TypeError(f"model must be callable; got {type(model).__name__}")
    said = Said(processor, transform, tokenizer, prompts, prompt, answer, names, gives, decode, head, device, input)
    for make in (of_words, of_texts, of_signals, of_rows):
        found = None if decode is not None else make(model, said)
        if found is not None:
            return found
    return of_images(model, said)


def resolve(model: Any, device: str | torch.device | None = None, **words: Any) -> Scorer:
    """A scorer as it is; a model adapted, where words say how or it says itself, as timm's do; any other callable as a
    classifier on pixel / 255 at the image's own size.

    Raises:
        TypeError: it is none of these.
        ValueError: as :func:`adapt`, or the words are for a model and this is a scorer.
    """
    model, words["processor"], words["tokenizer"] = unpacked(model, words.get("processor"), words.get("tokenizer"))
    said = {name: value for name, value in words.items() if value is not None}
    if isinstance(model, Scorer):
        if said:
            raise ValueError(f"model is a scorer, which says itself what it is given; drop {', '.join(said)}")
        return resolve_bare(model)
    if not said and not (
        is_timm(model)
        or detector_family(model)
        or answering_family(model)
        or text_family(model)
        or signal_family(model)
        or answers_rows(model)
    ):
        made = resolve_bare(model, device)
        if is_hugging_face(model) or is_torchvision(model):
            made.input = replace(made.input, pipeline=BarePixels(type(model).__name__))
        return made
    made = adapt(model, device=device, **said)
    if not said:  # the same at each call
        made.made_from = model
    return made
