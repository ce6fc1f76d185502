"""What the absence of spans of a text means: left out, replaced, hidden from attention, or without their embedding."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from pysmdl.errors import one_of, whole_number
from pysmdl.models.text import Ids, Instead, TokenRows, in_front, rows_of_ids
from pysmdl.removal.base import Removal
from pysmdl.removal.of_text import OfText, Sheet, spoken
from pysmdl.types import Bools, Floats

POSITIONS, FILLS, TOKENS = ("keep", "close"), ("zero", "mean"), ("mask", "unk", "pad", "eos")
SHOWN = "[MASK]"  # in strings


class Replace(OfText):
    """See :func:`replace`."""

    name = "replace"

    def __init__(self, by: Any = None) -> None:
        super().__init__()
        if isinstance(by, str) and by not in TOKENS and not by.strip():
            raise one_of("by", by, TOKENS)
        if not (_by_name(by) or callable(by) or np.asarray(by).dtype.kind in "iu"):
            tokens = ", ".join(map(repr, TOKENS))
            raise ValueError(f"by must be ids of tokens, a token, {tokens}, or a function of ids; got {by!r}")
        self._by = by

    def instead(self, tokenizer: Any, ids: Ids | None) -> Any:
        by = self._by
        if ids is None:
            if not _by_name(by):
                raise ValueError(f"by must be a word where there is no tokenizer, such as '[MASK]'; got {by!r}")
            return SHOWN if by is None or by in TOKENS else by
        if callable(by):
            by = by(ids.copy())
        elif _by_name(by):
            by = _named(tokenizer, by) if by is None or by in TOKENS else _spelt(tokenizer, by)
        found = np.asarray(by)
        known = len(tokenizer)
        if found.dtype.kind not in "iu" or not ((found >= 0) & (found < known)).all():
            raise ValueError(f"by must be ids of tokens, whole numbers from 0 to {known - 1}; got {by!r}")
        if found.shape not in ((), ids.shape):
            raise ValueError(f"by must be one id, or {len(ids)}, one a token; got shape {list(found.shape)}")
        return np.broadcast_to(found, ids.shape)

    def rows(self, member: Bools, sheet: Sheet) -> TokenRows:
        assert sheet.ids is not None
        return _whole(np.where(sheet.kept(member), sheet.ids, sheet.other), sheet.ids)


class Delete(OfText):
    """Absent spans are left out; what follows moves up."""

    name = "delete"

    def rows(self, member: Bools, sheet: Sheet) -> TokenRows:
        assert sheet.ids is not None
        return _moved_up(sheet.kept(member), sheet.ids)


class Attention(OfText):
    """See :func:`attention`."""

    name = "attention"

    def __init__(self, positions: str = "keep") -> None:
        super().__init__()
        if positions not in POSITIONS:
            raise one_of("positions", positions, POSITIONS)
        self._close = positions == "close"

    def rows(self, member: Bools, sheet: Sheet) -> TokenRows:
        assert sheet.ids is not None
        seen = sheet.kept(member)
        if self._close:  # what nobody attends to and has no place of its own is nowhere, whatever a model counts by
            return _moved_up(seen, sheet.ids)
        return dataclasses.replace(_whole(np.broadcast_to(sheet.ids, seen.shape), sheet.ids), seen=seen)

    def string(self, kept: Sequence[bool], sheet: Sheet) -> str:
        raise ValueError('removal="attention" needs a model with a tokenizer; a function of strings has no attention')


class Embedding(OfText):
    """See :func:`embedding`."""

    name = "embedding"

    def __init__(self, fill: str = "zero") -> None:
        super().__init__()
        if fill not in FILLS:
            raise one_of("fill", fill, FILLS)
        self._fill = Instead(fill)

    def softened(self) -> Removal:
        found = copy.copy(self)
        found.soft = True
        return found

    def rows(self, member: Any, sheet: Sheet) -> TokenRows:
        assert sheet.ids is not None
        blank = (1 - sheet.kept(member).astype(np.float32)) * self._gone(sheet)
        whole = _whole(np.broadcast_to(sheet.ids, (len(member), len(sheet.ids))), sheet.ids)
        return dataclasses.replace(whole, blank=blank, fill=self._fill)

    def _gone(self, sheet: Sheet) -> Floats:
        """How much of each token's embedding goes where it is absent. [N], or one for all."""
        return np.ones(1, np.float32)

    def string(self, kept: Sequence[bool], sheet: Sheet) -> str:
        raise ValueError(
            f'removal="{self.name}" needs a model with a tokenizer; a function of strings has no embedding'
        )


class Soft(Embedding):
    """See :func:`soft`."""

    name = "soft"

    def __init__(self, keep: Any = 0.5, seed: int = 0) -> None:
        super().__init__()
        given = np.asarray(keep)
        shares = given.astype(np.float32) if given.dtype.kind in "iuf" else None
        if shares is None or shares.ndim > 1 or not ((shares >= 0) & (shares <= 1)).all():
            raise ValueError(f"keep must be from 0 to 1, one number or one for each player; got {keep!r}")
        self._keep = shares
        self._fill = Instead("zero", whole_number("seed", seed, 0))

    def _gone(self, sheet: Sheet) -> Floats:
        if self._keep.ndim == 0:
            return 1 - self._keep[None]
        if len(self._keep) <= sheet.players.max(initial=-1):
            raise ValueError(f"keep must have a number for each of the players; got {len(self._keep)}")
        found: Floats = 1 - np.append(self._keep, np.float32(1))[sheet.players]
        return found


class Retokenized(OfText):
    """Absent spans are left out of the text, which the tokenizer then reads anew."""

    name = "text"

    def rows(self, member: Bools, sheet: Sheet) -> TokenRows:
        assert sheet.ids is not None
        assert sheet.retokenized is not None
        texts = [spoken(kept, sheet.pieces, "") for kept in member.tolist()]
        return rows_of_ids(sheet.retokenized(texts), sheet.ids)


def replace(by: Any = None) -> Replace:
    """Absent tokens are others.

    Args:
        by: "mask", "unk", "pad" or "eos" of the tokenizer, another token of it, or an id; ids [N], one a token of the
            text; a function of its ids [N] to these, asked once a text. None: the first of these that the tokenizer
            has. In strings a span is one word, "[MASK]" or what is given.
    """
    return Replace(by)


def attention(positions: str = "keep") -> Attention:
    """Absent tokens are hidden from all others in every layer, so nothing of them gets anywhere.

    Args:
        positions: "keep": the others stay where they are, with a gap. "close": they move up, which is the same as
            leaving tokens out.
    """
    return Attention(positions)


def embedding(fill: str = "zero") -> Embedding:
    """Absent tokens stay, with zeros or with the mean of all embeddings (fill="mean") for their own.

    Of soft rows, as of ``methods.sobol(masks="soft")``, a token has w of its own embedding and 1 - w of that.
    """
    return Embedding(fill)


def soft(keep: Any = 0.5, seed: int = 0) -> Soft:
    """Of the embedding of an absent token each dimension stays with a probability, and is zero otherwise.

        token at place p, dimension d: kept where u[d] >= 1 - keep,  u = np.random.default_rng((seed, p)).random(D)

    What is drawn depends on the seed and the place alone, so it is the same in each version of a text, and a token that
    keeps 0.4 of its dimensions has those that it keeps at 0.3. With values w of the players for `keep`, the text of
    which nothing is kept is that of soft sufficiency (Zhao and Aletras 2023), with 1 - w of soft comprehensiveness:
    ``pysmdl.Game(text, model, players=..., removal=pysmdl.removal.soft(w)).empty_value``.

    Of soft rows a token keeps each dimension with probability 1 - (1 - w) (1 - keep), for keep=0 its weight w.

    Args:
        keep: 0 (as "embedding") to 1 (all stays); one number, or one for each player. [n].
        seed: Of what is drawn.
    """
    return Soft(keep, seed)


def _whole(ids: Ids, whole: Ids) -> TokenRows:
    lengths = np.full(len(ids), ids.shape[1], np.int64)
    places = np.broadcast_to(np.arange(ids.shape[1], dtype=np.int64), ids.shape)
    return TokenRows(ids, np.ones(ids.shape, bool), places, lengths, lengths, whole)


def _moved_up(seen: Bools, ids: Ids) -> TokenRows:
    """The tokens that are seen, one after the other."""
    first, lengths = in_front(seen)
    places = np.arange(first.shape[1], dtype=np.int64)
    there = places[None] < lengths[:, None]
    found = np.where(there, ids[first], 0)
    return TokenRows(found, there, np.broadcast_to(places, found.shape), lengths, lengths, ids)


def _by_name(by: Any) -> bool:
    return by is None or isinstance(by, str)


def _spelt(tokenizer: Any, by: str) -> int:
    """The id of a token by its text.

    Raises:
        ValueError: the tokenizer has no such token.
    """
    found = tokenizer.convert_tokens_to_ids(by)
    if found is None or (found == tokenizer.unk_token_id and by != tokenizer.unk_token):
        raise ValueError(f"by must be a token that the tokenizer has, {', '.join(TOKENS)}, or an id; got {by!r}")
    return int(found)


def _named(tokenizer: Any, by: str | None) -> int:
    """The id of a tokenizer's own token.

    Raises:
        ValueError: it has none.
    """
    for name in TOKENS if by is None else (by,):
        found = getattr(tokenizer, f"{name}_token_id", None)
        if found is not None:
            return int(found)
    raise ValueError(f"by must be a token that the tokenizer has; it has no {by or ', '.join(TOKENS)}: give an id")
