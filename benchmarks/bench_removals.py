"""Each form of removal on the engine: the share of the processor's time that is the model's."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pysmdl
from pysmdl import builtin, methods, regions, removal, scorers
from pysmdl.removal.fills import normal
from pysmdl.removal.wavelet import inverse, transformed
from pysmdl.search import Ask, Ranking, Search

from measuring import DEVICE, ROUNDS, interleaved, over

SIDE, N, COLUMNS, LENGTH = 64, 49, 30, 256
RNG = np.random.default_rng(0)
DATA = RNG.normal(size=(200, COLUMNS)) @ RNG.normal(size=(COLUMNS, COLUMNS))


class Alone(nn.Module):
    """A model that answers each batch once more, by itself: that is its own speed, in the same moments of the machine.

    Attributes:
        seconds: Of the processor, for the second answers.
        sizes: Rows of each batch.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.seconds, self.sizes = net, 0.0, []

    def forward(self, batch: Any) -> Tensor:
        answer = self.net(batch)
        began = time.process_time()
        self.net(batch)
        self.seconds += time.process_time() - began
        self.sizes.append(len(answer))
        return answer


def cnn() -> nn.Module:
    """The built-in CNN, rows of 64 x 64"""
    net: nn.Module = builtin.load("digits", DEVICE).forward
    return net


def small_cnn() -> nn.Module:
    """A CNN of 30 MFLOP, rows of 64 x 64"""
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(), nn.Conv2d(64, 64, 3, 1, 1))
    return nn.Sequential(*layers, nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(1024, 10)).eval()


class Reader(nn.Module):
    """A CNN of 76 MFLOP over embeddings, rows of 256 ids"""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(1000, 64)
        layers = (nn.Conv1d(64, 256, 3), nn.ReLU(), nn.Conv1d(256, 128, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(4))
        self.read = nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 10)).eval()

    def forward(self, ids: Tensor) -> Tensor:
        found: Tensor = self.read(self.embed(ids).transpose(1, 2))
        return found


def mlp() -> nn.Module:
    """An MLP of 34 MFLOP, rows of 30 columns"""
    torch.manual_seed(0)
    wide = [each for _ in range(4) for each in (nn.Linear(2048, 2048), nn.ReLU())]
    return nn.Sequential(nn.Linear(COLUMNS, 2048), nn.ReLU(), *wide, nn.Linear(2048, 10)).eval()


@dataclass(frozen=True)
class Case:
    """A form: its model, an input, settings, and its rows by hand, each of `draws`.

    by_hand: (x in model space, regions, kept [n], or weights) to what the model is given [draws, ...].
    soft: What asks for rows of weights; None: exact greedy asks for k places.
    """

    net: Callable[[], nn.Module]
    x: Any
    by_hand: Callable[[Any, Any, np.ndarray], Any]
    settings: dict[str, Any] = field(default_factory=dict)
    scorer: Callable[..., Any] = scorers.classifier
    k: int = 4
    soft: Any = None
    target: str = ">= 0.9"


def painted(x: Tensor, divided: Any, kept: np.ndarray, hidden: Any = 0) -> Tensor:
    shown = torch.from_numpy(np.append(kept, True)[divided.labels])
    if divided.covers is not None:
        shown = torch.from_numpy(divided.covers[kept].any(0) | (divided.labels < 0))
    return torch.where(shown, x, torch.as_tensor(hidden, dtype=x.dtype))[None]


def drawn(x: Tensor, divided: Any, kept: np.ndarray) -> Tensor:
    return torch.cat([painted(x, divided, kept, each) for each in FILL.of(x, divided)])


def blended(x: Tensor, divided: Any, weights: np.ndarray) -> Tensor:
    return torch.from_numpy(weights[divided.labels])[None] * x


def from_soft_wavelets(x: Tensor, divided: Any, weights: np.ndarray) -> Tensor:
    return inverse(blended(transformed(x, 3), divided, weights)[None], 3)


def from_wavelets(x: Tensor, divided: Any, kept: np.ndarray) -> Tensor:
    return inverse(painted(transformed(x, 3), divided, kept), 3)


def given_the_present(x: Tensor, divided: Any, kept: np.ndarray) -> Tensor:
    precision = np.linalg.inv(COVARIANCE + 1e-6 * np.eye(COLUMNS))
    rows, gone = x.double().numpy()[None].repeat(8, 0), ~kept
    if gone.any():
        own = precision[np.ix_(gone, gone)]
        middle = MEAN[gone] - np.linalg.solve(own, precision[np.ix_(gone, kept)] @ (rows[0, kept] - MEAN[kept]))
        noise = normal(8, x, 0).double().numpy()[:, gone]
        rows[:, gone] = middle + np.linalg.solve(np.linalg.cholesky(own).T, noise.T).T
    return torch.from_numpy(rows).float()


def both(x: dict[str, Tensor], divided: Any, kept: np.ndarray) -> dict[str, Tensor]:
    of_photo = regions.grid(np.zeros((SIDE, SIDE, 3), np.uint8), N)
    of_ids = regions.segments((LENGTH,), 20)
    return {
        "photo": painted(x["photo"], of_photo, kept[: of_photo.n]),
        "ids": painted(x["ids"], of_ids, kept[of_photo.n :]),
    }


class Both(nn.Module):
    """Both CNNs"""

    def __init__(self) -> None:
        super().__init__()
        self.sees, self.reads = cnn(), Reader()

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return self.sees(batch["photo"]) + self.reads(batch["ids"])


MASKS = np.zeros((N, SIDE, SIDE), bool)
for mask, (top, left) in zip(MASKS, RNG.integers(0, SIDE - 16, (N, 2)).tolist(), strict=True):
    mask[top : top + 16, left : left + 16] = True
FILL = removal.boundary_gaussian(8)
MEAN, COVARIANCE = DATA.mean(0), np.cov(DATA.T)
PHOTO = torch.from_numpy(RNG.normal(size=(3, SIDE, SIDE)).astype(np.float32))
IDS = torch.from_numpy(RNG.integers(1, 1000, LENGTH))
SOFT = methods.sobol(masks="soft", designs=8)
GRID = {"regions": f"grid:{N}"}
CASES = {
    "a baseline": Case(cnn, PHOTO, painted, {**GRID, "baseline": "zero"}),
    "masks that overlap": Case(
        cnn, PHOTO, painted, {"players": regions.overlapping(MASKS), "baseline": "zero"}
    ),
    "8 draws of a border": Case(cnn, PHOTO, drawn, {**GRID, "baseline": FILL}, k=1),
    "wavelets": Case(cnn, PHOTO, from_wavelets, {"players": "cells:7", "removal": removal.wavelet(3)}),
    "soft rows": Case(cnn, PHOTO, lambda *row: blended(*row)[None], {**GRID, "baseline": "zero"}, soft=SOFT),
    "soft wavelets": Case(
        cnn, PHOTO, from_soft_wavelets, {"players": "cells:7", "removal": removal.wavelet(3)}, soft=SOFT
    ),
    "a baseline, small model": Case(small_cnn, PHOTO, painted, {**GRID, "baseline": "zero"}),
    "wavelets, small model": Case(
        small_cnn, PHOTO, from_wavelets, {"players": "cells:7", "removal": removal.wavelet(3)}
    ),
    "ids": Case(Reader, IDS, painted, {"players": "time:49", "baseline": 0}),
    "a table's row": Case(mlp, DATA[0], painted, {"baseline": "zero"}, scorers.table),
    "8 draws of columns given the others": Case(
        mlp, DATA[0], given_the_present, {"baseline": removal.conditional_gaussian(MEAN, COVARIANCE, 8)},
        scorers.table, 2,
    ),
    "an image and ids": Case(
        Both, {"photo": PHOTO, "ids": IDS}, both,
        {"players": {"photo": f"grid:{N}", "ids": "time:20"}, "baseline": 0},
    ),
}  # fmt: skip


def soft_scores(case: Case, scorer: Any, rows: np.ndarray) -> np.ndarray:
    """What a search that asks for these rows of weights is told."""
    told: list[np.ndarray] = []

    def asking(task: Any) -> Any:
        found = yield Ask(weights=rows, score_only=True)
        told.append(found.insertion)
        return Ranking(list(range(task.n)))

    search = Search("asking", asking, lambda n, k: len(rows), score_only=True, soft=True)
    pysmdl.explain(case.x, scorer, 1, search=search, progress=False, **case.settings)
    return told[0]


def check_rows(case: Case) -> None:
    """Parity gate: the engine's scores are the model's own of rows that were made by hand."""
    net = case.net()
    scorer = case.scorer(net)
    divided = pysmdl.Explainer(scorer, **case.settings).prepare({"image": case.x}).regions
    x = case.x if isinstance(case.x, dict) else torch.as_tensor(np.asarray(case.x))
    x = x.float() if isinstance(x, Tensor) and x.is_floating_point() else x
    rows = RNG.random((4, divided.n)).astype(np.float32)
    if case.soft:
        scores = soft_scores(case, scorer, rows)
    else:
        rows = rows < 0.5
        scores = pysmdl.Game(case.x, scorer, 1, **case.settings)(rows)
    for row, score in zip(rows, scores, strict=True):
        with torch.no_grad():
            wanted = net(case.by_hand(x, divided, row)).softmax(1)[:, 1].mean()
        np.testing.assert_allclose(score, float(wanted), atol=1e-5)


@pytest.mark.skipif(DEVICE != "cpu", reason="a form's share on a GPU is not asked for")
@pytest.mark.parametrize("name", CASES)
def test_removal(benchmark, report, name):
    case = CASES[name]
    check_rows(case)
    alone = Alone(case.net())
    scorer, own = case.scorer(alone), []

    def explained(_: int) -> float:
        alone.seconds, alone.sizes = 0.0, []
        began = time.process_time()
        asks = {"search": case.soft} if case.soft else {"search": "exact", "k": case.k}
        pysmdl.explain(case.x, scorer, 1, progress=False, **asks, **case.settings)
        spent, rows = time.process_time() - began - alone.seconds, sum(alone.sizes)
        own.append(alone.seconds / rows)
        return spent / rows

    _, whole = interleaved(benchmark, lambda _: 0.0, explained, warm=2)
    how = "soft Sobol" if case.soft else f"exact, k = {case.k}"
    report(
        f"removal: {name}", [1e6 * each for each in whole], over(own[-ROUNDS:], whole), unit="us / row",
        target=case.target, parameters=f"{case.net.__doc__}; {how}, {sum(alone.sizes)} rows, "
        f"{max(alone.sizes)} a batch",
    )  # fmt: skip
