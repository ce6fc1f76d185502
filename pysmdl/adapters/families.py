"""Which family a model is of, by the names of its classes and modules. Nothing is imported that the user has not."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping
from typing import Any

from torch import nn

# What transformers' detectors answer, by the names of their classes: their own post_process_object_detection.
SOFTMAX = ("Detr", "Yolos", "TableTransformer")  # the last class is "no object"
SIGMOID = (
    "ConditionalDetr", "DabDetr", "DeformableDetr", "DFine", "Deimv2", "LwDetr", "RfDetr", "RTDetr", "RTDetrV2",
)  # fmt: skip
PROMPTED = ("OwlViT", "Owlv2")  # a sigmoid a prompt
GROUNDED = ("GroundingDino", "MMGroundingDino")  # a sigmoid a token of all prompts
DETECTING, READING = "ForObjectDetection", ("prompts", "phrases")  # families of detectors that read texts
# What transformers' models that answer a picture with words are given, by the names of their classes.
ANSWERING = {
    "picture": ("Llava",),
    "picture of any size": ("Mistral3",),  # and LLaVA, where its tower is Pixtral's: told how large it is
    "picture that sees itself": ("Gemma3",),  # its tokens see each other in both directions
    "prompt that sees itself": ("PaliGemma",),  # and so do those of the prompt
    "patches": ("Qwen2VL", "Qwen2_5_VL", "Qwen3VL", "Qwen3VLMoe", "Qwen3_5", "Qwen3_5Moe", "Glm4v"),
    "tiles": ("InternVL", "AyaVision"),
    "tiles of a padded picture": ("LlavaNext", "LlavaOnevision"),
    "tiles in a list": ("Idefics3", "SmolVLM"),
    "sound": ("Whisper",),
    "after": ("Git",),  # the answer follows on the picture's own states
    "across": ("Blip",),  # and looks across at them
    "whole": ("Blip2", "Florence2", "VisionEncoderDecoder"),
}
GENERATING = ("ForConditionalGeneration", "VisionEncoderDecoderModel", "GitForCausalLM")
SEEN = {"pixel_values", "image_patches", "flattened_patches"}  # arguments that pictures come in
PROCESSORS = ("image_processor", "video_processor", "feature_extractor")
BLOCKS = {"picture that sees itself": "picture", "prompt that sees itself": "prompt"}
MARKED = (
    "picture",
    "picture of any size",
    *BLOCKS,
    "patches",
    "tiles",
    "tiles in a list",
    "tiles of a padded picture",
)  # the prompt marks where the picture stands


def is_hugging_face(model: Any) -> bool:
    """Whether it is a model of transformers."""
    return _descends(model, "transformers.", "PreTrainedModel")


def unpacked(model: Any, processor: Any = None, tokenizer: Any = None) -> tuple[Any, Any, Any]:
    """Model, processor and tokenizer of a pipeline of transformers, unless they are given; anything else as it is."""
    kinds = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(model).__mro__}
    if "transformers.pipelines.base.Pipeline" not in kinds:
        return model, processor, tokenizer
    own = (getattr(model, name, None) for name in ("processor", *PROCESSORS))
    found = next((each for each in own if each is not None), None)
    return model.model, found if processor is None else processor, model.tokenizer if tokenizer is None else tokenizer


def is_timm(model: Any) -> bool:
    """Whether it is a network of timm's, which carries its own pretrained_cfg."""
    return _descends(model, "timm.") and data_config(model) is not None


def is_torchvision(model: Any) -> bool:
    """Whether it is a network of torchvision's."""
    return _descends(model, "torchvision.models.")


def is_open_clip(model: Any) -> bool:
    """Whether it is a pair of towers as open_clip has them."""
    return isinstance(model, nn.Module) and hasattr(model, "encode_text") and hasattr(model, "encode_image")


def has_both_towers(model: Any) -> bool:
    """Whether it has a text tower and an image tower, as CLIP and SigLIP have."""
    ways = ("get_text_features", "get_image_features")
    return is_open_clip(model) or (is_hugging_face(model) and all(hasattr(model, name) for name in ways))


def detector_family(model: Any) -> str | None:
    """Of detectors how they answer; None: no such one.

    "softmax", "sigmoid", "prompts", "phrases", "torchvision" or "ultralytics".

    Raises:
        ValueError: it is a detector whose answer is not known here.
    """
    if _descends(model, "torchvision.models.detection."):
        return "torchvision"
    if _descends(model, "ultralytics."):
        return _of_ultralytics(model)
    kinds = _kinds(model)
    named = next((name.removesuffix(DETECTING) for name in kinds if name.endswith(DETECTING)), None)
    if named is None or not is_hugging_face(model):
        return None
    families = {"softmax": SOFTMAX, "sigmoid": SIGMOID, "prompts": PROMPTED, "phrases": GROUNDED}
    found = next((family for family, names in families.items() if named in names), None)
    if found is None:
        known = ", ".join(sorted((*SOFTMAX, *SIGMOID, *PROMPTED, *GROUNDED)))
        raise ValueError(
            f"{type(model).__name__} answers in a form that is not known here, unlike {known}: give pysmdl.adapt "
            "decode=, a function of its answer and (height, width) of its input to boxes [B, Q, 4] and confidences "
            "[B, Q, K]"
        )
    return found


def answering_family(model: Any) -> str | None:
    """Of models that answer a picture with words what they are given, as ANSWERING has it; None: no such one.

    Raises:
        ValueError: it is one that is given something else.
    """
    if not is_hugging_face(model):
        return None
    families = {name: family for family, names in ANSWERING.items() for name in names}
    kinds = _kinds(model)
    bare = [
        re.sub("(ForConditionalGeneration|ForCausalLM|Model)$", "", kind) for kind in kinds if kind.endswith(GENERATING)
    ]
    found = next((families[name] for name in bare if name in families), None)
    if found == "picture" and model.config.vision_config.model_type == "pixtral":
        found = "picture of any size"
    if found is None and _speaks_of_pictures(model):
        known = ", ".join(sorted(families.keys() - ANSWERING["sound"]))
        raise ValueError(
            f"{type(model).__name__} answers a picture with words in a form that is not known here, unlike {known}: "
            "give pysmdl.scorers.tokens a function of a batch [B, C, H, W] to the logits [B, T, K] at the T tokens of "
            "its answer"
        )
    return found


def _speaks_of_pictures(model: Any) -> bool:
    """Whether a model of transformers is given pictures and generates words."""
    generates = getattr(model, "can_generate", bool)
    return bool(generates()) and not SEEN.isdisjoint(inspect.signature(model.forward).parameters)


def text_family(model: Any) -> str | None:
    """Whether a model reads texts alone: "classes" or "language"; None: it does not."""
    if not is_hugging_face(model) or getattr(model, "main_input_name", None) != "input_ids":
        return None
    kinds = _kinds(model)
    if any(kind.endswith("ForSequenceClassification") for kind in kinds):
        return "classes"
    return "language" if any(kind.endswith(("ForCausalLM", "LMHeadModel")) for kind in kinds) else None


def _of_ultralytics(model: Any) -> str:
    if not _descends(model, "ultralytics.", "DetectionModel"):
        raise ValueError(
            f"of ultralytics' models the networks that detect can be adapted: give yolo.model, a DetectionModel; got "
            f"{type(model).__name__}"
        )
    return "ultralytics"


def data_config(model: Any) -> Mapping[str, Any] | None:
    """What timm knows of a model's data: as its own resolve_model_data_config says, else as pretrained_cfg does."""
    found = getattr(model, "pretrained_cfg", None)
    if not isinstance(found, Mapping):
        return None
    library = sys.modules.get("timm.data")
    known: Mapping[str, Any] = found if library is None else library.resolve_model_data_config(model)
    return known


def classes_of(model: Any) -> int | None:
    """How many classes it says that it has; None where it does not. 0: it gives features."""
    own = getattr(getattr(model, "config", None), "num_labels", None) if is_hugging_face(model) else None
    found = getattr(model, "num_classes", None) if own is None else own
    return found if isinstance(found, int) else None


def encodes(model: Any) -> bool:
    """Whether it gives features, not classes: towers, networks of timm's without a head, Hugging Face's bare models.

    Raises:
        ValueError: it is a model of Hugging Face's that answers something else than classes or features.
    """
    if has_both_towers(model):
        return True
    if is_timm(model):
        return classes_of(model) == 0
    if not is_hugging_face(model):
        return False
    name = type(model).__name__
    if "ForImageClassification" in name:
        return False
    if getattr(model, "main_input_name", "") == "pixel_values" and name.endswith(("Model", "ModelWithProjection")):
        return True
    raise ValueError(
        f"{name} cannot be adapted: of transformers' models those ...ForImageClassification and ...ForObjectDetection "
        "can, CLIP, SigLIP, and vision towers that give features. For others there are pysmdl.scorers.detector and "
        "tokens, with a function of your own"
    )


def _kinds(model: Any) -> list[str]:
    """The names of a model's classes that are transformers' own, its own first."""
    return [kind.__name__ for kind in type(model).__mro__ if kind.__module__.startswith("transformers.")]


def _descends(model: Any, package: str, name: str | None = None) -> bool:
    """Whether a class of a package, of that name if one is given, is among those of a module."""
    if not isinstance(model, nn.Module):
        return False
    kinds = [kind for kind in type(model).__mro__ if kind.__module__.startswith(package)]
    return any(name in (None, kind.__name__) for kind in kinds)
