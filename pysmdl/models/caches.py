"""Keys and values of a text's first tokens, as transformers' caches hold them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

Pairs = Sequence[tuple[Tensor, Tensor]]
"""Keys and values of each layer. [b, heads, L, D] each."""


def pairs_in(cache: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Keys and values of each layer, as releases of transformers have them."""
    if hasattr(cache, "layers"):
        yield from ((layer.keys, layer.values) for layer in cache.layers)
    else:
        yield from zip(cache.key_cache, cache.value_cache, strict=True)


def cache_of(pairs: Pairs, start: int, count: int) -> Any:
    """A cache of so many rows that all begin with the first `start` tokens of these, which are there once."""
    from transformers import DynamicCache

    cache: Any = DynamicCache()
    for layer, pair in enumerate(pairs):
        cache.update(*(each[:, :, :start] for each in pair), layer)
        if hasattr(cache, "layers"):
            of = cache.layers[layer]
            of.keys, of.values = (each.expand(count, -1, -1, -1) for each in (of.keys, of.values))
        else:
            for held in (cache.key_cache, cache.value_cache):
                held[layer] = held[layer].expand(count, -1, -1, -1)
    return cache
