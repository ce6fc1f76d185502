"""The models people use, in one line: what a library's model and its processor say of themselves becomes a scorer."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from pysmdl.adapters import reading
from pysmdl.adapters.families import (
    data_config,
    encodes,
    has_both_towers,
    is_hugging_face,
    is_open_clip,
    is_timm,
    is_torchvision,
)
from pysmdl.adapters.pipelines import OwnPipeline, agreed
from pysmdl.adapters.prompts import image_features, prompt_names, prompted
from pysmdl.adapters.words import understood
from pysmdl.inputs.image import InputSettings, InputSpec, input_spec
from pysmdl.models.class_names import names_of
from pysmdl.scorers import Scorer
from pysmdl.scorers import resolve as resolve_bare
from pysmdl.scorers.classes import Classifier
from pysmdl.scorers.encoders import Similarity

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
    names: Any = None,
    gives: str = "logits",
    device: str | torch.device | None = None,
    **input: Unpack[InputSettings],
) -> Scorer:
    """A scorer of a model as its library has it, whose input is made as the library's own pipeline makes it.

    It is known by its class: Hugging Face's image classifiers, CLIP, SigLIP and vision towers; timm's networks;
    torchvision's; open_clip's; any other callable as a classifier. `repr` of the scorer says what was understood.

    Args:
        model: The model, in evaluation mode.
        processor: Hugging Face's image processor, or the processor with a tokenizer that prompts need.
        transform: A function of a picture of Pillow's to the model's input [C, H, W], such as ``weights.transforms()``
            (torchvision) or open_clip's preprocess.
        tokenizer: Of the prompts, where the processor has none; None: open_clip's own.
        prompts: Texts that images are compared with, for models with a text tower, which runs once. They are the names
            of the classes: ``target="a cat"``.
        names: Names of the classes; None: what the model carries, or the prompts.
        gives: "logits", or "probabilities", as in :func:`pysmdl.scorers.classifier`.
        device: As in :func:`pysmdl.scorers.classifier`.
        **input: How images become the input, in place of processor and transform: see :class:`InputSpec`.

    Raises:
        TypeError: the model cannot be called.
        ValueError: what its input needs is missing or said twice, it answers what is not known here, or it is in
            training mode.
    """
    if isinstance(model, Scorer):
        raise ValueError("model must be a model, not a scorer, which says itself what its input is")
    if not callable(model):
        raise TypeError(f"model must be callable; got {type(model).__name__}")
    _check_texts(model, prompts, tokenizer)
    features = encodes(model)
    _check_input(processor, transform, input, prompts)
    spec = _input_of(model, processor, transform, input)
    if prompts is not None:
        scorer = prompted(model, prompts, processor if tokenizer is None else tokenizer, spec, device)
    elif features:
        scorer = Similarity(image_features(model) if has_both_towers(model) else model, spec, device)
    else:
        scorer = Classifier(model, spec, device=device, gives=gives)
    if gives != "logits" and not isinstance(scorer, Classifier):
        raise ValueError(f"gives is for classifiers; {type(model).__name__} gives features, so drop gives={gives!r}")
    given = names_of(names)
    if given is not None and prompts is not None and sorted(given) != list(range(len(prompts))):
        raise ValueError(f"names must be one for each of {len(prompts)} prompts; got {len(given)}")
    scorer.names = given or scorer.names
    scorer.about = understood(model, scorer, prompts)
    return scorer


def resolve(model: Any, device: str | torch.device | None = None, **words: Any) -> Scorer:
    """A scorer as it is; a model adapted, where words say how or it says itself, as timm's do; any other callable as a
    classifier on pixel / 255 at the image's own size.

    Raises:
        TypeError: it is none of these.
        ValueError: as :func:`adapt`, or the words are for a model and this is a scorer.
    """
    said = {name: value for name, value in words.items() if value is not None}
    if isinstance(model, Scorer):
        if said:
            raise ValueError(f"model is a scorer, which says itself what it is given; drop {', '.join(said)}")
        return resolve_bare(model)
    if not said and not is_timm(model):
        return resolve_bare(model, device)
    made = adapt(model, device=device, **said)
    if not said:  # the same at each call
        made.made_from = model
    return made


def _check_texts(model: Any, prompts: Any, tokenizer: Any) -> None:
    if prompts is not None:
        prompt_names(prompts)
        if not has_both_towers(model):
            raise ValueError(f"prompts need a model with a text tower, as CLIP has; {type(model).__name__} has none")
    elif tokenizer is not None:
        raise ValueError("tokenizer is for prompts, of which there are none: give prompts= or drop it")


def _check_input(processor: Any, transform: Any, input: InputSettings, prompts: Any) -> None:
    """What the input is must be said once; a processor beside a transform has the tokenizer of prompts."""
    said = {"processor": processor, "transform": transform, " and ".join(input): input or None}
    ways = [name for name, value in said.items() if value is not None]
    if len(ways) > 1 and (prompts is None or ways != ["processor", "transform"]):
        raise ValueError(f"what the input is was said {len(ways)} times, by {', by '.join(ways)}: give one of them")


def _input_of(model: Any, processor: Any, transform: Any, input: InputSettings) -> InputSpec:
    """How photographs become the input, as one of these says it, or the model itself."""
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
    if is_torchvision(model):
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
    return processor(images=picture, return_tensors="pt")["pixel_values"]


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
