"""Models whose answers have a closed form: the exact denoiser of a sum of normals, a Markov chain that speaks."""

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


class Weather:
    """A Markov chain that speaks: each day is a sentence, and seven of them are a text."""

    days = ("Sun. ", "Rain. ", "Snow. ")
    chances = np.array([[0.7, 0.2, 0.1], [0.3, 0.5, 0.2], [0.1, 0.3, 0.6]])
    length = 7

    def generate(self, prompts: list[str], seed: int) -> list[str]:
        """The rest of each text. A text without a day begins with the sun behind it."""
        rng = np.random.default_rng(seed)
        return [self._rest(self._days_of(prompt), rng) for prompt in prompts]

    def judge(self, texts: list[str]) -> list[bool]:
        """Whether it ends in the sun."""
        return [text.endswith(self.days[0]) for text in texts]

    def embed(self, steps: list[str]) -> np.ndarray:
        return np.array([[day.strip() == step for day in self.days] for step in steps], float)

    def sunny(self, day: int, left: int) -> float:
        """The chance of sun so many days after a day."""
        return float(np.linalg.matrix_power(self.chances, left)[day, 0])

    def _days_of(self, text: str) -> list[int]:
        return [self.days.index(f"{each}. ") for each in text.replace(".", "").split()]

    def _rest(self, said: list[int], rng: np.random.Generator) -> str:
        day, rest = said[-1] if said else 0, []
        for _ in range(self.length - len(said)):
            day = int(np.searchsorted(self.chances[day].cumsum(), rng.random()))
            rest.append(self.days[day])
        return "".join(rest)
