"""Texts as inputs: a string, a file, or a chat as a list of messages, on a grid of characters."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pysmdl.errors import ImageError
from pysmdl.inputs.base import Input
from pysmdl.inputs.image import InputSpec
from pysmdl.types import Regions

CALLS = ("tool_calls", "function_call")  # of messages


@dataclass(frozen=True)
class Area:
    """A part of a text that is divided into players: characters start to stop; its group, such as who said it."""

    start: int
    stop: int
    group: str = ""


@dataclass(frozen=True)
class Text:
    """All that a model is given to read, and what of it is explained.

    Attributes:
        text: Template, question and all.
        areas: What is divided; all else is always shown.
        special: Whether the tokenizer is to add what it begins and ends with.
    """

    text: str
    areas: tuple[Area, ...]
    special: bool = True


@dataclass(frozen=True)
class TextInput(Input):
    """A text as it was read: its x are the numbers of its characters."""

    text: Text = Text("", ())


class TextReader:
    """Strings as they are, :class:`pathlib.Path` as a file of UTF-8, messages, given or in a .json, by the scorer's
    template.

    Args:
        laid: Makes the whole text of what was given, a string or messages.
        divide: Makes the players of a text by what `players` says; None where it says nothing of texts.
        divided: How it is divided where nobody says.
    """

    def __init__(
        self, laid: Callable[[Any], Text], divide: Callable[[Text, Any], Regions | None], divided: str = "words"
    ) -> None:
        self._laid, self._divide, self._divided = laid, divide, divided

    def takes(self, given: Any) -> bool:
        return True

    def text(self, given: Any) -> Text:
        """The whole text.

        Raises:
            ImageError: it is none, or nothing of it is to be explained.
        """
        if isinstance(given, os.PathLike):
            given = _content_of_file(Path(given))
        if isinstance(given, Mapping):  # a row of a file with such a column
            given = next((given[name] for name in ("text", "messages") if name in given), given)
        if not isinstance(given, str) and not is_chat(given):
            what = f"a dict of {', '.join(map(str, given))}" if isinstance(given, Mapping) else type(given).__name__
            raise ImageError(
                f"a text must be a string, a Path to a file, or a list of messages with role and content; got {what}"
            )
        odd = None if isinstance(given, str) else next((each for each in given if "role" not in each), None)
        if odd is not None:
            raise ImageError(f"a message must have a role and its content; got {', '.join(map(str, odd))}")
        found = self._laid(given)
        if not any(found.text[each.start : each.stop].strip() for each in found.areas):
            raise ImageError("the text is empty: there is nothing to explain")
        return found

    def read(self, given: Any, spec: InputSpec, computed: bool) -> TextInput:
        text = self.text(given)
        points = code_points(text.text)
        return TextInput(
            torch.from_numpy(points.copy()), None, None, modality="text", shown=points, divided=self._divided,
            divide=partial(self._divide, text), text=text,
        )  # fmt: skip

    def lend(self, given: Any) -> tuple[Any, bool]:
        return copy.deepcopy(given), True


def _content_of_file(path: Path) -> Any:
    """A file's text, or, of a .json, the messages that it holds.

    Raises:
        ImageError: it is not written in UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ImageError(f"{path} must be a text in UTF-8: {error.reason} at byte {error.start}") from None
    if path.suffix.lower() != ".json":
        return text
    try:
        held = json.loads(text)
    except ValueError:
        return text
    return held if is_chat(held) and all("role" in each for each in held) else text


def is_chat(given: Any) -> bool:
    """Whether it is a list of messages."""
    return isinstance(given, (list, tuple)) and len(given) > 0 and all(isinstance(each, Mapping) for each in given)


def code_points(text: str) -> NDArray[np.int32]:
    """A number for each character. [characters]."""
    return np.array([ord(each) for each in text], np.int32)


def plain(given: Any) -> Text:
    """A string as it is; of messages what each says, a paragraph each.

    Raises:
        ImageError: the content of a message is no text.
    """
    if isinstance(given, str):
        return Text(given, (Area(0, len(given)),))
    areas, text = [], ""
    for message in given:
        content = content_of(message)
        text += "\n\n" if text else ""
        areas.append(Area(len(text), len(text) + len(content), str(message.get("role", ""))))
        text += content
    return Text(text, tuple(areas))


def content_of(message: Mapping[str, Any]) -> str:
    """What a message says: its parts, a line each; of a call of a tool, which may say nothing, "".

    Raises:
        ImageError: as of :func:`contents_of`.
    """
    return "\n".join(contents_of(message))


def contents_of(message: Mapping[str, Any]) -> list[str]:
    """The parts of what a message says: a string alone, or each {"type": "text", "text": ...}; of a call of a tool,
    which may say nothing, none.

    Raises:
        ImageError: it is none of these.
    """
    content = message.get("content")
    if isinstance(content, str):
        return [content]
    if content is None and any(message.get(name) for name in CALLS):
        return []
    if not isinstance(content, (list, tuple)) or not content:
        raise ImageError(f"a message must have a content that is a string, or parts of text; got {content!r}")
    return list(map(_part, content))


def _part(given: Any) -> str:
    text = given.get("text") if isinstance(given, Mapping) else given
    if not isinstance(text, str):
        kind = given.get("type") if isinstance(given, Mapping) else type(given).__name__
        raise ImageError(
            f'a part of a message must be {{"type": "text", "text": ...}} for a model of texts; got {kind!r}'
        )
    return text
