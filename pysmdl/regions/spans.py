"""Spans of a text: tokens, words, sentences, lines, messages, characters, or given ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from pysmdl.errors import RegionError, one_of
from pysmdl.inputs.text import Area, Text
from pysmdl.types import Ints, Regions

Spans = list[tuple[int, int]]
WORD = 64  # characters around a dot that tell whether it ends a sentence

SENTENCE = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[」』”’)]*|\n+")
ABBREVIATIONS = (
    *("mr", "mrs", "ms", "dr", "prof", "st", "vs", "e.g", "i.e", "fig", "vol", "al", "inc", "ltd", "co", "jr", "sr"),
    *("approx", "cf", "dept", "est", "gen", "sen", "rev", "sec", "eq", "eds"),
    *("jan", "feb", "aug", "sept", "oct", "nov", "dec"),
)
INITIALS = re.compile(r"(?:[A-Z]\.)*[A-HJ-Z]")  # J. Doe, the U.S. Army; "I" is a word
SHORT = re.compile(r"\w+(?:\.\w+)+")  # p.m., Ph.D., z.B.: they end a sentence before a capital
NUMBERED = re.compile(r"(?:^|\n)[ \t]*\(?(?:\d+|[a-zA-Z])\.$")  # an item of a list


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
    elif getattr(how, "ndim", 0) == 2 and tuple(how.shape)[1] == 2 and "bool" not in str(how.dtype):
        found = [_pair(each) for each in how]
    elif not isinstance(how, (list, tuple)):
        return None
    elif all(isinstance(each, str) for each in how):
        found = located(text.text, how)
    else:
        found = [_pair(each) for each in how]
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


def named_by_text(regions: Regions, characters: Ints) -> Regions:
    """Players of a text that have no names, as those of a label map, called by their characters."""
    if regions.names or regions.labels.shape != characters.shape:
        return regions
    names = ("".join(map(chr, characters[regions.labels == player])) for player in range(regions.n))
    return replace(regions, names=tuple(names))


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
    """Where sentences start: after ., !, ? with a space behind, unless it ends an abbreviation, initials or the number
    of a list's item; and after a line's end.
    """
    return [0, *(end.end() for end in SENTENCE.finditer(text) if end.group() != "." or _ends(text, end.start()))]


def _ends(text: str, dot: int) -> bool:
    """Whether a dot with a space behind ends a sentence."""
    before = text[max(0, dot - WORD) : dot + 1]
    last = before[:-1].rsplit(None, 1)[-1].strip("(\"'“‘[") if before[:-1].strip() else ""
    if last.lower() in ABBREVIATIONS or INITIALS.fullmatch(last) or NUMBERED.search(before):
        return False
    following = text[dot + 1 : dot + WORD].lstrip()[:1]
    return not (SHORT.fullmatch(last) and following.islower())


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
    return [(area.start + start, area.start + stop) for start, stop in map(_pair, spans)]


def _pair(given: Any) -> tuple[int, int]:
    try:
        start, stop = map(int, given)
    except (TypeError, ValueError):
        raise RegionError(f"spans must be pairs (start, stop) of characters; got {given!r}") from None
    return start, stop


def _group(areas: Sequence[Area], start: int) -> str:
    return next((each.group for each in areas if each.start <= start < each.stop), "")
