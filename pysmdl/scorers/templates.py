"""What a text stands in: a chat template, a prompt."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from pysmdl.errors import ImageError
from pysmdl.inputs.text import Area, Text, contents_of, plain

SLOT = "{}"  # of a prompt, where the text stands
MARK = "\ue000"  # what no template says
Parts = Sequence[Sequence[str]]  # of what each message says
Form = Callable[[Mapping[str, Any], Sequence[str]], Any]  # a message's content, of its parts
Said = Callable[[Form, Parts], str]  # through the template


def templated(given: Any, tokenizer: Any, asks: bool) -> Text:
    """A string as it is; messages through the tokenizer's chat template, of which the contents are explained.

    Parts of a message go in as parts where the template takes them so, else as lines of a string.

    Args:
        asks: Whether an answer is to follow.

    Raises:
        ImageError: the template refuses the messages, or says something else than a message's content.
    """
    if isinstance(given, str) or not getattr(tokenizer, "chat_template", None):
        return plain(given)
    parts = [contents_of(message) for message in given]

    def said(form: Form, parts: Parts) -> str:
        messages = [{**message, "content": form(message, each)} for message, each in zip(given, parts, strict=True)]
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=asks))

    laid_out = (_laid_out(said, form, parts) for form in (_as_given, _joined, _listed))
    text, places = next((found for found in laid_out if found), None) or _altered(said, parts)
    areas = (
        Area(start, stop, str(message.get("role", "")))
        for (start, stop), message in zip(places, given, strict=True)
        if stop > start
    )
    return Text(text, tuple(areas), False)


def _as_given(message: Mapping[str, Any], parts: Sequence[str]) -> Any:
    return _listed(message, parts) if isinstance(message.get("content"), (list, tuple)) else _joined(message, parts)


def _joined(message: Mapping[str, Any], parts: Sequence[str]) -> str:
    return "\n".join(parts)


def _listed(message: Mapping[str, Any], parts: Sequence[str]) -> list[dict[str, str]]:
    return [{"type": "text", "text": each} for each in parts]


def _laid_out(said: Said, form: Form, parts: Parts) -> tuple[str, list[tuple[int, int]]] | None:
    """What a template makes of messages in a form, and where the text of each stands: what the template says around
    marks in their place tells. None: it takes none of that form, or says other things with marks.
    """
    try:
        text = said(form, parts)
        around = said(form, [[MARK if part.strip() else part for part in each] for each in parts]).split(MARK)
    except Exception:  # a template may fail in any way on what it does not know
        return None
    contents = [part for each in parts for part in each if part.strip()]
    if len(around) != len(contents) + 1:
        return None
    inside = [f"({re.escape(each)}|{re.escape(each.strip())})" for each in contents]
    pattern = "".join(re.escape(before) + each for before, each in zip(around, [*inside, ""], strict=True))
    found = re.fullmatch(pattern, text)
    if found is None:
        return None
    counts = [sum(bool(part.strip()) for part in each) for each in parts]
    ends = list(accumulate(counts))
    return text, [_trimmed(text, found, end - count + 1, end) for count, end in zip(counts, ends, strict=True)]


def _trimmed(text: str, found: re.Match[str], first: int, last: int) -> tuple[int, int]:
    """From the first of some groups to the last, without spaces around; (0, 0) of none."""
    if last < first:
        return 0, 0
    start, stop = found.start(first), found.end(last)
    inside = text[start:stop]
    return start + len(inside) - len(inside.lstrip()), stop - len(inside) + len(inside.rstrip())


def _altered(said: Said, parts: Parts) -> tuple[str, list[tuple[int, int]]]:
    """Of a template that alters what messages say otherwise: wherever their contents stand, one after the other.

    Raises:
        ImageError: one is not there, or the template refuses the messages.
    """
    try:
        text = said(_joined, parts)
    except Exception as error:
        raise ImageError(f"the tokenizer's chat template refuses these messages: {error}") from error
    found, last = [], 0
    for content in ("\n".join(each).strip() for each in parts):
        start = text.find(content, last)
        if start < 0:
            raise ImageError(f"the chat template must repeat each message's content; it has no {content[:60]!r}")
        last = start + len(content)
        found.append((start, last))
    return text, found


def laid(given: Any, tokenizer: Any, prompt: str | None) -> Text:
    """A text in its prompt, and in the chat template, if there is one."""
    if not isinstance(given, str):
        if prompt is not None:
            raise ValueError("prompt is for a text; messages say themselves what is asked")
        return templated(given, tokenizer, True)
    before, _, behind = (prompt or SLOT).partition(SLOT)
    whole = before + given + behind
    if not getattr(tokenizer, "chat_template", None):
        return Text(whole, (Area(len(before), len(before) + len(given)),))
    found = templated([{"role": "user", "content": whole}], tokenizer, True)
    if not found.areas:  # nothing but spaces
        return found
    said = found.areas[0]
    start = said.start + len(before) - (len(whole) - len(whole.lstrip()))
    return Text(found.text, (Area(max(start, said.start), min(start + len(given), said.stop)),), found.special)
