"""What a network of transformers makes of tokens that it should not look at, tried out: nothing else tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pysmdl.models.image_text import Told, only

FEW = 12  # tokens that are tried, none of them the first or the last of a vocabulary


def reads_filling(network: Any, filled: Tensor, answer: Callable[[], Tensor]) -> bool:
    """Whether an answer changes with the embeddings of what fills its rows up. True where that cannot be found out.

    Ids stay what they are: some networks find by them where a row ends.

    Args:
        network: With get_input_embeddings().
        filled: Which of the ids that it is given. [b, L], bool.
        answer: Runs it on them.
    """
    changed = []

    def change(_: Any, given: Any, states: Any) -> Any:
        if not isinstance(states, Tensor) or states.shape[:2] != filled.shape:
            return None
        changed.append(True)
        return torch.where(filled[..., None], 1 - 3 * states, states)

    with torch.no_grad():
        first = answer()
        try:
            hook = network.get_input_embeddings().register_forward_hook(change)
        except (AttributeError, NotImplementedError):
            return True
        try:
            second = answer()
        finally:
            hook.remove()
    return not changed or _differ(first, second)


def reads_ahead(network: Any, device: torch.device) -> bool:
    """Whether what it says after a token changes with the token that follows, as of one that was trained to fill gaps.

    Args:
        network: A causal model of transformers, with get_output_embeddings().
        device: Of the ids.
    """
    return _differ(*(_said(network, ids, FEW - 2) for ids in _few(network, device, FEW - 1)))


def reads_hidden(network: Any, device: torch.device) -> bool:
    """Whether it looks at tokens that are hidden by its attention_mask. Arguments as of :func:`reads_ahead`."""
    seen = (torch.arange(FEW, device=device)[None] != FEW // 2).long()
    return _differ(*(_said(network, ids, FEW - 1, seen) for ids in _few(network, device, FEW // 2)))


def _few(network: Any, device: torch.device, place: int) -> tuple[Tensor, Tensor]:
    """Ids, and the same with another at a place. [1, FEW] each."""
    size = network.get_input_embeddings().weight.shape[0]
    ids = torch.linspace(size // 8, size - 1 - size // 8, FEW).long()[None]
    other = ids.clone()
    other[0, place] = ids[0, 1]
    return ids.to(device), other.to(device)


def _said(network: Any, ids: Tensor, place: int, seen: Tensor | None = None) -> Tensor:
    """Logits of what follows on the token at a place. [K]."""
    told = only(network.get_output_embeddings(), Told(ids, torch.full_like(ids[:, :1], place)))
    with torch.no_grad(), told:
        found: Tensor = network(input_ids=ids, attention_mask=seen, use_cache=False).logits[0, 0]
    return found


def _differ(first: Tensor, second: Tensor) -> bool:
    """By more than what experts of a mixture do that add up in another order."""
    step = 8 * torch.finfo(second.dtype).eps * first.float().abs().max()
    return bool(((second.float() - first.float()).abs() > step).any())
