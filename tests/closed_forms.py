"""Models whose answers have a closed form: the exact denoiser of a sum of normals."""

from __future__ import annotations

import itertools

import numpy as np
import torch

LOG_SNR = np.linspace(-14, 14, 113)


def denoising_errors(known: torch.Tensor) -> torch.Tensor:
    """Squared errors of the exact denoiser of x = y_1 + ... + y_n + e, unit normals, where some y are known: [B, n], 0
    or 1, to [B, levels]. What all of S say about x is 1/2 log((n + 1) / (n + 1 - |S|)).

    Signs +-1 of every y, of e and of the noise have the normals' second moments, and the error is a square: their mean
    is the expectation.
    """
    n = known.shape[1]
    signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=n + 2)), dtype=torch.float64)
    x, noise = signs[:, : n + 1].sum(1), signs[:, -1]
    level = torch.from_numpy(LOG_SNR)[:, None]
    signal, own = level.sigmoid(), (-level).sigmoid()
    noisy = signal.sqrt() * x + own.sqrt() * noise
    found = []
    for shown in known.double():
        mean, variance = signs[:, :n] @ shown, n + 1 - shown.sum()
        seen = own.sqrt() * (noisy - signal.sqrt() * mean) / (signal * variance + own)
        found.append(((noise - seen) ** 2).mean(1))
    return torch.stack(found)
