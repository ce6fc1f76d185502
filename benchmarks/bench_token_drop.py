"""Token dropping against masking pixels: the same transformer, the same subsets of every size, both views."""

from __future__ import annotations

import numpy as np
import torch
from vision_towers import slow_vit

import pysmdl
from pysmdl.explainer import Explainer

from bench_efficiency import vit
from measuring import DEVICE, interleaved, over, picture, seconds

N, LAYERS, HIDDEN, PATCH = 49, 12, 384, 16
PATCHES = (224 // PATCH) ** 2
SIZES = range(1, N)  # one subset of each size


def subsets(seed: int) -> np.ndarray:
    """Subsets and their complements, [2 * (N - 1), N]."""
    rng = np.random.default_rng(seed)
    kept = np.stack([np.isin(np.arange(N), rng.permutation(N)[:size]) for size in SIZES])
    return np.concatenate((kept, ~kept))


def flops(tokens: np.ndarray) -> float:
    """FLOPs of the blocks for rows of so many tokens: 24 t d^2 for matrices, 4 t^2 d for attention."""
    tokens = tokens.astype(float)
    return float((LAYERS * (24 * tokens * HIDDEN**2 + 4 * tokens**2 * HIDDEN)).sum())


def bound(member: np.ndarray) -> float:
    """How many times fewer FLOPs dropping takes, patch embedding included: of each masked row, or once."""
    embed = 2.0 * PATCHES * 3 * PATCH**2 * HIDDEN
    kept = 1 + member.sum(1) * (PATCHES // N)
    masked = flops(np.full(len(member), 1 + PATCHES)) + embed * len(member)
    return masked / (flops(kept) + embed)


def test_evaluations_a_second(benchmark, report):
    dtype, close = (torch.bfloat16, 0.02) if DEVICE == "cuda" else (torch.float32, 3e-6)
    model = vit(HIDDEN, LAYERS, 6, PATCH, dtype)
    scorer = pysmdl.scorers.classifier(model, mean=0.5, std=0.5, size=224)
    rows = 256 if DEVICE == "cuda" else 16
    masking, dropping = (
        Explainer(scorer, regions=f"grid:{N}", removal=removal, batch_size=rows)
        for removal in ("baseline", "token-drop")
    )

    def gate() -> None:
        """Dropping gives what the model gives when tokens are really dropped, one subset at a time."""
        item = dropping.prepare((picture(0), 1))
        member = subsets(0)[::19]
        found, _ = dropping.scores(item, member)
        of_patch = item.shown.labels[::PATCH, ::PATCH].ravel()
        for subset, value in zip(member, found, strict=True):
            stays = [0, *(1 + np.flatnonzero(subset[of_patch]))]
            with torch.no_grad():
                answer = slow_vit(model, item.image[None].to(DEVICE, dtype), torch.tensor(stays, device=DEVICE))
            assert abs(float(answer.float().softmax(1)[0, 1]) - value) <= close

    masked: list[float] = []

    def measured(pair: int) -> float:
        """Seconds for each evaluation with dropped tokens; batch by batch beside masked ones of the same subsets."""
        image, member = picture(1 + pair), subsets(1 + pair)
        spent = []
        items = [(explainer, explainer.prepare((image, 1))) for explainer in (masking, dropping)]
        for part in np.array_split(member, max(1, len(member) // rows)):
            spent.append([seconds(lambda: explainer.scores(item, part)) for explainer, item in items])  # noqa: B023
        bare, ours = np.sum(spent, axis=0) / len(member)
        masked.append(bare)
        return ours

    gate()
    _, dropped = interleaved(benchmark, lambda i: 0.0, measured)
    masked = masked[-len(dropped) :]
    report(
        "token dropping: evaluations a second over masking's", [1e6 * t for t in dropped], over(masked, dropped),
        unit="us / evaluation", target=">= 1.95" if DEVICE == "cpu" else "",
        parameters=f"ViT-S/16 {str(dtype)[6:]}, N = {N}, {len(SIZES)} subsets in both views, sizes 1 to {N - 1}, "
        f"batch {rows}; FLOPs allow {bound(subsets(1)):.2f}",
    )  # fmt: skip
