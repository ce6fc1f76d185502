"""Scorer of what a causal language model says after a text, teacher-forced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pysmdl.errors import whole_number
from pysmdl.inputs import Input
from pysmdl.inputs.image import InputSpec, Scale
from pysmdl.inputs.text import Text, TextInput
from pysmdl.kernels import class_scores
from pysmdl.models.heeding import reads_ahead
from pysmdl.models.language import LanguageModel
from pysmdl.models.text import Ids, TokenBatch, TokenRows, of_length, rows_of_ids
from pysmdl.scorers.answer_places import described_tokens, pieces_of, places
from pysmdl.scorers.answer_tokens import token_reading
from pysmdl.scorers.answered import Answered, refuse_trace
from pysmdl.scorers.base import Outputs, Wanted
from pysmdl.scorers.head import bounded, checked, compares, read_off, reduced
from pysmdl.scorers.templates import SLOT, laid
from pysmdl.scorers.texts import UNREAD, OfTexts
from pysmdl.targets import Answer, Tokens
from pysmdl.types import Floats, Reading

LONGEST = 64  # tokens of an answer, where the model's generation_config has no max_new_tokens
STARTS = ("bos_token_id", "eos_token_id", "pad_token_id")


@dataclass(frozen=True)
class Said:
    """An answer, the positions that are explained and the ids there, and the whole text's score."""

    answer: tuple[int, ...]
    positions: tuple[int, ...]
    ids: tuple[int, ...]
    whole: float = 0.0


class LanguageScorer(Answered, OfTexts):
    """A target is one row: how many tokens are explained, how many the answer has, the whole text's score by its bits,
    then positions and ids of the explained ones, and the answer's ids. A row's values are top id and number of each.

    See :func:`language_model`.
    """

    prompt: str | None = None
    among: int = 1

    def __init__(self, model: LanguageModel, answer: str | None, head: Any) -> None:
        super().__init__(model, InputSpec())
        self.given, self.head = answer, None if head is None else checked(head)

    @property
    def language(self) -> LanguageModel:
        """The model."""
        return cast(LanguageModel, self.model)

    def answer(self, text: Any) -> str:
        """What the model says by itself after a text or messages, greedily."""
        self.ready()
        found = self._tokens(self.reader.text(text))
        return "".join(self._pieces(self._generated(found)))

    def said_after(self, rows: TokenRows) -> str:
        """What the model says by itself after a row, greedily: after each token the likeliest one, as it is scored.

        Args:
            rows: One row of a text.
        """
        said: list[int] = []
        while len(said) < self._longest():
            found = int(self.language.next_tokens(rows, said, (len(said),))[0, 0].argmax())
            if found in self._silent():
                break
            said.append(found)
        return "".join(self._pieces(said))

    def located(self, target: Any, x: Tensor, read: Input, names: Mapping[int, str] | None) -> Said:
        asked = target if isinstance(target, Answer) else Answer(target)
        if asked.prompt is not None:
            raise ValueError("prompt is the text itself here, or language_model(prompt=); drop it from the target")
        ids = self._tokens(cast(TextInput, read).text)
        text = self.given if asked.text is None else asked.text
        answer = self._generated(ids) if text is None else self._given(text)
        pieces = self._pieces(answer)
        if not any(pieces):
            raise ValueError("the model's answer to this text has no words: give answer=, or another text")
        positions, own = _places(asked.words, pieces, answer)
        return Said(answer, positions, own, self._whole(ids, answer, positions, own))

    def encode(self, target: Any, trace: Sequence[Any], scale: Scale = (1.0, 1.0)) -> NDArray[Any]:
        refuse_trace(trace)
        whole = int(np.float32(target.whole).view(np.int32))
        return np.array(
            (len(target.positions), len(target.answer), whole, *target.positions, *target.ids, *target.answer), np.int32
        )

    def score(self, batch: Any, targets: Tensor, wanted: Wanted) -> Outputs:
        if not isinstance(batch, TokenBatch):
            raise ValueError(UNREAD)
        found, first = [], 0
        for part in batch.parts:
            said = _said(targets[first].cpu().numpy())
            found.append(self._values(part, said, wanted.backend))
            first += len(part)
        width = max(each.shape[1] for each in found)
        return Outputs(torch.cat([nn.functional.pad(each, (0, width - each.shape[1])) for each in found]))

    def read(self, values: Floats, target: NDArray[Any]) -> Reading:
        said = _said(target)
        read = token_reading(values, np.array(said.ids))
        if self.head is None:
            return read
        whole = None if bounded(self.head) else said.whole
        return Reading(reduced(self.head, read["tokens"]), read.decided, others=read.others, whole=whole)

    def describe(self, target: NDArray[Any]) -> Any:
        said = _said(target)
        return described_tokens(self._pieces, said.answer, said.positions, said.ids)

    def _values(self, rows: Any, said: Said, backend: str) -> Tensor:
        """Top id and number of each explained token, in turn. [b, 2 k]."""
        logits = self.language.next_tokens(rows, said.answer, said.positions)
        raw, ids = (
            logits.flatten(0, 1),
            torch.tensor(said.ids, dtype=torch.int32, device=logits.device).repeat(len(logits)),
        )
        if self.head is None:
            found = class_scores(raw, ids[:, None], entropy=False, backend=backend)[:, 1:]
        else:
            whole = logits[:1]
            if compares(self.head):
                whole = self.language.whole_logits(rows.whole, said.answer, said.positions)
            reference = whole.float().expand(len(logits), -1, -1).flatten(0, 1)
            numbers = read_off(self.head, raw.float(), reference, ids.long(), "logits")
            found = torch.stack((raw.argmax(1).float(), numbers), 1)
        if self.among > 1:
            leads = (raw > raw.gather(1, ids.long()[:, None])).sum(1) < self.among
            found[:, 0] = torch.where(leads, ids.float(), found[:, 0])
        return found.reshape(len(logits), -1)

    def _whole(self, ids: Ids, answer: tuple[int, ...], positions: tuple[int, ...], own: tuple[int, ...]) -> float:
        """The whole text's score, where scores have no bounds."""
        if self.head is None or bounded(self.head):
            return 0.0
        with torch.no_grad():
            values = self._values(rows_of_ids([ids.tolist()], ids), Said(answer, positions, own), "auto")
        return float(reduced(self.head, values[:, 1::2].cpu().numpy())[0])

    def _tokens(self, text: Text) -> Ids:
        return self._tokenized(text.text, text.special).ids

    def _given(self, text: str) -> tuple[int, ...]:
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"answer must be a text, or None for the model's own; got {text!r}")
        return tuple(self.ids_of(text, False))

    def _generated(self, ids: Ids) -> tuple[int, ...]:
        network = self.language.network
        given = torch.from_numpy(ids[None].copy()).to(self.device)
        with torch.no_grad(), of_length(network, len(ids) + self._longest()):
            found = network.generate(
                input_ids=given,
                attention_mask=torch.ones_like(given),
                do_sample=False,
                num_beams=1,
                max_new_tokens=self._longest(),
            )
        new = found[0, len(ids) :].tolist()
        while new and new[-1] in self._silent():
            new.pop()
        return tuple(new)

    def _longest(self) -> int:
        return getattr(self.language.network.generation_config, "max_new_tokens", None) or LONGEST

    def _pieces(self, tokens: Sequence[int]) -> list[str]:
        return pieces_of(self.tokenizer, self._silent(), tokens)

    def _silent(self) -> set[int]:
        found = [
            getattr(of, name, None)
            for of in (self.tokenizer, self.language.network.generation_config)
            for name in STARTS
        ]
        return {each for one in found for each in (one if isinstance(one, list) else [one]) if each is not None}


def language_model(
    model: Any,
    tokenizer: Any,
    *,
    prompt: str | None = None,
    answer: str | None = None,
    head: Any = None,
    reuse: bool = True,
    among: int = 1,
    device: str | torch.device | None = None,
) -> LanguageScorer:
    """A causal language model of transformers: how probable its answer to a text stays without parts of the text.

    A string is said as a user's message where the tokenizer has a chat template, messages go through it as they are.
    Targets are words of the answer: ``target="Paris"``, a slice of its characters, :class:`pysmdl.Tokens` by position,
    :class:`pysmdl.Answer`, None for all.

    Args:
        model: The network, in evaluation mode.
        tokenizer: Its tokenizer, a fast one.
        prompt: What the text stands in, at "{}": "{}\\nQuestion: where is it?"; that is always shown. None: nothing.
        answer: What is explained, teacher-forced; None: what the model says by itself to each whole text, greedily.
        head: What is read off each token's logits in place of its probability, as in :func:`pysmdl.scorers.tokens`:
            ``heads.sequence("log_sum")``, ``heads.jsd()``, ``heads.kl()``.
        reuse: Whether what versions of a text have in common at their beginning is computed once, and what nobody
            attends to not at all.
        among: A token of the answer counts as said where it is among so many likeliest: 1, what the model says; 3
            for ReAGent. By that is told what is decided, is enough and flips.
        device: As in :func:`pysmdl.scorers.classifier`.

    Raises:
        TypeError: the model is no module, one with an encoder, or one that looks ahead.
        ValueError: it is in training mode; a prompt without "{}".
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a causal model of transformers; got {type(model).__name__}")
    if getattr(model.config, "is_encoder_decoder", False):
        raise TypeError(
            f"model must be a causal one, which answers on a text; {type(model).__name__} reads it with an encoder: "
            "explain a function of strings, pysmdl.scorers.string(function)"
        )
    if prompt is not None and SLOT not in prompt:
        raise ValueError(f'prompt must have "{SLOT}" where the text stands; got {prompt!r}')
    starts = (getattr(of, name, None) for of in (tokenizer, model.config) for name in STARTS)
    start = next((each for each in starts if isinstance(each, int)), 0)
    network = LanguageModel(model, start, reuse, device)
    if reads_ahead(model, network.device):
        raise TypeError(
            f"model must be a causal one; {type(model).__name__} looks ahead, at the answer that it is to give: load "
            "it with is_decoder=True if it was trained so"
        )
    scorer = LanguageScorer(network, answer, head)
    scorer.prompt, scorer.among = prompt, whole_number("among", among, 1)
    scorer.read_texts(tokenizer, partial(laid, tokenizer=tokenizer, prompt=prompt))
    return scorer


def _places(words: Any, pieces: Sequence[str], answer: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Positions that are explained, and the ids there."""
    if not isinstance(words, Tokens):
        positions = places(words, pieces)
        return positions, tuple(answer[each] for each in positions)
    positions = tuple(words.positions)
    if max(positions) >= len(answer):
        raise ValueError(f"positions must be below {len(answer)}, the answer's length; got {max(positions)}")
    return positions, tuple(answer[each] for each in positions) if words.ids is None else tuple(words.ids)


def _said(target: NDArray[Any]) -> Said:
    """A row of targets, read back."""
    k, length = target[:2].tolist()
    positions, ids, answer = (tuple(each.tolist()) for each in np.split(target[3 : 3 + 2 * k + length], (k, 2 * k)))
    return Said(answer, positions, ids, float(target[2:3].view(np.float32)[0]))
