"""Spans of a text: tokens, words, sentences, lines, messages, characters, or given ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from pysmdl.errors import RegionError, one_of
from pysmdl.inputs.text import Area, Text
from pysmdl.types import Ints, Regions

Spans = list[tuple[int, int]]

SENTENCE = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[」』”’)]*|\n+")
ABBREVIATIONS = (
    *("mr", "mrs", "ms", "dr", "prof", "st", "vs", "e.g", "i.e", "fig", "vol", "al", "inc", "ltd", "co", "jr", "sr"),
    *("approx", "cf", "dept", "est", "gen", "sen", "rev"),
)


def divided(text: Text, how: Any, offsets: Spans | None = None) -> Regions | None:
    """The players of a text, by name; None where `how` says nothing of texts.

    Args:
        how: One of UNITS; spans [(start, stop)] in characters of the whole text; the pieces themselves, found one after
            the other; or a function of what is explained to either, its spans counted within it.
        offsets: Of each token its characters [start, stop), where there is a tokenizer: they are what spans weigh.

    Raises:
        ValueError: no such unit; tokens without a tokenizer.
        RegionError: spans overlap, are empty or lie outside the text, or pieces are not there.
    """
    if isinstance(how, str):
        if how not in UNITS:
            raise one_of("players", how, UNITS)
        if how == "tokens" and offsets is None:
            raise ValueError('players="tokens" needs a model with a tokenizer; a function of strings has none')
        found = [span for area in text.areas for span in _tiled(text.text, area, how, offsets or [])]
    elif callable(how):
        found = [span for area in text.areas for span in _called(text.text, area, how)]
    elif not isinstance(how, (list, tuple)):
        return None
    elif all(isinstance(each, str) for each in how):
        found = located(text.text, how)
    else:
        found = [(int(start), int(stop)) for start, stop in how]
    return of_spans(text, found, offsets)


def of_spans(text: Text, spans: Spans, offsets: Spans | None = None) -> Regions:
    """Regions of characters, named by their text; each counts for its tokens, or its characters."""
    if not spans:
        raise RegionError("spans must be at least one; got none")
    labels = np.full(len(text.text), -1, np.int32)
    for player, (start, stop) in enumerate(spans):
        if not 0 <= start < stop <= len(text.text) or (labels[start:stop] >= 0).any():
            raise RegionError(
                f"spans must be apart, start < stop <= {len(text.text)} characters; got ({start}, {stop}) as number "
                f"{player}"
            )
        labels[start:stop] = player
    names = tuple(text.text[start:stop] for start, stop in spans)
    groups = tuple(_group(text.areas, start) for start, _ in spans)
    weights = None
    if offsets is not None:
        of_token = token_players(labels, text.text, offsets)
        weights = np.bincount(of_token[of_token >= 0], minlength=len(spans)).astype(np.float64)
        weights = weights if weights.any() else None
    return Regions(labels, len(spans), names, groups if any(groups) else (), weights)


def token_players(labels: Ints, text: str, offsets: Spans) -> Ints:
    """The player of each token, -1 for always shown: that of its first character which is no space. [T]."""
    found = np.full(len(offsets), -1, np.int32)
    for token, (start, stop) in enumerate(offsets):
        if stop > start:
            piece = text[start:stop]
            found[token] = labels[start + (len(piece) - len(piece.lstrip()) if piece.strip() else 0)]
    return found


def located(text: str, pieces: Iterable[str]) -> Spans:
    """Where pieces of a text stand in it, each after the one before.

    Raises:
        RegionError: one does not.
    """
    found, last = [], 0
    for piece in pieces:
        start = text.find(piece, last)
        if start < 0 or not piece:
            raise RegionError(f"pieces must stand in the text one after the other; {piece!r} does not")
        last = start + len(piece)
        found.append((start, last))
    return found


def sentences(text: str) -> list[int]:
    """Where sentences start: after ., !, ? with a space behind, unless it ends an abbreviation or an initial; and after
    a line's end.
    """
    found = [0]
    for end in SENTENCE.finditer(text):
        words = text[: end.start()].rsplit(None, 1)
        last = words[-1].strip("(\"'“‘[") if words and end.group() == "." else ""
        if last.lower() not in ABBREVIATIONS and not (len(last) == 1 and last.isupper() and last != "I"):
            found.append(end.end())
    return found


def _words(text: str) -> list[int]:
    return [each.start() for each in re.finditer(r"\S+", text)]


def _lines(text: str) -> list[int]:
    return [each.start() for each in re.finditer(r"[^\n]+", text)]


UNITS: dict[str, Callable[[str], Iterable[int]]] = {  # where they start
    "tokens": lambda text: [0],  # by a tokenizer's offsets
    "words": _words,
    "sentences": sentences,
    "lines": _lines,
    "messages": lambda text: [0],
    "characters": lambda text: range(len(text)),
}


def _tiled(text: str, area: Area, unit: str, offsets: Spans) -> Spans:
    """Spans of an area that cover all of it: each begins with something to read, and has the spaces after it."""
    inside = text[area.start : area.stop]
    if not inside.strip():
        return []
    of_unit = [area.start + each for each in UNITS[unit](inside)]
    starts = _token_starts(area, offsets) if unit == "tokens" else of_unit
    if unit not in ("tokens", "characters"):  # whose spaces may be players themselves
        starts = [each + len(text[each : area.stop]) - len(text[each : area.stop].lstrip()) for each in starts]
    cuts = [area.start, *sorted({each for each in starts if each < area.stop})[1:], area.stop]
    return list(pairwise(cuts))


def _token_starts(area: Area, offsets: Spans) -> list[int]:
    """Where tokens start; those that share a character, as the bytes of an emoji do, are one span."""
    found, last = [], area.start
    for start, stop in offsets:
        if stop > start and area.start <= start < area.stop:
            if start >= last:
                found.append(start)
            last = max(last, stop)
    return found


def _called(text: str, area: Area, how: Callable[[str], Any]) -> Spans:
    inside = text[area.start : area.stop]
    given = list(how(inside))
    spans = located(inside, given) if all(isinstance(each, str) for each in given) else given
    return [(area.start + int(start), area.start + int(stop)) for start, stop in spans]


def _group(areas: Sequence[Area], start: int) -> str:
    return next((each.group for each in areas if each.start <= start < each.stop), "")
