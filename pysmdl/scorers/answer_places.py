"""Where the words of an answer are: tokens of a text, and places in rows of targets."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from itertools import takewhile
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pysmdl.models.image_text import Told

LISTED = 40  # words of an answer that an error names
BOUNDS = r"(?<!\w)", r"(?!\w)"


class Begun(str):
    """The text of a token that ends no character: the first bytes of an emoji, or a space that is not written."""


def places(words: Any, pieces: Sequence[str]) -> tuple[int, ...]:
    """Positions of the tokens that some words of an answer are made of: of its text by its first occurrence as whole
    words, of a slice of its characters, or all that stand for text.

    Raises:
        ValueError: the answer has no such words; the message has those that it has.
    """
    text, ends = "".join(pieces), np.cumsum([len(each) for each in pieces])
    stops = [int(end) + isinstance(piece, Begun) for end, piece in zip(ends, pieces, strict=True)]
    spoken = [position for position, piece in enumerate(pieces) if piece or isinstance(piece, Begun)]
    if words is None or words == "all":
        return tuple(spoken)
    if isinstance(words, slice):
        start, stop, _ = slice(words.start, words.stop).indices(len(text))
    elif (isinstance(words, str) and words.strip()) or type(words) is int:  # a number that the answer names
        start, stop = _found(str(words).strip(), text)
    else:
        raise ValueError(
            f"target must be words of the answer, a slice of its characters, pysmdl.Tokens, pysmdl.Answer, or None for "
            f"all of it; got {words!r}"
        )
    chosen = tuple(p for p in spoken if stops[p] > start and ends[p] - len(pieces[p]) < stop)
    if not chosen:
        listed = re.findall(r"\w[\w'-]*", text)
        shown = ", ".join(listed[:LISTED]) + (", ..." if len(listed) > LISTED else "")
        raise ValueError(f"the answer has no {words!r}; it is {text.strip()!r}, of the words {shown}")
    return chosen


def _found(words: str, text: str) -> tuple[int, int]:
    """Where words are in a text, not as a part of longer ones; anyhow written, if not as they are. (0, 0): nowhere."""
    before, after = (
        "" if re.match(r"\W", end) else bound for end, bound in zip((words[0], words[-1]), BOUNDS, strict=True)
    )
    pattern = f"{before}{re.escape(words)}{after}"
    found = re.search(pattern, text) or re.search(pattern, text, re.IGNORECASE)
    return found.span() if found else (0, 0)


def pieces_of(tokenizer: Any, silent: Collection[int], tokens: Sequence[int]) -> list[str]:
    """The text that each token adds to that of those before it, which joins to the whole; empty for silent ones, which
    begin, end and fill, and :class:`Begun` where a later one ends the character.
    """
    shown, texts = [], []
    for token in tokens:
        shown += [] if token in silent else [token]
        texts.append(tokenizer.decode(shown, clean_up_tokenization_spaces=False))
    whole, found, last = texts[-1] if texts else "", list[str](), 0
    for token, text in zip(tokens, texts, strict=True):
        stop = max(last, sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text, whole, strict=False))))
        found.append(whole[last:stop] or ("" if token in silent else Begun()))
        last = stop
    return found


def described_tokens(
    pieces: Callable[[Sequence[int]], list[str]], answer: Sequence[int], positions: Sequence[int], ids: Sequence[int]
) -> dict[str, Any]:
    """Tokens of an answer as results show them, by the text of each."""
    texts = pieces(answer)
    own = [texts[p] if answer[p] == token else pieces([token])[0] for p, token in zip(positions, ids, strict=True)]
    return {"positions": list(positions), "ids": list(ids), "texts": own, "answer": "".join(texts)}


def told_of(targets: Tensor) -> tuple[Told, Tensor]:
    """What the model is told by rows of targets, and the ids [B, k] whose probabilities are wanted; short rows repeat
    their last entry.
    """
    targets = torch.where(targets[:, :1] == 0, targets[:1], targets).long()  # rows of padding do as the first
    k, prompt, before, answer = targets[:, :4].T[:, :, None]
    most, longest, whole = (int(each.max()) for each in (k, prompt, before + answer))

    def part(start: Tensor, length: Tensor, width: int) -> Tensor:
        steps = torch.arange(width, device=targets.device)[None]
        return targets.gather(1, start + torch.minimum(steps, length - 1).clamp(min=0))

    start = torch.full_like(k, 4)
    positions, ids = part(start, k, most), part(start + k, k, most)
    prompts = part(start + 2 * k, prompt, longest) if longest else None
    tokens = part(start + 2 * k + prompt, before + answer, whole)
    return Told(tokens, before + positions - 1, prompts, prompt[:, 0], before[:, 0]), ids.int()
