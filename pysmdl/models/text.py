"""Token ids on their way to a model of texts: rows that stay whole, lose tokens, or hide them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.types import Bools, Floats

Ids = NDArray[np.int64]


@dataclass
class Tally:
    """Tokens of a text's rows: how many were run, and how many the rows have."""

    run: int = 0
    had: int = 0


@dataclass(frozen=True)
class Instead:
    """What stands in the place of an embedding that is taken away.

    Attributes:
        fill: "zero", or "mean": of all embeddings.
        seed: Of which dimensions go, where only a part of them does. None: that part of each goes.
    """

    fill: str = "zero"
    seed: int | None = None


@dataclass(frozen=True)
class TokenRows:
    """Rows of one text.

    Attributes:
        ids: Shorter rows are filled up at their end. [b, L].
        seen: Tokens that others attend to; False also where a row is filled up. [b, L].
        positions: Of each token. [b, L].
        lengths: Of each row. [b].
        after: The position of what follows on each row. [b].
        whole: Ids of the whole text. [N].
        blank: How much of each token's embedding is taken away, 0 to 1. [b, L], or None.
        fill: What stands in its place.
        tally: Of the text, where tokens are counted.
    """

    ids: Ids
    seen: Bools
    positions: Ids
    lengths: Ids
    after: Ids
    whole: Ids
    blank: Floats | None = None
    fill: Instead = field(default_factory=lambda: Instead())
    tally: Tally = field(default_factory=Tally)

    def __len__(self) -> int:
        return len(self.ids)

    def starts(self) -> Ids:
        """How many first tokens of each row are the whole text's, seen and where they were. [b]."""
        width = min(self.ids.shape[1], len(self.whole))
        same = (self.ids[:, :width] == self.whole[:width]) & self.seen[:, :width]
        same &= self.positions[:, :width] == np.arange(width)
        if self.blank is not None:
            same &= self.blank[:, :width] == 0
        stops: Ids = np.where(same.all(1), width, same.argmin(1)).astype(np.int64)
        return stops


@dataclass(frozen=True)
class TokenBatch:
    """Rows of several texts, end to end."""

    parts: Sequence[TokenRows]

    def __len__(self) -> int:
        return sum(map(len, self.parts))


@dataclass(frozen=True)
class Tokenized:
    """A text's token ids [N], and of each its characters [start, stop)."""

    ids: Ids
    offsets: list[tuple[int, int]]


def tokenized(tokenizer: Any, text: str, special: bool) -> Tokenized:
    """A text as a tokenizer reads it.

    Args:
        tokenizer: Of Hugging Face, a fast one.
        special: Whether it adds what it begins and ends with.

    Raises:
        ValueError: it does not know where its tokens stand.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError(
            f"tokenizer must be a fast one, which knows where tokens stand; got {type(tokenizer).__name__}"
        )
    found = tokenizer(text, add_special_tokens=special, return_offsets_mapping=True)
    return Tokenized(np.array(found["input_ids"], np.int64), [tuple(each) for each in found["offset_mapping"]])


def rows_of_ids(listed: Sequence[Sequence[int]], whole: Ids) -> TokenRows:
    """Rows of ids of any lengths, all of them seen."""
    lengths = np.array([len(each) for each in listed], np.int64)
    places = np.arange(max(int(lengths.max(initial=0)), 1), dtype=np.int64)
    seen = places[None] < lengths[:, None]
    ids = np.zeros(seen.shape, np.int64)
    ids[seen] = np.concatenate([np.asarray(each, np.int64) for each in listed])
    return TokenRows(ids, seen, np.broadcast_to(places, ids.shape), lengths, lengths, whole)


def begun(rows: TokenRows, start: int) -> TokenRows:
    """The rows, those of which nothing is seen with a first token in its place: for a model of texts there is no text
    of no tokens.
    """
    empty = ~rows.seen.any(1)
    if not empty.any():
        return rows
    ids, seen = rows.ids.copy(), rows.seen.copy()
    ids[empty, 0], seen[empty, 0] = start, True
    lengths, after = (np.where(empty, np.maximum(each, 1), each) for each in (rows.lengths, rows.after))
    return replace(rows, ids=ids, seen=seen, lengths=lengths, after=after)


def in_front(kept: Bools) -> tuple[Ids, Ids]:
    """The places of the tokens that each row keeps, in their order, as many as the longest row has; and how many each
    keeps. [b, L] to [b, width], width at least 1, and [b].
    """
    lengths: Ids = kept.sum(1)
    return np.argsort(~kept, axis=1, kind="stable")[:, : max(int(lengths.max(initial=0)), 1)], lengths


def first_position(network: Any) -> int:
    """The number of the first token's position: 0, or where they count on from the padding's id, as RoBERTa's and
    MPNet's do.
    """
    tables = (getattr(each, "position_embeddings", None) for each in network.modules())
    paddings = (getattr(each, "padding_idx", None) for each in tables)
    return next((each + 1 for each in paddings if each is not None), 0)


@contextmanager
def of_length(network: Any, tokens: int) -> Iterator[None]:
    """Around a call of a network on rows of so many tokens: where it fails, and they are more than it has positions, an
    error that says so.

    Raises:
        ValueError: that error.
    """
    try:
        yield
    except (IndexError, RuntimeError) as error:
        config = getattr(network, "config", None)
        most = getattr(config, "max_position_embeddings", getattr(config, "n_positions", None))
        if not isinstance(most, int) or tokens <= most or isinstance(error, torch.OutOfMemoryError):
            raise
        raise ValueError(
            f"the text has {tokens} tokens, with what stands around it, and {type(network).__name__} takes {most}: "
            "explain a shorter one"
        ) from error


def joined(parts: Sequence[TokenRows], pad: int) -> TokenRows:
    """Rows of several texts as one, filled up at their end to the longest."""
    width = max(each.ids.shape[1] for each in parts)

    def filled(arrays: Sequence[NDArray[Any]], value: Any) -> NDArray[Any]:
        wide = [np.pad(each, ((0, 0), (0, width - each.shape[1])), constant_values=value) for each in arrays]
        return np.concatenate(wide)

    lengths = np.concatenate([each.lengths for each in parts])
    ids = filled([each.ids for each in parts], pad)
    ids[np.arange(width)[None] >= lengths[:, None]] = pad
    blank = None
    if any(each.blank is not None for each in parts):
        blanks = [np.zeros(each.ids.shape, np.float32) if each.blank is None else each.blank for each in parts]
        blank = filled(blanks, 0)
    seen, positions = filled([each.seen for each in parts], False), filled([each.positions for each in parts], 0)
    fill = next((each.fill for each in parts if each.blank is not None), parts[0].fill)
    after = np.concatenate([each.after for each in parts])
    return TokenRows(ids, seen, positions, lengths, after, parts[0].whole, blank, fill)


def embedded(network: Any, ids: Tensor, blank: Floats, places: Ids, instead: Instead) -> Tensor:
    """Embeddings of ids, without as much of each as is blank. [B, L, D].

    A token loses dimension d where u[d] < blank, u = np.random.default_rng((seed, place)).random(D); without a seed it
    is (1 - blank) of itself and blank of what stands in its place.

    Args:
        network: Has get_input_embeddings().
        ids: Of the rows. [B, L].
        blank: 0 to 1. [B, L].
        places: Of the tokens in their text. [B, L].
        instead: What stands in the place of what goes.
    """
    table = network.get_input_embeddings()
    states = table(ids)
    filled = torch.zeros_like(states[:1, :1]) if instead.fill == "zero" else table.weight.mean(0).to(states)[None, None]
    gone = blank[..., None].copy()
    part = (blank > 0) & (blank < 1)
    if part.any() and instead.seed is not None:
        which, of = np.unique(places[part], return_inverse=True)
        drawn = np.stack([_drawn(instead.seed, int(place), states.shape[-1]) for place in which])
        gone = np.repeat(gone, states.shape[-1], 2)
        gone[part] = drawn[of] < blank[part][:, None]
    return torch.lerp(states, filled, torch.from_numpy(gone).to(states))  # exact at 0 and at 1


@lru_cache(4096)
def _drawn(seed: int, place: int, size: int) -> NDArray[np.float64]:
    return np.random.default_rng((seed, place)).random(size)
