"""Scorer of the words that a model answers to a picture and a prompt, teacher-forced (EAGLE)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.inputs import Input, reader_of
from pysmdl.inputs.image import InputSpec, Scale
from pysmdl.inputs.image_files import Pixels
from pysmdl.inputs.several import Several, is_several
from pysmdl.kernels import class_scores
from pysmdl.models.image_text import ImageText, Rows
from pysmdl.scorers.answer_places import described_tokens, places, told_of
from pysmdl.scorers.answer_tokens import token_reading
from pysmdl.scorers.answered import Answered, refuse_trace
from pysmdl.scorers.base import Outputs, Wanted
from pysmdl.scorers.locations import NamedBox, boxes
from pysmdl.targets import Answer, Tokens
from pysmdl.types import Floats, Reading


@dataclass(frozen=True)
class Opening:
    """What stands before an answer.

    Attributes:
        prompt: What an encoder of its own reads, or height and width of the photograph where the model asks for these;
            empty where it is neither.
        before: What the answer's first token follows on.
    """

    prompt: tuple[int, ...]
    before: tuple[int, ...]


class Speech(Protocol):
    """A model's own way with words: prompt to tokens, tokens to text, and what it says by itself.

    Attributes:
        prompt: What it is asked, if anything.
    """

    prompt: str | None

    def opening(self, pictures: Sequence[Pixels], prompt: str | None) -> Opening:
        """What stands before the answer to pictures; prompt: None for the one that it was made with."""

    def tokens_of(self, text: str) -> tuple[int, ...]:
        """The tokens of an answer that is given."""

    def said(self, x: Rows, opening: Opening) -> tuple[int, ...]:
        """The tokens that the model answers by itself, greedily, to an input [C, *grid] or several by name."""

    def pieces(self, tokens: Sequence[int]) -> list[str]:
        """The text of each token, as they follow on each other; empty of those that stand for no text."""


@dataclass(frozen=True)
class Located:
    """An answer with its place: what a row of targets is made of. Positions are those within the answer."""

    opening: Opening
    answer: tuple[int, ...]
    positions: tuple[int, ...]
    ids: tuple[int, ...]


class AnswerScorer(Answered):
    """A target is one row: how many tokens are explained, how long prompt, opening and answer are, then positions and
    ids of the explained ones, and the others' ids. A row's values are top id and probability of each explained token.

    See :func:`pysmdl.adapt`.

    Args:
        model: How the network is called.
        input: How images become its input.
        speech: Its way with words.
        answer: What it is to have answered; None: what it answers by itself to each full input.
    """

    model: ImageText
    tiled = False  # whether its input is tiles of a picture, of which a tensor does not say where they lie

    def __init__(self, model: ImageText, input: InputSpec, speech: Speech, answer: str | None = None) -> None:
        super().__init__(model, input)
        self.speech, self.given = speech, answer

    @property
    def prompt(self) -> str | None:
        """What it is asked, if anything."""
        return self.speech.prompt

    def answer(self, image: Any, kept: Any = None, baseline: Any = None, prompt: str | None = None) -> str:
        """What the model answers to an image by itself, also to one of which only a part is shown.

        Args:
            image: As :func:`pysmdl.explain` takes it, several by name too.
            kept: Where it is shown, True on the grid where its regions are: ``np.isin(e.labels, e.order[:j])`` of an
                explanation, as the paths that EAGLE's AMCR walks need. Of several images by name. None: everywhere.
            baseline: What is shown elsewhere, in model space: a number, or a tensor that expands to [C, *grid]. None:
                black.
            prompt: In place of the scorer's own.

        Raises:
            ValueError: kept is of another shape than the grid.
        """
        return "".join(self._answered(image, prompt, kept, baseline)[1])

    def _answered(
        self, image: Any, prompt: str | None, kept: Any = None, baseline: Any = None
    ) -> tuple[Input, list[str]]:
        """An image as it was read, or the first of several, and the text of each token of the answer."""
        self.ready()
        several = is_several(image)
        parts = image if several else {"": image}
        where = {} if kept is None else kept if several else {"": kept}
        if not isinstance(where, Mapping) or set(where) - set(parts):
            raise ValueError(f"kept of several images is given by name, of {', '.join(parts)}; got {kept!r}")
        reads = {name: reader_of(each).read(each, self.input, False) for name, each in parts.items()}
        rows = {name: self._shown(read, where.get(name), baseline) for name, read in reads.items()}
        opening = self._opened(reads, prompt)
        return next(iter(reads.values())), self.speech.pieces(self.speech.said(rows if several else rows[""], opening))

    def _shown(self, read: Input, kept: Any = None, baseline: Any = None) -> Tensor:
        """An input on the device, with something else in the place of what is not kept."""
        x = read.x.detach().to(self.device).to(self.dtype)
        if kept is None:
            return x
        absent = self.input.black() if baseline is None else torch.as_tensor(baseline)
        return torch.where(torch.from_numpy(_spread(kept, read)).to(x.device), x, absent.to(x))

    def boxes(self, image: Any, prompt: str | None = None) -> list[NamedBox]:
        """The boxes that the model's own answer to an image names by tokens of location, as Florence-2's to "<OD>".

        Each has its tokens, which are a target: ``explain(image, scorer, target=scorer.boxes(image)[0].tokens)``.

        Args:
            image: As :func:`pysmdl.explain` takes it.
            prompt: In place of the scorer's own.
        """
        read, pieces = self._answered(image, prompt)
        picture = _picture(read)
        return [] if picture is None else boxes(pieces, picture.shape[:2])

    def located(self, target: Any, x: Tensor, read: Input, names: Mapping[int, str] | None) -> Located:
        asked = target if isinstance(target, Answer) else Answer(target)
        several = isinstance(read, Several)
        parts = {name: part for name, (part, _) in read.parts.items()} if isinstance(read, Several) else {"": read}
        opening = self._opened(parts, asked.prompt)
        text = self.given if asked.text is None else asked.text
        rows: Rows = {name: self._shown(part) for name, part in parts.items()} if several and text is None else x
        answer = self.speech.said(rows, opening) if text is None else self.speech.tokens_of(text)
        pieces = self.speech.pieces(answer)
        if not any(pieces):
            raise ValueError("the model's answer to this input has no words: give answer=, or another prompt")
        if isinstance(asked.words, Tokens):
            positions = tuple(asked.words.positions)
            if max(positions) >= len(answer):
                raise ValueError(f"positions must be below {len(answer)}, the answer's length; got {max(positions)}")
            ids = None if asked.words.ids is None else tuple(asked.words.ids)
        else:
            positions, ids = self.meant(asked.words, pieces), None
        return Located(opening, answer, positions, tuple(answer[each] for each in positions) if ids is None else ids)

    def meant(self, words: Any, pieces: Sequence[str]) -> tuple[int, ...]:
        """Positions of the tokens that a target means in an answer, of which the text is given token by token."""
        return places(words, pieces)

    def _opened(self, parts: Mapping[str, Input], prompt: str | None) -> Opening:
        """What stands before the answer to inputs by name.

        Raises:
            ValueError: there are several where the model reads one, one is a text, or no picture where it must be one.
        """
        kind = type(self.model.network).__name__
        if len(parts) > 1 and not self.model.several:
            raise ValueError(
                f"{kind} is given one picture; got {len(parts)}, {', '.join(parts)}: several are read here by LLaVA, "
                "LLaVA-NeXT, Qwen-VL, GLM-4.1V, InternVL, Aya Vision, Idefics3, SmolVLM, Mistral 3, Gemma 3 and "
                "PaliGemma"
            )
        for name, read in parts.items():
            if read.modality == "text":
                raise ValueError(f"{kind} is given pictures, and a text as its prompt=; input {name!r} is a text")
            if self.tiled and read.frame is None:
                raise ValueError("this model sees tiles of a picture, so it must be given a picture, not a tensor")
            if read.modality == "clip":
                raise ValueError(
                    f"{kind} is given a picture, or several by name, {{'left': image, 'right': image}}; got a list of "
                    "them, which is a clip's frames"
                )
        seen = [each for each in map(_picture, parts.values()) if each is not None]
        return self.speech.opening(seen if len(seen) == len(parts) else [], prompt)

    def encode(self, target: Any, trace: Sequence[Any], scale: Scale = (1.0, 1.0)) -> NDArray[Any]:
        refuse_trace(trace)
        before, prompt = target.opening.before, target.opening.prompt
        counts = len(target.positions), len(prompt), len(before), len(target.answer)
        row = (*counts, *target.positions, *target.ids, *prompt, *before, *target.answer)
        return np.array(row, np.int32)

    def score(self, batch: Rows, targets: Tensor, wanted: Wanted) -> Outputs:
        batch = self.input.into_model(batch)
        told, ids = told_of(targets)
        logits = self.model.next_tokens(batch, told)
        scores = class_scores(logits.flatten(0, 1), ids.reshape(-1, 1), entropy=False, backend=wanted.backend)
        return Outputs(scores[:, 1:].reshape(len(targets), -1))

    def read(self, values: Floats, target: NDArray[Any]) -> Reading:
        k = target[0]
        return token_reading(values, target[4 + k : 4 + 2 * k])

    def describe(self, target: NDArray[Any]) -> Any:
        k, prompt, before, length = target[:4].tolist()
        positions, ids = target[4 : 4 + k].tolist(), target[4 + k : 4 + 2 * k].tolist()
        start = 4 + 2 * k + prompt + before
        answer = target[start : start + length].tolist()
        return described_tokens(self.speech.pieces, answer, positions, ids)


def _spread(kept: Any, read: Input) -> NDArray[Any]:
    """Where an input is shown, from where its content is."""
    grid = tuple(read.x.shape[1:]) if read.points is None or read.content is None else read.content.shape[:2]
    shown = np.asarray(kept, bool)
    if shown.shape != grid:
        raise ValueError(f"kept must be True or False on the grid {list(grid)}; got shape {list(shown.shape)}")
    return read.spread(shown)


def _picture(read: Input) -> Pixels | None:
    return read.content if read.picture is None else read.picture
