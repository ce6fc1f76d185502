"""Tiny random instances of the classes that libraries have, and what each library itself makes of a photograph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import pysmdl

CLOSE = 1e-4  # of a probability
PROMPTS = ["a cat", "a dog", "the photo of a dog"]


def photograph(height: int = 117, width: int = 170) -> np.ndarray:
    """Something with structure at every scale, wider than high."""
    rng = np.random.default_rng(5)
    layers = [Image.fromarray(rng.integers(0, 255, (n, n + 3, 3), dtype=np.uint8)) for n in (3, 9, 40)]
    large = [np.asarray(each.resize((width, height), Image.Resampling.BICUBIC), np.float64) for each in layers]
    return np.mean(large, axis=0).astype(np.uint8)


def agrees(
    model: Any,
    pipeline: Callable[[Any], Tensor],
    answer: Callable[[Tensor], Tensor],
    target: Any,
    index: int,
    **words: Any,
) -> None:
    """What pysmdl scores equals a slow loop of the library's own: the full photograph, and 20 random subsets of its
    regions, for a baseline in pixels and one in model space.

    Args:
        pipeline: A picture of Pillow's to the model's input [1, C, H, W].
        answer: A batch to probabilities [B, K].
        target, index: A class, as explain() takes it, and its number.
    """
    photo = photograph()
    x, black = pipeline(Image.fromarray(photo)), pipeline(Image.fromarray(np.zeros_like(photo)))
    with torch.no_grad():
        own = answer(x)[0]
    found = pysmdl.explain(photo, model, regions="grid:9", progress=False, **words)
    assert found.target == int(own.argmax())
    assert found.insertion[-1] == pytest.approx(float(own.max()), abs=CLOSE)
    for baseline, absent in (("black", black), ("zero", torch.zeros_like(x))):
        game = pysmdl.Game(photo, model, target, regions="grid:9", baseline=baseline, **words)
        kept = np.random.default_rng(1).random((20, game.n_players)) < 0.5
        shown = torch.from_numpy(kept[:, game.labels])[:, None]
        with torch.no_grad():
            slow = torch.cat([answer(torch.where(each, x, absent))[:, index] for each in shown])
        np.testing.assert_allclose(game(kept), slow.numpy(), atol=CLOSE)
        assert np.ptp(game(kept)) > 10 * CLOSE  # the model looks at what is masked


def sharpened(model: nn.Module, side: int | None = None) -> Any:
    """Random weights that make something of the picture: answers far enough apart to tell.

    Args:
        side: Of the model's input, where its last linear layer gives logits that are to differ by about 1.
    """
    model.eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1 and "embed" not in name:
                weight.mul_(4)
        if side is None:
            return model
        head = [each for each in model.modules() if isinstance(each, nn.Linear)][-1]
        noise = nn.functional.interpolate(torch.randn(8, 3, 4, 4, generator=torch.manual_seed(1)), side)
        answer = model(noise)
        logits = getattr(answer, "logits", answer)
        head.weight.div_(logits.std(0).mean())
        head.bias.zero_()
    return model
