"""Models that answer a picture with words: an answer is given to them, and each of its tokens is read from one pass."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pysmdl.models.answers import Form, tensor_in
from pysmdl.models.base import Model, of_model

Pictures = Callable[[Tensor], dict[str, Tensor]]  # composed rows, to what the network is given of them
Rows = Tensor | Mapping[str, Tensor]  # of one picture each, or of several by name
LOGITS = Form("the model", 3, ("logits",))


@dataclass(frozen=True)
class Told:
    """What a network is told beside the pictures, a row each. Shorter rows repeat their last entry.

    Attributes:
        tokens: What the answer's tokens stand in, themselves included. [B, L], int64.
        at: Places in it whose next token is asked for. [B, k], int64.
        prompts: What an encoder of its own reads, or height and width of the photograph where the network asks for
            these; None where prompt and answer stand in one sequence. [B, E], int64.
        lengths: Of the prompts without what is repeated. [B], int64.
        starts: Which of the tokens each answer begins with; None where nobody asks for it. [B], int64.
    """

    tokens: Tensor
    at: Tensor
    prompts: Tensor | None = None
    lengths: Tensor | None = None
    starts: Tensor | None = None


class ImageText(Model):
    """A network of transformers that is given pictures and tokens. Padding comes last, where no token looks at it.

    Args:
        network: With get_output_embeddings() of its own or of its text_decoder, the layer that makes logits of hidden
            states: it is given those rows alone whose logits are asked for.
        pictures: Composed rows to the network's own arguments.
        image_token: Stands where a picture does; None where tokens and pictures are not one sequence.
        encodes: Whether an encoder of its own reads the picture, and the tokens are its decoder's.
        device: As in :class:`pysmdl.models.base.Model`.

    Attributes:
        asked: Whether it reads a prompt beside what its answer follows on.
        sized: Whether it is told height and width of each photograph.
        side: Points of the input that a visual token of its sequence covers, each way; None: tokens are of no place.
        several: Whether a prompt may have several pictures.
        block: Which of its tokens see each other in both directions: those of a "picture", as Gemma 3's, or all of the
            "prompt", as PaliGemma's; None: none do.
    """

    told = True
    sized = False
    side: int | None = None
    several = False
    block: str | None = None

    def __init__(
        self,
        network: Any,
        pictures: Pictures,
        image_token: int | None = None,
        encodes: bool = False,
        device: str | torch.device | None = None,
    ) -> None:
        super().__init__(network, device=device)
        self.pictures, self.image_token, self.encodes = pictures, image_token, encodes
        takes = inspect.signature(network.forward).parameters
        self.asked, self._typed = "input_ids" in takes, "mm_token_type_ids" in takes
        decoder = getattr(network, "text_decoder", None)  # BLIP's, which has the head
        self._headed = network if decoder is None else decoder

    @property
    def network(self) -> Any:
        """As given, or its compiled form."""
        return self.function

    def given(self, batch: Rows, told: Told) -> dict[str, Tensor]:
        """All that the network is given of some rows."""
        each = batch.values() if isinstance(batch, Mapping) else (batch,)
        found = beside([self.pictures(rows) for rows in each], len(told.tokens), self.sized)
        found["decoder_input_ids" if self.encodes else "input_ids"] = told.tokens
        if told.prompts is not None and self.sized:
            found["image_sizes"] = told.prompts.reshape(-1, 2)
        elif told.prompts is not None and told.lengths is not None:
            found["input_ids"] = told.prompts
            found["attention_mask"] = (
                torch.arange(told.prompts.shape[1], device=told.prompts.device) < told.lengths[:, None]
            ).long()
        if self._typed and self.image_token is not None:
            found["mm_token_type_ids"] = (told.tokens == self.image_token).long()
        if self.block is not None:
            found["token_type_ids"] = self.types(told)
        return found

    def types(self, told: Told) -> Tensor:
        """What tells the network which tokens see each other: 1 of a picture's, or 0 of a prompt's. [B, L], int64."""
        if self.block == "picture" and self.image_token is not None:
            return (told.tokens == self.image_token).long()
        assert told.starts is not None
        return (torch.arange(told.tokens.shape[1], device=told.tokens.device) >= told.starts[:, None]).long()

    def next_tokens(self, batch: Rows, told: Told) -> Tensor:
        """Logits of the tokens that follow on those at the places asked for. [B, k, K], float32, float16 or bfloat16.

        Raises:
            ModelError: the network raised a ValueError.
            ScorerError: it returned no logits, or not of these places.
        """
        with of_model(), only(self._headed.get_output_embeddings(), told):
            answer = self.network(**self.given(batch, told), use_cache=False)
        return tensor_in(answer, len(told.tokens), LOGITS, self.device)


def beside(pictures: Sequence[dict[str, Tensor]], rows: int, sized: bool) -> dict[str, Tensor]:
    """What a network is given of several pictures in each of some rows, from what it is given of each picture.

    Args:
        pictures: Of each, by name.
        rows: How many.
        sized: Whether tiles [B, T, C, S, S] stay each picture's own, filled up: else they are all of a row's in one.
    """
    if len(pictures) == 1:
        return dict(pictures[0])
    found = {}
    for name in pictures[0]:
        each = [of[name] for of in pictures]
        if each[0].dim() == 5 and sized:
            most = max(own.shape[1] for own in each)
            filled = [nn.functional.pad(own, (0, 0) * 3 + (0, most - own.shape[1])) for own in each]
            found[name] = torch.stack(filled, 1).flatten(0, 1)
            continue
        if each[0].dim() == 5:
            found[name] = torch.cat(each, 1)
            continue
        if each[0].dim() == 4:  # pictures of several sizes, which the network is told
            high, wide = (max(own.shape[axis] for own in each) for axis in (2, 3))
            each = [nn.functional.pad(own, (0, wide - own.shape[3], 0, high - own.shape[2])) for own in each]
        found[name] = torch.cat([own.unflatten(0, (rows, -1)) for own in each], 1).flatten(0, 1)
    return found


@contextmanager
def only(head: nn.Module, told: Told) -> Iterator[None]:
    """While this lasts a layer is given, of hidden states [B, L, D] in this thread, those at the places asked for."""
    thread = threading.get_ident()

    def pick(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if threading.get_ident() != thread:
            return None
        hidden = given[0]
        rows = torch.arange(len(hidden), device=hidden.device)[:, None]
        before = hidden.shape[1] - told.tokens.shape[1]  # a picture's own states, where these come first
        return hidden[rows, told.at + before], *given[1:]

    hook = head.register_forward_pre_hook(pick)
    try:
        yield
    finally:
        hook.remove()
