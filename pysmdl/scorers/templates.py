"""What a text stands in: a chat template, a prompt."""

from __future__ import annotations

from typing import Any

from pysmdl.errors import ImageError
from pysmdl.inputs.text import Area, Text, content_of, plain

SLOT = "{}"  # of a prompt, where the text stands


def templated(given: Any, tokenizer: Any, asks: bool) -> Text:
    """A string as it is; messages through the tokenizer's chat template, of which the contents are explained.

    Args:
        asks: Whether an answer is to follow.

    Raises:
        ImageError: the template says something else than a message's content.
    """
    if isinstance(given, str) or not getattr(tokenizer, "chat_template", None):
        return plain(given)
    said: str = tokenizer.apply_chat_template(given, tokenize=False, add_generation_prompt=asks)
    areas, last = [], 0
    for message in given:
        content = content_of(message).strip()
        start = said.find(content, last)
        if start < 0:
            raise ImageError(f"the chat template must repeat each message's content; it has no {content[:60]!r}")
        last = start + len(content)
        areas.append(Area(start, last, str(message.get("role", ""))))
    return Text(said, tuple(areas), False)


def laid(given: Any, tokenizer: Any, prompt: str | None) -> Text:
    """A text in its prompt, and in the chat template, if there is one."""
    if not isinstance(given, str):
        if prompt is not None:
            raise ValueError("prompt is for a text; messages say themselves what is asked")
        return templated(given, tokenizer, True)
    before, _, behind = (prompt or SLOT).partition(SLOT)
    content = (before + given + behind).strip()
    found = Text(content, (Area(0, len(content)),))
    if getattr(tokenizer, "chat_template", None):
        found = templated([{"role": "user", "content": content}], tokenizer, True)
    start = found.areas[0].start + len(before.lstrip())
    inside = given if before.strip() or behind.strip() else given.strip()
    return Text(found.text, (Area(start, min(start + len(inside), found.areas[0].stop)),), found.special)
