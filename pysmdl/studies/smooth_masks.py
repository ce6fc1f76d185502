"""Smooth masks and views under them, as extremal perturbations have them (Fong, Patrick and Vedaldi, ICCV 2019)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

SIDE = 224  # the paper's, by which its lengths in pixels are scaled
SPACING, WIDTH, BLUR, LEVELS = 7, 21.0, 20.0, 8  # of the grid, the kernel, the pyramid
COLDNESS = 20.0


def pyramid(x: Tensor) -> Callable[[Tensor], Tensor]:
    """From masks [a, H, W] to views [a, C, H, W]: the input at 1, under its widest blur at 0, between these levels."""
    from scipy.ndimage import gaussian_filter

    widest, plain = BLUR * min(x.shape[1:]) / SIDE, x.detach().float().cpu().numpy()
    sigmas = np.linspace(widest, 0, LEVELS)
    levels = torch.from_numpy(np.stack([gaussian_filter(plain, (0, each, each)) for each in sigmas])).to(x)

    def views(mask: Tensor) -> Tensor:
        place = mask.clamp(0, 1) * (LEVELS - 1)
        below = place.detach().floor().clamp(max=LEVELS - 2).long()
        share = (place - below)[:, None]
        rows, columns = torch.meshgrid(*(torch.arange(side, device=x.device) for side in x.shape[1:]), indexing="ij")
        low, high = (levels[each, :, rows, columns].permute(0, 3, 1, 2) for each in (below, below + 1))
        return low + share * (high - low)

    return views


def smooth_maximum(x: Tensor) -> tuple[Callable[[Tensor], Tensor], int]:
    """From parameters [a, n] on a grid to masks [a, H W] that change slowly: at each point the smooth maximum of those
    near it, weighed by exp(-2 max(0, d - 1/2)^2), d their distance. The second is n.

    Args:
        x: The input [C, H, W].
    """
    near, kernel, count = _kernel(x)

    def masks(given: Tensor) -> Tensor:
        weighed = given[:, near] * kernel
        return (torch.softmax(COLDNESS * weighed, 2) * weighed).sum(2)

    return masks, count


def _kernel(x: Tensor) -> tuple[Tensor, Tensor, int]:
    """For each point the grid's parameters near it and their weights, [H * W, near] each, and their number."""
    scale = min(x.shape[1:]) / SIDE
    spacing, width = max(1, round(SPACING * scale)), max(1.0, WIDTH * scale)
    reach = int(np.ceil(2 * width / spacing))
    sides = [int(np.ceil(side / spacing)) + 2 * reach + 1 for side in x.shape[1:]]
    steps = np.arange(-reach, reach + 1)
    points = [np.arange(side) for side in x.shape[1:]]
    places = [(each // spacing)[:, None] + steps for each in points]  # on the grid, which begins `reach` before
    apart = [each[:, None] - place * spacing - spacing / 2 for each, place in zip(points, places, strict=True)]
    near = (places[0][:, None, :, None] + reach) * sides[1] + places[1][None, :, None, :] + reach
    distance = np.hypot(apart[0][:, None, :, None], apart[1][None, :, None, :]) / width
    weights = np.exp(-2 * np.maximum(0, distance - 0.5) ** 2)
    count = x.shape[1] * x.shape[2]
    numbers, weighed = near.reshape(count, -1), weights.astype(np.float32).reshape(count, -1)
    return torch.from_numpy(numbers).to(x.device), torch.from_numpy(weighed).to(x.device), sides[0] * sides[1]
