"""Scorer of the tokens of a generated answer (EAGLE)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.errors import ScorerError
from pysmdl.inputs.image import Scale
from pysmdl.kernels import class_scores
from pysmdl.models.answers import Form
from pysmdl.scorers.base import Outputs, Scorer, Wanted
from pysmdl.targets import Tokens
from pysmdl.types import Floats, Reading

TOP = -1  # a token still to be read off the full input
LOGITS = Form("the model", 3)

log = logging.getLogger("pysmdl")


class TokenScorer(Scorer):
    """A target is one row: position and id of each token in turn. A row's values are, in turn, top id and probability.

    See :func:`pysmdl.scorers.tokens`.
    """

    target = "tokens"
    length: int | None = None  # positions in the answer, once the model has shown
    _shape: tuple[int, ...] = ()  # of the logits of a row
    _looked = False  # at it, in this run
    _warned = False

    def ready(self) -> None:
        super().ready()
        self._looked = False

    def encode(self, target: Any, trace: Sequence[Any], scale: Scale = (1.0, 1.0)) -> NDArray[Any]:
        if not isinstance(target, Tokens):
            raise ValueError(f"target must be pysmdl.Tokens for a token scorer; got {target!r}")
        if trace:
            raise ValueError("trace follows classes of a classifier; a token scorer has none to trace")
        if target.ids is None and scale != (1.0, 1.0) and not self._warned:
            self._warned = True
            log.warning(
                "Tokens(positions) without ids are those that the model says of the image as pysmdl squashes it to the "
                "model's size; where a processor of yours crops or pads, it may have generated others: give "
                "Tokens(positions, ids), or the processor's own tensor as the image"
            )
        ids = target.ids if target.ids is not None else [TOP] * len(target.positions)
        return np.stack((target.positions, ids), axis=1).astype(np.int32).ravel()

    def stack(self, targets: Sequence[NDArray[Any]]) -> NDArray[Any]:
        longest = max(len(target) for target in targets)
        return np.stack([np.pad(target, (0, longest - len(target))) for target in targets])  # position 0, id 0

    def own(self, values: Floats, target: NDArray[Any]) -> Floats:
        return values[:, : len(target)]

    def check(self, targets: NDArray[Any]) -> None:
        if self.length is not None and targets[:, ::2].max() >= self.length:
            raise ValueError(f"positions must be below {self.length}, the answer's length; got {targets[:, ::2].max()}")

    def unresolved(self, target: NDArray[Any]) -> bool:
        return bool((target == TOP).any())

    def resolve(self, target: NDArray[Any], full: Reading, features: Floats | None) -> NDArray[Any]:
        ids = np.where(target[1::2] == TOP, full["top_token"][0].astype(np.int32), target[1::2])
        return np.stack((target[::2], ids), axis=1).ravel()

    def score(self, batch: Tensor, targets: Tensor, wanted: Wanted) -> Outputs:
        logits = self.logits(batch)
        positions = targets[:, ::2].long().clamp(max=logits.shape[1] - 1)  # what is beyond is refused by check()
        chosen = logits[torch.arange(len(logits), device=logits.device)[:, None], positions]  # [B, T, K]
        ids = targets[:, 1::2].reshape(-1, 1)
        scores = class_scores(chosen.flatten(0, 1), ids, entropy=False, backend=wanted.backend)
        return Outputs(scores[:, 1:].reshape(len(batch), -1))

    def logits(self, batch: Tensor) -> Tensor:
        """The model's at each position of its answers. [B, T, K]."""
        if self.input.mask_at == "image":
            batch = self.input.into_model(batch)
        logits = self.model.tensor(batch, LOGITS)
        if not self._looked or logits.shape[1:] != self._shape:
            self._look(logits)
        return logits

    def _look(self, logits: Tensor) -> None:
        """At the first answer of a run, and at one of another shape.

        Raises:
            ScorerError: positions or tokens are not as many as they were.
        """
        if self._looked:
            now, before = list(logits.shape[1:]), list(self._shape)
            raise ScorerError(f"the model returned logits {now} a row, after {before} in batches before")
        self._shape, self._looked = logits.shape[1:], True
        self.length = logits.shape[1]

    def read(self, values: Floats, target: NDArray[Any]) -> Reading:
        return token_reading(values, target[1::2])

    def describe(self, target: NDArray[Any]) -> Any:
        return {"positions": target[::2].tolist(), "ids": target[1::2].tolist()}


def token_reading(values: Floats, ids: NDArray[Any]) -> Reading:
    """What top ids and probabilities in turn [a, 2 T] say of tokens [T]: their mean, and whether all of them lead."""
    top, tokens = values[:, ::2], values[:, 1::2]
    decided = (top == ids).all(1).astype(np.float32)
    return Reading(tokens.mean(1), decided, others={"top_token": top, "tokens": tokens})
