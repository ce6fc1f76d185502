"""Images against prompts: CLIP, SigLIP and their like of Hugging Face and open_clip. The text tower runs once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pysmdl.adapters.families import is_open_clip
from pysmdl.errors import ScorerError
from pysmdl.inputs.image import InputSpec
from pysmdl.models.answers import EMBEDDED, Form, tensor_in
from pysmdl.models.base import Forward
from pysmdl.models.inspect import device_of, refuse_training
from pysmdl.scorers import Scorer
from pysmdl.scorers.base import Outputs, Wanted, own_rows
from pysmdl.scorers.classes import ClassScorer
from pysmdl.scorers.encoders import Encoder
from pysmdl.types import Floats, Reading

TEXTS, IMAGES = Form("the text tower", 2, EMBEDDED), Form("the image tower", 2, EMBEDDED)


class SigmoidPrompts(ClassScorer):
    """Prompts that are each asked for themselves, SigLIP's way: p = sigmoid(features @ prototypes.T + bias).

    One prompt decides where its p is above 0.5, several where it is the first of them.

    Args:
        forward: Batch to features [B, D], normalised.
        prototypes: A row a prompt, its scale within. [K, D].
        bias: Of the logits.
        input, device: As in :class:`pysmdl.scorers.Scorer`.
    """

    has_features = has_prototypes = True
    has_confidence = False  # no distribution over the prompts

    def __init__(
        self, forward: Forward, prototypes: Tensor, bias: float, input: InputSpec, device: torch.device | None = None
    ) -> None:
        super().__init__(forward, input, device)
        self.prototypes, self.bias = prototypes.to(self.device), bias
        self.classes = len(prototypes)

    def ready(self) -> None:
        super().ready()
        if "prototypes" in vars(self):
            self.prototypes = self.prototypes.to(self.device)

    def score(self, batch: Tensor, targets: Tensor, wanted: Wanted) -> Outputs:
        if self.input.mask_at == "image":
            batch = self.input.into_model(batch)
        features = self.model.tensor(batch, IMAGES)
        if features.shape[1] != self.prototypes.shape[1]:
            raise ScorerError(
                f"the image tower gives {features.shape[1]} features a row, the text tower {self.prototypes.shape[1]}"
            )
        p = (features.float() @ self.prototypes.T + self.bias).sigmoid()
        top = p.argmax(1, keepdim=True)
        classes = torch.where(targets < 0, top, targets.long()).clamp(max=p.shape[1] - 1)  # check() refuses the rest
        values = torch.cat((torch.zeros_like(p[:, :1]), top, p.gather(1, classes)), 1)
        return Outputs(values, None if wanted.features is None else own_rows(features, wanted.features))

    def read(self, values: Floats, target: NDArray[Any]) -> Reading:
        found = super().read(values, target)
        if self.classes == 1:
            found = Reading(found.score, (found.score > 0.5).astype(found.score.dtype), found.traced, None, found.top)
        return found


def prompted(model: Any, prompts: Any, tokens_of: Any, spec: InputSpec, device: Any = None) -> Scorer:
    """A scorer of images against prompts.

    Args:
        model: With get_text_features and get_image_features (Hugging Face), or encode_text and encode_image
            (open_clip).
        prompts: One for each class, or {class: several}; one alone where the model has a sigmoid.
        tokens_of: Hugging Face's processor or tokenizer, or open_clip's tokenizer.
        spec: How images become the model's input.
        device: As in :func:`pysmdl.scorers.classifier`.

    Raises:
        ValueError: the model has no towers or no scale, or there are too few prompts.
    """
    texts = prompt_texts(prompts)
    names = tuple(name for name, _ in texts)
    refuse_training([model])
    scale, bias = getattr(model, "logit_scale", None), getattr(model, "logit_bias", None)
    if not isinstance(scale, Tensor):
        raise ValueError(f"prompts need a model with a logit_scale, as CLIP and SigLIP have; got {_kind(model)}")
    if bias is None and len(names) < 2:
        raise ValueError(
            f"prompts must be two or more for {_kind(model)}, whose softmax of one is always 1; got {list(names)}"
        )
    found = text_features(model, [each for _, own in texts for each in own], tokens_of)
    means = torch.stack([own.mean(0) for own in found.split([len(own) for _, own in texts])])
    prototypes = nn.functional.normalize(means, dim=1) * scale.detach().float().exp()
    forward = image_features(model)
    if bias is None:
        scorer: Scorer = Encoder(forward, prototypes, spec, device)
    else:
        scorer = SigmoidPrompts(forward, prototypes, float(bias.detach()), spec, device)
    scorer.names = names
    return scorer


def prompt_names(prompts: Any) -> tuple[str, ...]:
    """Prompts as given, one or more texts.

    Raises:
        ValueError: they are none.
    """
    if isinstance(prompts, Sequence) and not isinstance(prompts, (str, bytes)):
        listed = tuple(prompts)
        if listed and all(isinstance(each, str) and each.strip() for each in listed):
            return listed
    raise ValueError(f'prompts must be a list of texts, as ["a cat", "a dog"]; got {prompts!r}')


def prompt_texts(prompts: Any) -> list[tuple[str, tuple[str, ...]]]:
    """Prompts as given, by class: {class: one text or several}, whose features' mean stands for it (CLIP, section
    3.1.4), or one for each class, which is its name.

    Raises:
        ValueError: they are neither.
    """
    if isinstance(prompts, Mapping) and prompts:
        return [(str(name), prompt_names([own] if isinstance(own, str) else own)) for name, own in prompts.items()]
    return [(each, (each,)) for each in prompt_names(prompts)]


def text_features(model: Any, prompts: Sequence[str], tokens_of: Any) -> Tensor:
    """Features of prompts, normalised. [K, D], float32, on the model's device."""
    device = device_of([model], None)
    with torch.no_grad():
        if is_open_clip(model):
            answer = model.encode_text(_open_clip_tokens(model, prompts, tokens_of).to(device))
        else:
            answer = model.get_text_features(**_tokens(model, prompts, tokens_of, device))
        found = tensor_in(answer, len(prompts), TEXTS, device).float()
    return nn.functional.normalize(found, dim=1)


def image_features(model: Any) -> Forward:
    """A function of a batch to its image's features, normalised. [B, D], float32."""
    return partial(_encoded, model.encode_image if is_open_clip(model) else model.get_image_features)


def _encoded(encode: Callable[[Tensor], Any], batch: Tensor) -> Tensor:
    answer = encode(batch)
    return nn.functional.normalize(tensor_in(answer, len(batch), IMAGES, batch.device).float(), dim=1)


def _tokens(model: Any, prompts: Sequence[str], tokens_of: Any, device: torch.device) -> dict[str, Tensor]:
    """Prompts as Hugging Face's zero-shot pipeline has them: SigLIP was trained on texts padded to its whole length."""
    tokenizer = getattr(tokens_of, "tokenizer", tokens_of)
    if not callable(tokenizer) or hasattr(tokenizer, "preprocess"):  # an image processor
        raise ValueError(
            "prompts need a tokenizer: give tokenizer=, or a processor= that has one, as AutoProcessor makes it; "
            f"got {type(tokens_of).__name__}"
        )
    whole = _kind(model).startswith("Siglip")
    longest = getattr(getattr(model.config, "text_config", None), "max_position_embeddings", None)
    padding: Any = "max_length" if whole else True
    found = tokenizer(list(prompts), padding=padding, truncation=True, max_length=longest, return_tensors="pt")
    if not isinstance(found, Mapping) or "input_ids" not in found:
        raise ValueError(f"tokenizer must give input_ids, as Hugging Face's do; got {_kind(found)}")
    return {name: value.to(device) for name, value in found.items() if name in ("input_ids", "attention_mask")}


def _open_clip_tokens(model: Any, prompts: Sequence[str], tokens_of: Any) -> Tensor:
    """By the tokenizer that was given, else by open_clip's own, where it is the one of the model's vocabulary."""
    if tokens_of is None:
        library = sys.modules.get("open_clip")
        if library is None or getattr(model, "vocab_size", None) != 49408 or getattr(model, "context_length", 0) != 77:
            raise ValueError("prompts need tokenizer=open_clip.get_tokenizer(name): this model's is not CLIP's own")
        tokens_of = library.tokenize
    found = tokens_of(list(prompts))
    if not isinstance(found, Tensor):
        raise ValueError(f"tokenizer must give a tensor [K, T], as open_clip's do; got {_kind(found)}")
    return found


def _kind(value: Any) -> str:
    return type(value).__name__
