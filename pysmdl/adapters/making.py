"""A scorer by what a model reads and answers: pictures to words, texts, sounds and clips, pictures to all else."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from pysmdl.adapters.detectors import detecting
from pysmdl.adapters.families import (
    READING,
    answering_family,
    detector_family,
    encodes,
    has_both_towers,
    text_family,
)
from pysmdl.adapters.image_text import answering
from pysmdl.adapters.preprocessing import check_said_once, input_of
from pysmdl.adapters.prompts import image_features, prompt_names, prompt_texts, prompted
from pysmdl.adapters.signals import signal_family, sounding
from pysmdl.adapters.words import understood
from pysmdl.inputs.image import InputSettings
from pysmdl.models.class_names import names_of
from pysmdl.scorers import Scorer
from pysmdl.scorers.answers import AnswerScorer
from pysmdl.scorers.boxes import Decode, Detector
from pysmdl.scorers.classes import Classifier
from pysmdl.scorers.encoders import Similarity
from pysmdl.scorers.estimators import answers_rows
from pysmdl.scorers.headed_answers import HeadedAnswers
from pysmdl.scorers.language import language_model
from pysmdl.scorers.table import table
from pysmdl.scorers.texts import text_classifier


@dataclass(frozen=True)
class Said:
    """What :func:`pysmdl.adapt` is told beside the model, see there."""

    processor: Any
    transform: Any
    tokenizer: Any
    prompts: Any
    prompt: str | None
    answer: str | None
    names: Any
    gives: str
    decode: Decode | None
    head: Any
    device: str | torch.device | None
    input: InputSettings

    def refuse(self, model: Any, does: str, *unfit: str) -> None:
        """Raises:
        ValueError: one of these is said, or, where "input" is among them, how images become the input.
        """
        values = {name: getattr(self, name) for name in unfit if name != "input"}
        values |= self.input if "input" in unfit else {}
        usual = {"gives": "logits"}
        said = [name for name, value in values.items() if value is not None and value != usual.get(name)]
        if said:
            raise ValueError(f"{type(model).__name__} {does}; drop {', '.join(said)}")


def of_words(model: Any, said: Said) -> Scorer | None:
    """Of a model that answers a picture with words; None: it does not."""
    if answering_family(model) is None:
        return None
    said.refuse(model, "answers with words, to a prompt=", "prompts", "names", "gives")
    make = AnswerScorer if said.head is None else partial(HeadedAnswers, head=said.head)
    told = said.processor, said.transform, said.tokenizer, said.prompt, said.answer
    scorer = answering(model, *told, said.device, said.input, make)
    scorer.about = understood(model, scorer)
    return scorer


def of_texts(model: Any, said: Said) -> Scorer | None:
    """Of a model that reads texts; None: it does not."""
    family = text_family(model)
    if family is None:
        return None
    unfit = ("prompt", "answer") if family == "classes" else ("names", "gives")
    said.refuse(model, "reads texts", "processor", "transform", "prompts", "input", *unfit)
    if said.tokenizer is None:
        kind = type(model).__name__
        raise ValueError(f"{kind} reads texts: give tokenizer=, its AutoTokenizer.from_pretrained(...)")
    if family == "classes":
        gives = None if said.gives == "logits" else said.gives
        scorer: Scorer = text_classifier(
            model, said.tokenizer, gives=gives, head=said.head, names=said.names, device=said.device
        )
        what = "classes" if isinstance(scorer, Classifier) else "a number"
        scorer.about = f"{type(model).__name__}, {what} of a text"
    else:
        how = {"prompt": said.prompt, "answer": said.answer, "head": said.head, "device": said.device}
        scorer = language_model(model, said.tokenizer, **how)
        scorer.about = f"{type(model).__name__}, what it says after a text"
    return scorer


def of_signals(model: Any, said: Said) -> Scorer | None:
    """Of a classifier of sounds or clips; None: it is none."""
    family = signal_family(model)
    if family is None:
        return None
    unfit = ("transform", "tokenizer", "prompts", "prompt", "answer", "input")
    said.refuse(model, "classifies what processor= makes", *unfit)
    scorer = sounding(model, family, said.processor, said.device, said.gives, said.head)
    scorer.names = names_of(said.names) or scorer.names
    scorer.about = understood(model, scorer)
    return scorer


def of_rows(model: Any, said: Said) -> Scorer | None:
    """Of an estimator of scikit-learn's kind, or one of its methods; None: it is none."""
    if not answers_rows(model):
        return None
    unfit = ("processor", "transform", "tokenizer", "prompts", "prompt", "answer", "decode", "device", "input")
    said.refuse(model, "reads a table's rows", *unfit)
    return table(model, gives=None if said.gives == "logits" else said.gives, head=said.head, names=said.names)


def of_images(model: Any, said: Said) -> Scorer:
    """Of a detector, a pair of towers, an encoder, or a classifier, which any other callable is.

    Raises:
        ValueError: what its input needs is missing or said twice, or something is said that is of other models.
    """
    kind = type(model).__name__
    if said.prompt is not None or said.answer is not None:
        raise ValueError(f"prompt and answer are for models that answer with words; {kind} does not")
    family = None if said.decode is not None else detector_family(model)
    _check_texts(model, said.prompts, said.tokenizer, family)
    check_said_once(said.processor, said.transform, said.input, said.prompts)
    scorer = _of_images(model, said, family)
    if said.head is not None and not isinstance(scorer, (Classifier, Detector)):
        raise ValueError(f"head is for classes, boxes and words; {kind} gives features, so drop head=")
    if said.gives != "logits" and not isinstance(scorer, Classifier):
        other = "boxes" if isinstance(scorer, Detector) else "features"
        raise ValueError(f"gives is for classifiers; {kind} gives {other}, so drop gives={said.gives!r}")
    given = names_of(said.names)
    if given is not None and said.prompts is not None and sorted(given) != list(range(len(said.prompts))):
        raise ValueError(f"names must be one for each of {len(said.prompts)} prompts; got {len(given)}")
    scorer.names = given or scorer.names
    scorer.about = understood(model, scorer, said.prompts)
    return scorer


def _of_images(model: Any, said: Said, family: str | None) -> Scorer:
    detects = family is not None or said.decode is not None
    features = not detects and encodes(model)
    spec = input_of(model, said.processor, said.transform, said.input)
    tokens_of = said.processor if said.tokenizer is None else said.tokenizer
    if detects:
        return detecting(model, family, said.decode, said.prompts, tokens_of, spec, said.device, said.head)
    if said.prompts is not None:
        return prompted(model, said.prompts, tokens_of, spec, said.device)
    if features:
        return Similarity(image_features(model) if has_both_towers(model) else model, spec, said.device)
    return Classifier(model, spec, device=said.device, gives=said.gives, head=said.head)


def _check_texts(model: Any, prompts: Any, tokenizer: Any, family: str | None) -> None:
    if family in READING:
        prompt_names(prompts)
    elif prompts is not None:
        prompt_texts(prompts)
        if not has_both_towers(model):
            raise ValueError(f"prompts need a model with a text tower, as CLIP has; {type(model).__name__} has none")
    elif tokenizer is not None:
        if getattr(model, "main_input_name", None) == "input_ids":
            raise ValueError(
                f"{type(model).__name__} is neither a classifier of texts nor a causal language model: explain a "
                "function of strings, pysmdl.scorers.string(function), or, of sentence encoders, "
                "pysmdl.scorers.text_encoder(model, tokenizer, prompts)"
            )
        raise ValueError("tokenizer is for prompts, of which there are none: give prompts= or drop it")
