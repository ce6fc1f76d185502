"""Networks of transformers that answer a text as a whole, as functions of rows of token ids."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pysmdl.models.answers import Form, tensor_in
from pysmdl.models.text import TokenBatch, TokenRows, begun, embedded, first_position, joined, of_length

LOGITS = Form("the model", 2)
HEEDING = ("funnel", "xlnet")  # they read what fills rows up, whatever they are told


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
        self._heeds = getattr(getattr(network, "config", None), "model_type", "") in HEEDING
        self.train(network.training)

    def forward(self, batch: TokenBatch) -> Any:
        """Logits of each row [B, K], in whatever form the network gives them."""
        rows = joined(batch.parts, self.pad)
        # where ids have become embeddings nothing tells what fills rows up
        if (rows.blank is None and not self._heeds) or (rows.lengths == rows.lengths[0]).all():
            return self.answer(rows)
        chosen = [np.flatnonzero(rows.lengths == length) for length in np.unique(rows.lengths)]
        found = [tensor_in(self.answer(_of(rows, each)), len(each), LOGITS, self._device()) for each in chosen]
        return torch.cat(found)[self.sent(np.argsort(np.concatenate(chosen)))]

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


def _of(rows: TokenRows, chosen: NDArray[np.int64]) -> TokenRows:
    """Rows of one length, filled up with nothing."""
    length = max(int(rows.lengths[chosen[0]]), 1)
    return replace(
        rows,
        ids=rows.ids[chosen, :length],
        seen=rows.seen[chosen, :length],
        positions=rows.positions[chosen, :length],
        lengths=rows.lengths[chosen],
        after=rows.after[chosen],
        blank=None if rows.blank is None else rows.blank[chosen, :length],
    )


def pad_of(tokenizer: Any, model: Any) -> int:
    """What fills up rows, and is never seen: what the model itself takes for padding, if it says so."""
    for name in ("pad_token_id", "eos_token_id"):
        for of in (getattr(model, "config", None), tokenizer):
            found = getattr(of, name, None)
            if isinstance(found, int):
                return found
    return 0
