"""Scorer of the tokens of a generated answer (EAGLE)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.inputs.image import Scale
from pysmdl.kernels import class_scores
from pysmdl.scorers.base import Outputs, Scorer, Wanted
from pysmdl.targets import Tokens
from pysmdl.types import Floats, Reading

TOP = -1  # a token still to be read off the full input


class TokenScorer(Scorer):
    """A target is one row: position and id of each token in turn. A row's values are, in turn, top id and probability.

    See :func:`pysmdl.scorers.tokens`.
    """

    target = "tokens"
    length: int | None = None  # positions in the answer, once the model has shown

    def encode(self, target: Any, trace: Sequence[Any], scale: Scale = (1.0, 1.0)) -> NDArray[Any]:
        if not isinstance(target, Tokens):
            raise ValueError(f"target must be pysmdl.Tokens for a token scorer; got {target!r}")
        if trace:
            raise ValueError("trace follows classes of a classifier; a token scorer has none to trace")
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
        logits = self.call(self.forward, batch, 3, "the model")
        self.length = logits.shape[1]
        positions = targets[:, ::2].long().clamp(max=self.length - 1)  # what is beyond is refused by check()
        chosen = logits.gather(1, positions[:, :, None].expand(-1, -1, logits.shape[2]))  # [B, T, K]
        scores = class_scores(
            chosen.flatten(0, 1), targets[:, 1::2].reshape(-1, 1), entropy=False, backend=wanted.backend
        )
        return Outputs(scores[:, 1:].reshape(len(batch), -1))

    def read(self, values: Floats, target: NDArray[Any]) -> Reading:
        top, tokens = values[:, ::2], values[:, 1::2]
        decided = (top == target[1::2]).all(1).astype(np.float32)
        return Reading(tokens.mean(1), decided, others={"top_token": top, "tokens": tokens})

    def describe(self, target: NDArray[Any]) -> Any:
        return {"positions": target[::2].tolist(), "ids": target[1::2].tolist()}
