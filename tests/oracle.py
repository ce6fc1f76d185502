"""A slow, independent SMDL and LiMA: every subset looked at by itself, masks made pixel by pixel, no code of pysmdl."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from golden_models import encode, model_space, prototypes

Look = tuple[Tensor, float]
LOOKS: dict[bytes, dict[frozenset[int], Look]] = {}  # by input: whatever the weights, the model says the same

TIE = 2e-6  # candidates this close may swap, or those within two ulps of F, where that is more
ANGLES = 1e-5  # what a model's rounding at another batch shape does to effectiveness, a sum of angles


class Oracle:
    """F of any subset of one input under the golden classifier."""

    def __init__(self, image: np.ndarray, labels: np.ndarray, target: int, weights: tuple[float, ...]) -> None:
        self.x, self.labels, self.target, self.weights = model_space(image), torch.from_numpy(labels), target, weights
        self.black = model_space(np.zeros_like(image))
        self.n = int(labels.max()) + 1
        self.prototypes = prototypes()
        self._seen = LOOKS.setdefault(image.tobytes() + labels.tobytes(), {})
        self._d: np.ndarray | None = None

    def see(self, views: list[frozenset[int]]) -> None:
        """Look at all of these now, in one pass, to save time."""
        new = [kept for kept in dict.fromkeys(views) if kept not in self._seen]
        shown = [torch.isin(self.labels, torch.tensor(sorted(kept))) | (self.labels < 0) for kept in new]
        for start in range(0, len(new), 32):
            batch = torch.stack([torch.where(mask, self.x, self.black) for mask in shown[start : start + 32]])
            with torch.no_grad():
                p = (encode(batch) @ self.prototypes.T).softmax(1)
            entropy = -(p * (p + 1e-7).log()).sum(1)
            confidence = (1 - entropy / math.log(p.shape[1])).tolist()
            self._seen |= dict(zip(new[start : start + 32], zip(p, confidence, strict=True), strict=True))

    def look(self, kept: frozenset[int]) -> tuple[float, float]:
        """Target probability and confidence of the view that keeps these regions."""
        self.see([kept])
        p, confidence = self._seen[kept]
        return float(p[self.target]), confidence

    def see_each(self, base: list[int], candidates: list[int]) -> None:
        """Look at base + a for each candidate a, and at its complement, where a term needs these."""
        subsets = [frozenset({*base, a}) for a in candidates]
        everything = frozenset(range(self.n))
        self.see(subsets if self.weights[0] or self.weights[2] else [])
        self.see([everything - subset for subset in subsets] if self.weights[3] else [])

    def effectiveness(self, subset: frozenset[int]) -> float:
        if len(subset) < 2:
            return 0.0
        if self._d is None:
            views = [torch.where(self.labels == i, self.x, self.black) for i in range(self.n)]
            with torch.no_grad():
                f = encode(torch.stack(views)).double()
            f = f / f.norm(dim=1, keepdim=True)
            self._d = (f @ f.T).clamp(-1, 1).arccos().numpy() / math.pi
        return sum(min(self._d[i, j] for j in subset if j != i) for i in subset)

    def parts(self, subset: frozenset[int]) -> list[float]:
        """The four terms, unweighted; 0 for those that do not count."""
        conf = self.look(subset)[1] if self.weights[0] else 0.0
        cons = self.look(subset)[0] if self.weights[2] else 0.0
        coll = 1 - self.look(frozenset(range(self.n)) - subset)[0] if self.weights[3] else 0.0
        return [conf, self.effectiveness(subset) if self.weights[1] else 0.0, cons, coll]

    def total(self, parts: list[float]) -> float:
        return sum(weight * part for weight, part in zip(self.weights, parts, strict=True))

    def f(self, subset: set[int]) -> float:
        return self.total(self.parts(frozenset(subset)))


def prove_exact(oracle: Oracle, order: list[int], pending: int = 0) -> None:
    """Every choice is the oracle's maximum, or within a tie of it, with the lowest region among clear equals."""
    assert sorted(order) == list(range(oracle.n))
    for step, region in enumerate(order):
        oracle.see_each(order[:step], order[step:])
        scores = {a: oracle.f({*order[:step], a}) for a in order[step:]}
        best = max(scores.values())
        assert scores[region] >= best - slack(oracle, best), f"step {step}: {region} is not the best"


def prove_bidirectional(oracle: Oracle, order: list[int], pending: int, every: int = 1) -> None:
    """Every choice for the front and for the back is the oracle's, or within a tie of it."""
    assert sorted(order) == list(range(oracle.n))
    both = max(0, (oracle.n - pending + 1) // 2)
    front_size = oracle.n - both
    front, back = order[:front_size], order[front_size:][::-1]
    for step in range(0, front_size - 1, every):
        placed_back = back[: min(step, both)]
        left = sorted(set(range(oracle.n)) - set(front[:step]) - set(placed_back))
        oracle.see_each(front[:step], left)
        parts = {a: oracle.parts(frozenset({*front[:step], a})) for a in left}
        best = max(oracle.total(each) for each in parts.values())
        assert oracle.total(parts[front[step]]) >= best - slack(oracle, best), (
            f"front {step}: {front[step]} is not the best"
        )
        if step >= both:
            continue
        looks = {
            a: oracle.total([conf, oracle.effectiveness(frozenset({*placed_back, a})), cons, coll])
            for a, (conf, _, cons, coll) in parts.items()
        }
        border = sorted(looks.values())[min(pending, len(looks)) - 1]
        near = slack(oracle, border)
        listed = [a for a in left if looks[a] <= border + near and a != front[step]]
        assert back[step] in listed, f"back {step}: {back[step]} is not in the short list"
        surely = [a for a in listed if looks[a] < border - near] or listed
        oracle.see_each(placed_back, surely)
        lowest = min(oracle.f({*placed_back, a}) for a in surely)
        assert oracle.f({*placed_back, back[step]}) <= lowest + slack(oracle, lowest), (
            f"back {step}: {back[step]} is not the lowest"
        )


def slack(oracle: Oracle, total: float) -> float:
    """How close to an F others are as good: a tie, and, with effectiveness, what the features' rounding leaves open."""
    return max(TIE, 2 * float(np.spacing(np.float32(total)))) + ANGLES * oracle.weights[1]
