"""Rows of kept tokens as a language model reads them, and what it says of the tokens that follow."""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pysmdl.models.image_text import Told, only

ATTENDING = {"full_attention", "sliding_attention", "chunked_attention"}  # layers that keep keys and values


@dataclass(frozen=True)
class Pack:
    """Rows of like length: what each keeps, then, of shorter ones, something more.

    Attributes:
        tokens: Their numbers. [g, l], int64.
        seen: Which of them are visual. [g, l], bool.
        shown: What the language model is given of these: [g, l, D], of each of its layers that gets something D more.
        places: Where in time, height and width each token lies; None: by its number. [3, g, l], int64.
        types: As :meth:`ImageText.types` has it; None where no token sees what comes after it. [g, l], int64.
        at: Which of them are asked what follows. [g, k], int64.
    """

    tokens: Tensor
    seen: Tensor
    shown: Tensor
    places: Tensor | None
    types: Tensor | None
    at: Tensor


def may_begin(network: Any) -> bool:
    """Whether what follows may go on from a text's keys and values: no layer keeps a state instead, which transformers
    goes on from by one token at a time alone.
    """
    return ATTENDING.issuperset(getattr(_language(network).config, "layer_types", None) or ())


def begun(network: Any, tokens: Tensor, places: Tensor | None) -> Any:
    """The keys and values of the tokens before the picture [1, l], which are read once for a batch."""
    where, language = None if places is None else places[:, :1, : tokens.shape[1]], _language(network)
    answer = language(inputs_embeds=network.get_input_embeddings()(tokens), position_ids=where, use_cache=True)
    return getattr(answer, _cache_of(language))


def next_of_parts(network: Any, head: nn.Module, pack: Pack, before: Any) -> Tensor:
    """Logits of the tokens that follow [g, k, K], by language model and head alone.

    Args:
        before: What :func:`begun` gave, on which the pack follows; None: on nothing.
    """
    language, words = _language(network), {}
    if before is not None:
        own = copy.deepcopy(before)
        own.batch_repeat_interleave(len(pack.tokens))
        words[_cache_of(language)] = own
    states, deeper = _states(network, pack)
    if deeper:
        words |= {"visual_pos_masks": pack.seen, "deepstack_visual_embeds": deeper}
    hidden = language(inputs_embeds=states, position_ids=pack.places, use_cache=before is not None, **words)[0]
    found: Tensor = head(hidden[torch.arange(len(hidden), device=hidden.device)[:, None], pack.at.to(hidden.device)])
    return found


def next_of_whole(network: Any, head: nn.Module, pack: Pack) -> Tensor:
    """The same by the network itself, which knows from the tokens' types which of them see each other."""
    states, _ = _states(network, pack)
    with only(head, Told(pack.tokens, pack.at)):
        found: Tensor = network(inputs_embeds=states, token_type_ids=pack.types, use_cache=False).logits
    return found


def _states(network: Any, pack: Pack) -> tuple[Tensor, list[Tensor]]:
    """What the language model is given of all tokens [g, l, D], and some of its layers of the visual ones [s, D]."""
    states = network.get_input_embeddings()(pack.tokens.masked_fill(pack.seen, 0))  # some image tokens are no words
    first, *deeper = pack.shown.to(states).split(states.shape[-1], -1)
    return torch.where(pack.seen[:, :, None], first, states), [each[pack.seen] for each in deeper]


def _language(network: Any) -> Any:
    inner = getattr(network, "model", network)
    return inner.text_model if hasattr(inner, "text_model") else inner.language_model


def _cache_of(language: Any) -> str:
    """What its forward calls keys and values: transformers has renamed them."""
    return "cache" if "cache" in inspect.signature(language.forward).parameters else "past_key_values"
