"""Networks of transformers that answer a text as a whole, as functions of rows of token ids."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pysmdl.models.answers import Form, tensor_in
from pysmdl.models.text import TokenBatch, TokenRows, begun, embedded, first_position, joined, of_length

LOGITS = Form("the model", 2)


class TokenClassifier(nn.Module):
    """A network of transformers as a function of a :class:`TokenBatch`.

    Args:
        network: Takes input_ids and attention_mask.
        pad: What rows are filled up with, and what stands where nobody looks, since some networks read the last token
            that is no padding.
    """

    def __init__(self, network: nn.Module, pad: int) -> None:
        super().__init__()
        self.network, self.pad = network, pad
        self._placed = "position_ids" in inspect.signature(network.forward).parameters
        self._first = first_position(network)
        self.train(network.training)

    def forward(self, batch: TokenBatch) -> Any:
        """Logits of each row [B, K], in whatever form the network gives them."""
        if len(batch.parts) == 1 or all(part.blank is None for part in batch.parts):
            return self.answer(joined(batch.parts, self.pad))
        # where there are embeddings for ids nothing tells what fills rows up: those of a text have one length
        found = [(self.answer(joined([part], self.pad)), len(part)) for part in batch.parts]
        return torch.cat([tensor_in(answer, rows, LOGITS, self._device()) for answer, rows in found])

    def answer(self, rows: TokenRows) -> Any:
        """What the network answers to rows."""
        rows = begun(rows, self.pad)
        places = np.arange(rows.ids.shape[1])
        ids = self.sent(np.where(rows.seen, rows.ids, self.pad))
        given: dict[str, Any] = {"attention_mask": self.sent(rows.seen).long()}
        if self._placed and (~rows.seen & (places < rows.lengths[:, None])).any():
            given["position_ids"] = self.sent(rows.positions) + self._first
        with of_length(self.network, ids.shape[1]):
            if rows.blank is None:
                return self.network(input_ids=ids, **given)
            states = embedded(self.network, ids, rows.blank, rows.positions, rows.fill)
            return self.network(inputs_embeds=states, **given)

    def sent(self, array: Any) -> Tensor:
        """An array on the network's device."""
        return torch.from_numpy(array.copy()).to(self._device())

    def _device(self) -> torch.device:
        return next(self.network.parameters()).device


def pad_of(tokenizer: Any, model: Any) -> int:
    """What fills up rows, and is never seen: what the model itself takes for padding, if it says so."""
    for name in ("pad_token_id", "eos_token_id"):
        for of in (getattr(model, "config", None), tokenizer):
            found = getattr(of, name, None)
            if isinstance(found, int):
                return found
    return 0
