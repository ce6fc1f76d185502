"""What a text stands in: a chat template, a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from typing import Any

from pysmdl.errors import ImageError
from pysmdl.inputs.text import Area, Text, content_of, plain

SLOT = "{}"  # of a prompt, where the text stands
MARK = "\ue000"  # what no template says


def templated(given: Any, tokenizer: Any, asks: bool) -> Text:
    """A string as it is; messages through the tokenizer's chat template, of which the contents are explained.

    Args:
        asks: Whether an answer is to follow.

    Raises:
        ImageError: the template says something else than a message's content.
    """
    if isinstance(given, str) or not getattr(tokenizer, "chat_template", None):
        return plain(given)
    contents = [content_of(message) for message in given]

    def said(contents: Sequence[str]) -> str:
        messages = [{**message, "content": content} for message, content in zip(given, contents, strict=True)]
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=asks))

    text = said(contents)
    starts = _starts(text, said([MARK] * len(contents)).split(MARK), contents)
    areas = (
        Area(start, start + len(content.strip()), str(message.get("role", "")))
        for start, content, message in zip(starts, contents, given, strict=True)
    )
    return Text(text, tuple(areas), False)


def _starts(text: str, around: Sequence[str], contents: Sequence[str]) -> list[int]:
    """Where contents stand in a text: between what the template says around marks. A template that alters contents says
    other things than these; then one after the other, wherever they are found.

    Raises:
        ImageError: one is not there.
    """
    for spoken in (contents, [content.strip() for content in contents]):
        pieces = [*chain.from_iterable(zip(around, spoken, strict=False)), around[-1]]
        if len(around) == len(spoken) + 1 and "".join(pieces) == text:
            before = list(accumulate(map(len, pieces)))[:-1:2]
            return [start + len(each) - len(each.lstrip()) for start, each in zip(before, spoken, strict=True)]
    found, last = [], 0
    for content in (content.strip() for content in contents):
        start = text.find(content, last)
        if start < 0:
            raise ImageError(f"the chat template must repeat each message's content; it has no {content[:60]!r}")
        found.append(start)
        last = start + len(content)
    return found


def laid(given: Any, tokenizer: Any, prompt: str | None) -> Text:
    """A text in its prompt, and in the chat template, if there is one."""
    if not isinstance(given, str):
        if prompt is not None:
            raise ValueError("prompt is for a text; messages say themselves what is asked")
        return templated(given, tokenizer, True)
    before, _, behind = (prompt or SLOT).partition(SLOT)
    whole = before + given + behind
    content = whole.strip()
    found = Text(content, (Area(0, len(content)),))
    if getattr(tokenizer, "chat_template", None):
        found = templated([{"role": "user", "content": content}], tokenizer, True)
    said = found.areas[0]
    start = said.start + len(before) - (len(whole) - len(whole.lstrip()))
    return Text(found.text, (Area(max(start, said.start), min(start + len(given), said.stop)),), found.special)
