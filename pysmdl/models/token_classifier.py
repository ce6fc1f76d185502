"""Networks of transformers that answer a text as a whole, as functions of rows of token ids."""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pysmdl.models.answers import Form, tensor_in
from pysmdl.models.heeding import reads_filling
from pysmdl.models.text import TokenBatch, TokenRows, begun, embedded, first_position, joined, of_length

LOGITS = Form("the model", 2)
FOLDING = ("funnel",)  # how much fills a row up counts there, not what


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
        known = getattr(getattr(network, "config", None), "model_type", "") in FOLDING
        self._heeds = True if known else None  # what fills rows up, whatever it is told; None: not found out yet
        self.train(network.training)

    def forward(self, batch: TokenBatch) -> Any:
        """Logits of each row [B, K], in whatever form the network gives them."""
        rows = joined(batch.parts, self.pad)
        # where ids have become embeddings nothing tells what fills rows up
        if (rows.lengths == rows.lengths[0]).all() or (rows.blank is None and not self._heeds_padding(rows)):
            return self.answer(rows)
        chosen = [np.flatnonzero(rows.lengths == length) for length in np.unique(rows.lengths)]
        found = [self._answered(_of(rows, each)) for each in chosen]
        return torch.cat(found)[self.sent(np.argsort(np.concatenate(chosen)))]

    def _answered(self, rows: TokenRows) -> Tensor:
        """Logits of rows [B, K]."""
        return tensor_in(self.answer(rows), len(rows), LOGITS, self._device())

    def _heeds_padding(self, rows: TokenRows) -> bool:
        """Whether a row's answer depends on what fills it up, as of a network that mixes or folds neighbours. Tried out
        on the shortest row of the first batch that has several lengths.
        """
        if self._heeds is None:
            row = int(rows.lengths.argmin())
            alone = _chosen(rows, slice(row, row + 1), rows.ids.shape[1])
            filled = self.sent(np.arange(alone.ids.shape[1])[None] >= max(int(alone.lengths[0]), 1))
            answer = partial(self._answered, alone)
            self._heeds = reads_filling(self.network, filled, answer)
        return self._heeds

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
    return _chosen(rows, chosen, max(int(rows.lengths[chosen[0]]), 1))


def _chosen(rows: TokenRows, chosen: Any, length: int) -> TokenRows:
    """Some of the rows, as long as that."""
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
