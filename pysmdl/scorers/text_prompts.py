"""Classes of a text by the texts that it is compared with: sentence encoders, zero-shot."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from pysmdl.errors import number
from pysmdl.inputs.image import InputSpec
from pysmdl.models.base import Model
from pysmdl.models.text import TokenRows, begun, rows_of_ids, tokenized
from pysmdl.models.token_classifier import TokenClassifier, pad_of
from pysmdl.scorers.templates import templated
from pysmdl.scorers.texts import TextClassifier


class Compared(TokenClassifier):
    """Cosines of a text's mean state to those of prompts, times a scale."""

    def __init__(self, network: nn.Module, pad: int, scale: float) -> None:
        super().__init__(network, pad)
        self._scale = scale
        self.prototypes: Tensor | None = None

    def pooled(self, rows: TokenRows) -> Tensor:
        """The mean of the last states of the tokens that are seen, of length 1. [B, D]."""
        rows = begun(rows, self.pad)
        states = super().answer(rows).last_hidden_state
        seen = self.sent(rows.seen).to(states)[..., None]
        return normalize((states * seen).sum(1) / seen.sum(1), dim=1)

    def answer(self, rows: TokenRows) -> Tensor:
        """Logits, one a prompt. [B, K]."""
        assert self.prototypes is not None
        return self._scale * self.pooled(rows) @ self.prototypes.T


def text_encoder(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    scale: float = 20.0,
    head: Any = None,
    device: str | torch.device | None = None,
) -> TextClassifier:
    """A sentence encoder of transformers, such as MiniLM: which of some prompts a text is most alike.

    Args:
        model: Takes input_ids and attention_mask, answers with last_hidden_state, of which the mean counts.
        tokenizer: Its tokenizer, a fast one.
        prompts: Texts, two or more, which are the names of the classes.
        scale: Of the cosines, before the softmax.
        head, device: As in :func:`pysmdl.scorers.classifier`.

    Raises:
        ValueError: fewer than two prompts.
    """
    if isinstance(prompts, str) or len(prompts) < 2:
        raise ValueError(f"prompts must be two texts or more; got {prompts!r}")
    network = Compared(model, pad_of(tokenizer, model), number("scale", scale, above=0))
    scorer = TextClassifier(Model(network, device=device), InputSpec(), head=head)
    found = [tokenized(tokenizer, each, True).ids for each in prompts]
    with torch.no_grad():  # one by one, as some networks read what fills shorter ones up
        network.prototypes = torch.cat([network.pooled(rows_of_ids([each.tolist()], each)) for each in found])
    scorer.model.name, scorer.names = type(model).__name__, list(prompts)
    scorer.read_texts(tokenizer, partial(templated, tokenizer=tokenizer, asks=False))
    return scorer
