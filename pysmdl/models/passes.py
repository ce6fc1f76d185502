"""Monte Carlo dropout: several passes of a network with other units dropped in each, the same for every row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from pysmdl.errors import whole_number
from pysmdl.models.answers import Form, tensor_in

LOGITS = Form("the model", 2)


def passes(model: nn.Module, count: int = 16, seed: int = 0) -> Callable[[Tensor], Tensor]:
    """A function of a batch [B, C, H, W] to logits [B, count, K], dropout at work in each pass (Gal, Ghahramani 2016).

    The model stays in evaluation mode. What a pass drops depends on the seed, the pass and the layer, not on the row or
    its company, so a subset's score is the same whenever it is asked for, and subsets differ by their regions alone:
    ``pysmdl.scorers.custom(pysmdl.models.passes(net), pysmdl.heads.uncertainty("epistemic"), dims=3)``.

    Args:
        model: To logits [B, K], in any form; its dropout layers are nn.Dropout, Dropout1d, 2d or 3d.
        count: Passes.
        seed: Of what is dropped.

    Raises:
        ValueError: it has no such layer, so all passes would be the same; count or seed is no whole number.
    """
    most, first = whole_number("count", count, 1), whole_number("seed", seed, 0)
    layers = [each for each in model.modules() if isinstance(each, _DropoutNd) and each.p > 0]
    if not layers:
        raise ValueError(f"model must have a dropout layer, nn.Dropout say; {type(model).__name__} has none")

    return partial(_passed, model, layers, most, first)


def _passed(model: nn.Module, layers: list[_DropoutNd], count: int, seed: int, batch: Tensor) -> Tensor:
    found = []
    for number in range(count):
        with _dropping(layers, (seed * count + number) * len(layers)):
            found.append(tensor_in(model(batch), len(batch), LOGITS, batch.device).float())
    return torch.stack(found, 1)


@contextmanager
def _dropping(layers: list[_DropoutNd], seed: int) -> Iterator[None]:
    """The layers drop, each by a generator of its own that starts anew for each answer that it gives in a pass."""
    calls: Counter[int] = Counter()

    def hook_of(number: int) -> Callable[[nn.Module, Any, Tensor], Tensor]:
        def hook(layer: Any, _: Any, answer: Tensor) -> Tensor:
            kept = torch.rand(_dropped(layer, answer), generator=_generator(seed + number, calls[number])) >= layer.p
            calls[number] += 1
            scaled: Tensor = answer * (kept.to(answer) / max(1 - layer.p, 1e-12))
            return scaled

        return hook

    hooks = [layer.register_forward_hook(hook_of(number)) for number, layer in enumerate(layers)]
    try:
        yield
    finally:
        for each in hooks:
            each.remove()


def _dropped(layer: _DropoutNd, answer: Tensor) -> list[int]:
    """The shape of what is dropped as one: single numbers, or whole channels."""
    rest = list(answer.shape[1:])
    return rest if isinstance(layer, nn.Dropout) else [rest[0], *[1] * (len(rest) - 1)]


def _generator(seed: int, call: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed * 1_000_003 + call)
