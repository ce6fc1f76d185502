"""Models that answer a picture with words, LLaVA and its like: the family, how a picture goes in, what is missing."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pysmdl.adapters.conversations import Conversation
from pysmdl.adapters.families import BLOCKS, MARKED, answering_family
from pysmdl.adapters.pieces import of_any_size, padded, patched, tiled
from pysmdl.adapters.preprocessing import input_of
from pysmdl.inputs.image import InputSettings, InputSpec
from pysmdl.models import patches
from pysmdl.models.image_text import ImageText, Pictures
from pysmdl.models.inspect import refuse_training
from pysmdl.scorers.answers import AnswerScorer

__all__ = ["answering"]

SPECS = {
    "patches": patched,
    "picture of any size": of_any_size,
    "tiles": tiled,
    "tiles in a list": tiled,
    "tiles of a padded picture": padded,
}
MELS = (0.4,), (0.4,)  # of which 0 is a log-mel of -1, quieter than what is heard, and 1 is the loudest, 1.5


def answering(
    model: Any,
    processor: Any,
    transform: Any,
    tokenizer: Any,
    prompt: str | None,
    answer: str | None,
    device: str | torch.device | None,
    input: InputSettings,
    make: Callable[..., AnswerScorer] = AnswerScorer,
) -> AnswerScorer:
    """A scorer of the words that a model answers to a picture.

    Args:
        model: As :func:`pysmdl.adapters.families.answering_family` knows it.
        processor: Of pictures and texts.
        transform, input: How photographs become the model's input, in place of the processor's image processor.
        tokenizer: None: the processor's.
        prompt, answer: As in :func:`pysmdl.adapt`.
        make: Model, input, speech and answer to the scorer.

    Raises:
        ValueError: the processor, its tokenizer or the prompt is missing, or the model is in training mode.
    """
    kind, family = type(model).__name__, answering_family(model) or ""
    tokens_of = getattr(processor, "tokenizer", None) if tokenizer is None else tokenizer
    if processor is None or tokens_of is None or not hasattr(tokens_of, "decode"):
        raise ValueError(
            f"{kind} answers in words, for which it needs its processor with a tokenizer: give processor=, as "
            f"AutoProcessor.from_pretrained(...) makes it; got {type(processor).__name__}"
        )
    for name, text in (("prompt", prompt), ("answer", answer)):
        if text is not None and (not isinstance(text, str) or not text.strip()):
            raise ValueError(f"{name} must be a text with a word in it; got {text!r}")
    refuse_training([model])
    if family in BLOCKS or "Qwen3VL" in kind:
        _check_release(model)
    _check_views(model, processor)
    if transform is not None or input:
        spec = input_of(model, None, transform, input)
    elif family == "sound":
        spec = InputSpec(*MELS)
    else:
        spec = SPECS[family](processor) if family in SPECS else input_of(model, processor, None, {})
    encodes = bool(getattr(model.config, "is_encoder_decoder", False))
    network = ImageText(model, _pictures(family, processor), image_token_of(model), encodes, device)
    network.side = _side(family, model.config, processor)
    begins = _begins(family, model, tokens_of)
    network.sized, network.block = family == "tiles of a padded picture", BLOCKS.get(family)
    network.several = family in MARKED and "LlavaOnevision" not in kind  # which cuts no tiles of several
    between = "" if network.block == "prompt" else "\n"
    speech = Conversation(network, processor, tokens_of, prompt, family in MARKED, begins, family == "across", between)
    scorer = make(network, spec, speech, answer)
    scorer.tiled = family.startswith("tiles")
    if prompt is None and network.asked and begins is None:
        raise ValueError(f'{kind} needs a prompt: give prompt="What is in the picture?"')
    return scorer


def _pictures(family: str, processor: Any) -> Pictures:
    """Composed rows to the arguments that the family's networks take them in."""
    if family == "patches":
        images = getattr(processor, "image_processor", processor)
        return partial(_in_patches, (images.patch_size, images.merge_size, images.temporal_patch_size))
    return GIVEN.get(family, _as_they_are)


def _in_patches(sizes: tuple[int, int, int], batch: Tensor) -> dict[str, Tensor]:
    return dict(zip(("pixel_values", "image_grid_thw"), patches.patches(batch, *sizes), strict=True))


def _with_sizes(batch: Tensor) -> dict[str, Tensor]:
    sizes = torch.tensor([batch.shape[2:]], device=batch.device).expand(len(batch), 2)
    return {"pixel_values": batch, "image_sizes": sizes}


def _in_a_list(batch: Tensor) -> dict[str, Tensor]:
    """A tile of nothing but 0 would count as none."""
    return {"pixel_values": patches.tiles(torch.where(batch == 0, torch.finfo(batch.dtype).tiny, batch))}


def _padded(batch: Tensor) -> dict[str, Tensor]:
    """The small view of all of the picture comes first."""
    return {"pixel_values": patches.tiles(batch).roll(1, 1)}


def _in_tiles(batch: Tensor) -> dict[str, Tensor]:
    return {"pixel_values": patches.tiles(batch).flatten(0, 1)}


def _heard(batch: Tensor) -> dict[str, Tensor]:
    return {"input_features": batch[:, 0]}


def _as_they_are(batch: Tensor) -> dict[str, Tensor]:
    return {"pixel_values": batch}


GIVEN: dict[str, Pictures] = {
    "picture of any size": _with_sizes,
    "tiles in a list": _in_a_list,
    "tiles of a padded picture": _padded,
    "tiles": _in_tiles,
    "sound": _heard,
}


def _side(family: str, config: Any, processor: Any) -> int | None:
    """Points that a visual token covers, each way: a patch, or the patches that are merged into it."""
    if family == "patches":
        images = getattr(processor, "image_processor", processor)
        return int(images.patch_size * images.merge_size)
    if family == "picture that sees itself":
        return int(config.vision_config.image_size) // math.isqrt(config.mm_tokens_per_image)
    if family not in ("picture", "picture of any size", "prompt that sees itself", "tiles", "tiles in a list"):
        return None
    patch = config.vision_config.patch_size
    merged = getattr(config, "scale_factor", 1) / getattr(config, "downsample_ratio", 1)
    merged *= getattr(config, "spatial_merge_size", 1) * getattr(config, "downsample_factor", 1)
    return int((patch[0] if isinstance(patch, (list, tuple)) else patch) * merged)


def _check_release(model: Any) -> None:
    """Raises:
    ValueError: transformers is one of before its release 5, in which an answer that is given to PaliGemma sees itself
        ahead, and what Qwen3-VL's layers are given of a picture comes in another form.
    """
    version = sys.modules["transformers"].__version__
    if int(version.partition(".")[0]) < 5:
        raise ValueError(f"{type(model).__name__} needs transformers 5 or newer; got {version}")


def _check_views(model: Any, processor: Any) -> None:
    """Raises:
    ValueError: several views are cut out of a picture.
    """
    if getattr(getattr(processor, "image_processor", None), "do_pan_and_scan", False):
        raise ValueError(
            f"{type(model).__name__} is explained by one view of a picture, but its processor cuts out more: set "
            "processor.image_processor.do_pan_and_scan to False"
        )


def _begins(family: str, model: Any, tokenizer: Any) -> tuple[int, ...] | None:
    """What each answer follows on, before a prompt if there is one: Whisper's language and task, GIT's and BLIP's
    beginning.
    """
    if family == "sound":
        return tuple(tokenizer.prefix_tokens)
    if family == "across":
        return (model.config.text_config.bos_token_id,)
    return (model.config.bos_token_id,) if family == "after" else None


def image_token_of(model: Any) -> int | None:
    """The number of the token that stands where a picture does."""
    for name in ("image_token_id", "image_token_index"):
        found = getattr(model.config, name, None)
        if isinstance(found, int):
            return found
    return None
