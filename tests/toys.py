"""Tiny inputs and models for tests of the engine: fast, deterministic, and easy to make fail."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

import pysmdl

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
WORDS = (*DTYPES, torch.int32, torch.int64)  # what compose takes
STRIPES = np.arange(144, dtype=np.int32).reshape(12, 12) // 36  # four bands of three rows


def poisoned(shape, dtype=torch.float32, device="cpu") -> Tensor:
    """What nobody writes stays NaN, or the lowest of whole numbers, and fails the comparison."""
    worst = torch.nan if dtype.is_floating_point else torch.iinfo(dtype).min
    return torch.full(shape, worst, dtype=dtype, device=device)


def image(seed: int = 0, height: int = 12, width: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 255, (height, width, 3), dtype=np.uint8)


def linear_model(classes: int = 4, seed: int = 0, size: int = 12) -> Callable[[Tensor], Tensor]:
    """Logits that are linear in the input: rows never influence each other, to the bit."""
    weight = torch.from_numpy(np.random.default_rng(seed).normal(size=(3 * size * size, classes)).astype(np.float32))

    def forward(batch: Tensor) -> Tensor:
        return torch.stack([(row.flatten()[:, None] * weight).sum(0) for row in batch]) / 8

    return forward


class Recorder:
    """Wraps a model; keeps every row it saw, and fails where it is told to."""

    def __init__(
        self, forward: Callable[[Tensor], Tensor], fail: Callable[[Recorder, Tensor], None] = lambda *_: None
    ) -> None:
        self.forward, self.fail = forward, fail
        self.sizes: list[int] = []
        self.rows: list[bytes] = []
        self.grads: list[bool] = []

    def __call__(self, batch: Tensor) -> Tensor:
        self.sizes.append(len(batch))
        self.fail(self, batch)
        self.rows += [row.contiguous().numpy().tobytes() for row in batch]
        answer = self.forward(batch)
        self.grads.append(torch.is_grad_enabled() or answer.requires_grad)
        return answer


def explain(
    model, *, seed: int = 0, target: int | None = 1, regions="grid:16", progress=False, **settings
) -> pysmdl.Explanation:
    return pysmdl.explain(image(seed), model, target, regions=regions, progress=progress, **settings)


def crowd(model, count: int = 16, step: int = 1, **settings) -> list[pysmdl.Explanation]:
    """Many inputs at once, each of `step` regions more than the one before, from 9."""
    items = [
        {"image": image(seed), "target": seed % 4, "id": str(seed), "regions": f"grid:{9 + step * seed}"}
        for seed in range(count)
    ]
    return list(pysmdl.explain_many(items, model, **{"progress": False, "ordered": True, **settings}))


def same(first: pysmdl.Explanation, second: pysmdl.Explanation) -> bool:
    """Equal to the bit."""
    return all(
        np.array_equal(getattr(first, name), getattr(second, name), equal_nan=True)
        for name in ("order", "score", "insertion", "deletion", "area", "labels")
    )


def made(insertion, deletion, area=None, *, labels=None, order=None, **rest) -> pysmdl.Explanation:
    k = len(insertion) - 1
    return pysmdl.Explanation(
        order=np.arange(k) if order is None else np.array(order),
        score=np.zeros(k, np.float32),
        terms={},
        insertion=np.array(insertion, np.float32),
        deletion=np.array(deletion, np.float32),
        area=np.array(np.linspace(0, 1, k + 1) if area is None else area, np.float32),
        labels=np.arange(k, dtype=np.int32)[None] if labels is None else np.array(labels, np.int32),
        **{"target": 0, **rest},
    )


def numpy_model(batch):
    flat = batch.numpy().reshape(len(batch), -1)
    return np.stack((flat.mean(1), flat.max(1)), 1)


def linear_net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(432, 4)).eval()


def profiled(model=None, **settings):
    profile = pysmdl.Profile()
    return explain(model or linear_net(), profile=profile, **settings), profile


def explained(x, scorer, target=None, **settings) -> pysmdl.Explanation:
    return pysmdl.explain(x, scorer, target, progress=False, **settings)


def failing_at(batches):
    """For a :class:`Recorder`: Ctrl-C once the model has seen more batches than this."""

    def fail(model, batch):
        if len(model.sizes) > batches:
            raise KeyboardInterrupt

    return fail
