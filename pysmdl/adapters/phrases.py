"""Grounding DINO, which reads all prompts as one text: which tokens of it are which prompt's."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pysmdl.models.base import Forward


def grounded(model: Any, prompts: Sequence[str], tokens_of: Any) -> Forward:
    """Grounding DINO on prompts: a function of a batch to pred_boxes and, for each prompt, the largest sigmoid of its
    tokens.

    Source: transformers/models/grounding_dino/processing_grounding_dino.py, _merge_candidate_labels_text.

    Args:
        model: Batch and text to logits [B, Q, T], a column a token, and pred_boxes [B, Q, 4].
        prompts: None with a full stop, which ends a prompt in the text.
        tokens_of: Hugging Face's processor or tokenizer.

    Raises:
        ValueError: there is no tokenizer, a prompt has a full stop, or the text is longer than the model reads.
    """
    tokenizer = getattr(tokens_of, "tokenizer", tokens_of)
    if not callable(tokenizer) or hasattr(tokenizer, "preprocess"):
        raise ValueError(
            f"prompts need a tokenizer: give tokenizer=, or a processor= that has one; got {type(tokens_of).__name__}"
        )
    if any("." in prompt for prompt in prompts):
        raise ValueError(
            f"prompts of {type(model).__name__} must have no full stop, which ends each; got {list(prompts)}"
        )
    text = ". ".join(prompt.strip().lower() for prompt in prompts) + "."
    given = dict(tokenizer([text], return_tensors="pt", return_special_tokens_mask=True))
    added = given.pop("special_tokens_mask")[0].tolist()
    longest = getattr(model.config, "max_text_len", None)
    ids = given["input_ids"][0].tolist()
    if longest is not None and len(ids) > longest:
        raise ValueError(f"prompts must be {longest} tokens at most in all, for {type(model).__name__}; got {len(ids)}")
    network = once_read(model)
    of_prompt = columns(ids, added, tokenizer.convert_tokens_to_ids("."), len(prompts))
    return partial(_found, network, given, of_prompt)


def _found(
    network: Callable[..., Any], given: Mapping[str, Tensor], of_prompt: Sequence[Any], batch: Tensor
) -> dict[str, Tensor]:
    words = {name: value.to(batch.device).expand(len(batch), -1) for name, value in given.items()}
    answer = network(pixel_values=batch, **words)
    sure = answer.logits.float().sigmoid()
    return {
        "pred_boxes": answer.pred_boxes,
        "confidences": torch.stack([sure[..., c].amax(-1) for c in of_prompt], -1),
    }


class ReadOnce(nn.Module):
    """A text tower that is given the same text in each row of each call: it runs on the first row of the first."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower
        self._answer: Any = None

    def forward(self, *given: Any, **settings: Any) -> Any:
        """The tower's answer, its last_hidden_state a row for each of the first argument's."""
        if self._answer is None:
            first = [each[:1] if isinstance(each, Tensor) else each for each in given]
            self._answer = self.tower(*first, **settings)
        answer = copy.copy(self._answer)
        states = answer.last_hidden_state.to(given[0].device)
        answer.last_hidden_state = states.expand(len(given[0]), -1, -1)
        return answer


def once_read(model: Any) -> Any:
    """Grounding DINO on one text: the same network, of the same weights, whose text tower runs once."""
    return _replaced(model, "model", _replaced(model.model, "text_backbone", ReadOnce(model.model.text_backbone)))


def _replaced(module: nn.Module, name: str, part: nn.Module) -> nn.Module:
    """The same module but for one part."""
    other = copy.copy(module)
    other._modules = {**module._modules, name: part}
    return other


def columns(ids: Sequence[int], added: Sequence[int], stop: int, prompts: int) -> list[list[int]]:
    """Of each prompt the places of its tokens in the text of all.

    Args:
        ids: Of the text.
        added: 1 where a token is no part of the text: its beginning, its end.
        stop: The full stop's.
        prompts: How many there are.

    Raises:
        ValueError: the text does not fall into as many prompts at its full stops.
    """
    found: list[list[int]] = [[]]
    for place, (token, apart) in enumerate(zip(ids, added, strict=True)):
        if token == stop:
            found.append([])
        elif not apart:
            found[-1].append(place)
    listed = [each for each in found if each]
    if len(listed) != prompts:
        raise ValueError(f"the tokenizer makes {len(listed)} phrases of {prompts} prompts, by their full stops")
    return listed
