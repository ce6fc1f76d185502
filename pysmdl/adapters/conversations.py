"""Prompt and answer as a model of transformers has them: its processor's own tokens, its own generate()."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pysmdl.inputs.image_files import Pixels
from pysmdl.models.image_text import ImageText, Rows, Told
from pysmdl.scorers.answer_places import pieces_of
from pysmdl.scorers.answers import Opening

LONGEST = 64  # tokens of an answer, where the model's generation_config has no max_new_tokens
STARTS = ("bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id")


class Conversation:
    """The words of one model, as an :class:`AnswerScorer` asks for them.

    Args:
        model: How the network is called.
        processor: Hugging Face's, with an image processor and a tokenizer.
        tokenizer: Of prompt and answer.
        prompt: What is asked, in words or, where it has the family's own image token, as it is.
        marks: Whether the prompt has to hold the image token, where there is no chat template to put it there.
        begins: What each answer follows on; None: a decoder's start.
        cuts: Whether its generate() leaves out the last token that it is given, as BLIP's does.
        between: What stands between the image token and the prompt, where no chat template says it.
    """

    def __init__(
        self,
        model: ImageText,
        processor: Any,
        tokenizer: Any,
        prompt: str | None,
        marks: bool,
        begins: tuple[int, ...] | None = None,
        cuts: bool = False,
        between: str = "\n",
    ) -> None:
        self.begins, self.cuts, self.between = begins, cuts, between
        self.model, self.processor, self.tokenizer, self.prompt = model, processor, tokenizer, prompt
        self.marks = marks
        self.settings = model.network.generation_config
        ends = [getattr(of, name, None) for of in (tokenizer, self.settings) for name in STARTS]
        listed = [each for end in ends for each in (end if isinstance(end, list) else [end])]
        self.silent = {each for each in (*listed, self._start()) if each is not None}

    def opening(self, pictures: Sequence[Pixels], prompt: str | None) -> Opening:
        """What stands before the answer, by the processor's own tokens of these pictures and prompt.

        Raises:
            ValueError: there is no prompt where the family needs one, or no picture, or the prompt has another number
                of image tokens.
        """
        asked = self.prompt if prompt is None else prompt
        if self.begins is not None or not self.model.asked:
            return Opening((), self._decoded(asked))
        if asked is None:
            raise ValueError('an image-to-text model needs a prompt: give prompt="What is in the picture?"')
        if not pictures:
            raise ValueError(
                "an image-to-text model needs a picture, not a tensor that is none: its prompt depends on it"
            )
        tokens = self._tokens(pictures, self._worded(asked, len(pictures)))
        if self.model.encodes:
            return Opening(tokens, (self._start() or 0,))
        sizes = tuple(side for each in pictures for side in each.shape[:2])
        return Opening(sizes if self.model.sized else (), tokens)

    def tokens_of(self, text: str) -> tuple[int, ...]:
        """Tokens of a given answer.

        Raises:
            ValueError: it is no text, or an empty one.
        """
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"answer must be a text, or None for the model's own; got {text!r}")
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def said(self, x: Rows, opening: Opening) -> tuple[int, ...]:
        """What the model generates of one input [C, *grid], or several by name, greedily, without what ends it."""
        most = getattr(self.settings, "max_new_tokens", None) or LONGEST
        row: Rows = x[None].clone() if isinstance(x, Tensor) else {name: own[None].clone() for name, own in x.items()}
        given = self.model.given(row, _told(opening, self.model.device))
        if self.marks:  # else it takes tokens for padding that are as those which fill
            given["attention_mask"] = torch.ones_like(given["input_ids"])
        if self.cuts:
            given["input_ids"] = torch.nn.functional.pad(given["input_ids"], (0, 1))
        with torch.no_grad():
            found = self.model.network.generate(**given, do_sample=False, num_beams=1, max_new_tokens=most)[0].tolist()
        before = len(opening.before)
        new = found[before:] if tuple(found[:before]) == opening.before else found
        while new and new[-1] in self.silent:
            new.pop()
        return tuple(new)

    def pieces(self, tokens: Sequence[int]) -> list[str]:
        """The text that each token adds to that of those before it; empty for what begins, ends and fills answers."""
        return pieces_of(self.tokenizer, self.silent, tokens)

    def _worded(self, prompt: str, count: int) -> str:
        """The prompt as the model was trained on it: in the processor's chat template, if it has one.

        Raises:
            ValueError: it marks the places of more or fewer pictures than there are.
        """
        mark = _mark(self.processor)
        if mark and mark in prompt:
            if self.marks and prompt.count(mark) != count:
                raise ValueError(
                    f"prompt must have an image token {mark} for each picture, of which there "
                    f"{'is 1' if count == 1 else f'are {count}'}; it has {prompt.count(mark)}: several pictures are "
                    'given by name, {"left": image, "right": image}, in the order in which the prompt has them'
                )
            return prompt
        if getattr(self.processor, "chat_template", None):
            content = [*[{"type": "image"}] * count, {"type": "text", "text": prompt}]
            said = [{"role": "user", "content": content}]
            return str(self.processor.apply_chat_template(said, add_generation_prompt=True))
        return f"{(mark + self.between) * count}{prompt}" if self.marks else prompt

    def _tokens(self, pictures: Sequence[Pixels], text: str) -> tuple[int, ...]:
        from PIL import Image

        begins = getattr(self.tokenizer, "bos_token", None)
        once = {"add_special_tokens": False} if begins and text.startswith(begins) else {}
        images: Any = [Image.fromarray(np.asarray(each)) for each in pictures]
        images = images[0] if len(images) == 1 else [images]
        found = self.processor(images=images, text=[text], return_tensors="pt", **once)
        tokens = tuple(found["input_ids"][0].tolist())
        self._check_apart(tokens, len(pictures))
        return tokens

    def _check_apart(self, tokens: Sequence[int], count: int) -> None:
        """Raise ValueError where pictures touch that the network tells apart by what stands between them."""
        image = self.model.image_token
        runs = sum(one == image != before for before, one in pairwise((None, *tokens)))
        if 1 < count != runs and hasattr(getattr(self.model.network, "model", None), "get_rope_index"):
            raise ValueError(
                f"prompt must have something between its {count} image tokens, as {type(self.model.network).__name__} "
                "takes pictures that touch for one"
            )

    def _start(self) -> int | None:
        """What a decoder begins with."""
        config = self.model.network.config
        for of in (self.settings, config, getattr(config, "decoder", None), getattr(config, "text_config", None)):
            found = getattr(of, "decoder_start_token_id", None)
            if found is not None:
                return int(found)
        found = getattr(self.settings, "bos_token_id", None)
        return None if found is None else int(found)

    def _decoded(self, prompt: str | None) -> tuple[int, ...]:
        """What a decoder's answer follows on: its start, then the prompt, if any; Donut's prompts are their own."""
        asked = () if prompt is None else tuple(self.tokenizer(prompt, add_special_tokens=False)["input_ids"])
        encoder = getattr(self.model.network.config, "encoder", None)
        if self.begins is not None:
            return (*self.begins, *asked)
        start = self._start()
        if asked and ("donut" in getattr(encoder, "model_type", "") or asked[0] == start):
            return asked
        return (start or 0, *asked)


def _told(opening: Opening, device: torch.device) -> Told:
    def row(ids: Sequence[int]) -> Tensor:
        return torch.tensor([list(ids)], dtype=torch.int64, device=device)

    prompts, lengths = row(opening.prompt) if opening.prompt else None, row([len(opening.prompt)])[0]
    return Told(row(opening.before), row([0]), prompts, lengths, row([len(opening.before)])[0])


def _mark(processor: Any) -> str:
    found = getattr(processor, "image_token", "")
    return str(getattr(found, "content", found) or "")
