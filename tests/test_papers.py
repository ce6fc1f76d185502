"""docs/papers.md: each paper's row runs as written, on a small model that depends on one player, which it finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from closed_forms import LOG_SNR, Weather, denoising_errors
from language_models import byte_level, gpt2
from papers import PAGE, PAPERS, Paper, page

import pysmdl
from pysmdl import heads, methods, metrics, regions, removal, scorers, search, studies

SIDE, BOX = 63, (27, 27, 36, 36)  # the middle one of 7 x 7 squares
CODE = {
    "np": np, "pysmdl": pysmdl, "heads": heads, "methods": methods, "metrics": metrics, "regions": regions,
    "removal": removal, "scorers": scorers, "search": search, "studies": studies,
}  # fmt: skip


def squares() -> np.ndarray:
    """Dark squares of slightly different colours, SLICO's 49 regions, and a bright one in their middle."""
    colours = np.random.default_rng(0).integers(20, 90, (7, 7, 3))
    colours[3, 3] = 250
    return np.kron(colours, np.ones((9, 9, 1))).astype(np.uint8)


def brightness(batch: torch.Tensor) -> torch.Tensor:
    """Of the middle square, wherever the image's size puts it. [B, 3, H, W] to [B]."""
    from_, to = (round(batch.shape[-1] * side / SIDE) for side in (BOX[0], BOX[2]))
    return batch[..., from_:to, from_:to].mean((1, 2, 3))


def two_classes(score: torch.Tensor) -> torch.Tensor:
    return torch.stack((0 * score, 6 * score - 2), -1)


def photo() -> dict[str, Any]:
    def features(batch):
        return torch.nn.functional.normalize(torch.stack((brightness(batch), batch.mean((1, 2, 3)), torch.full(
            (len(batch),), 0.3)), 1), dim=1)  # fmt: skip

    def model(batch):
        return two_classes(brightness(batch))

    prototypes = torch.eye(3)[[1, 0]] * 5
    return {"x": squares(), "model": model, "features": features, "prototypes": prototypes, "target": 1}


def detected() -> dict[str, Any]:
    def model(batch):
        found = torch.tensor([[float(side) for side in BOX]]).expand(len(batch), 1, 4)
        return found, brightness(batch)[:, None, None]

    return {"x": squares(), "model": model, "target": pysmdl.Box(BOX, 0)}


def answer() -> dict[str, Any]:
    def model(batch):
        return torch.stack([two_classes(brightness(batch) * share) for share in (1, 0.8)], 1)

    return {"x": squares(), "model": model, "target": pysmdl.Tokens([0, 1], [1, 1])}


def clip() -> dict[str, Any]:
    frames = np.stack([squares()] * 5)

    def model(batch):
        seen = brightness(batch[:, :, 2])
        return torch.stack([two_classes(seen), two_classes(0.8 * seen)], 1)

    return {"x": frames, "model": model, "target": pysmdl.Tokens([0, 1], [1, 1])}


def text() -> dict[str, Any]:
    said = "The cat sat on the mat. A dog barked at night. Nobody came. The key is red."
    return {"x": said, "model": gpt2(), "tokenizer": byte_level(), "answer": " It is red."}


def opinions() -> dict[str, Any]:
    said = "The plot was thin.\nThe music was good. The cast was not."
    return {"x": said, "model": lambda texts: [float("good" in each) for each in texts]}


def sketch() -> dict[str, Any]:
    drawn = np.full((64, 64, 3), 255, np.uint8)
    lines = [[(4, 10), (60, 10)], [(4, 32), (60, 32)], [(32, 4), (32, 60)]]
    for mask in regions.strokes(lines, (64, 64)).covers:
        drawn[mask] = 0

    def model(batch):  # the middle of the middle stroke
        return two_classes(1 - batch[:, :, 31:34, 24:30].mean((1, 2, 3)))

    return {"x": drawn, "model": model, "lines": lines, "target": 1}


def chart() -> dict[str, Any]:
    masks = np.zeros((4, SIDE, SIDE), bool)
    for bar in range(4):
        masks[bar, 40 - 9 * bar :, 4 + 14 * bar : 14 + 14 * bar] = True
    drawn = np.full((SIDE, SIDE, 3), 240, np.uint8)
    drawn[masks.any(0)] = 60

    def model(batch):
        return torch.stack([two_classes(1 - batch[:, :, 25:60, 33:41].mean((1, 2, 3)))] * 2, 1)

    return {"x": drawn, "model": model, "masks": masks, "target": pysmdl.Tokens([0, 1], [1, 1])}


def document() -> dict[str, Any]:
    """A white page with one dark word."""

    def model(batch):
        return torch.stack([two_classes(1 - brightness(batch))] * 2, 1)

    return {"x": 255 - squares(), "model": model, "target": pysmdl.Tokens([0, 1], [1, 1]), "box": BOX}


def cells() -> dict[str, Any]:
    grid = metrics.CellGrid(2, 2, 16, 16, split=2)
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.ReLU(),
        torch.nn.AdaptiveMaxPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 3),
    )
    return {"x": torch.rand(3, 32, 32), "model": grid.only(net.eval(), [0]), "cells": grid, "target": 1}


def row() -> dict[str, Any]:
    def model(rows):
        return rows[:, 0] * 0.1 + rows[:, 2] ** 2 * 3

    return {"x": np.array([1.0, 9.0, 2.0]), "model": model, "columns": ["a", "b", "c"]}


def patches() -> dict[str, Any]:
    """The whole scores 0.8, the last quarter 0.5 alone: RCI 0.375."""
    x = torch.zeros(1, 8, 8)
    x[0, 4:, 4:], x[0, 0, 0] = 0.5, 0.3

    def crop(member, item):
        parts = []
        for kept in member:
            shown = np.isin(item.regions.labels, np.flatnonzero(kept))
            y, x = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
            part = item.x[:, y[0] : y[-1] + 1, x[0] : x[-1] + 1] if len(y) else torch.zeros(1, 1, 1)
            parts.append(torch.nn.functional.interpolate(part[None], (8, 8))[0])
        return torch.stack(parts)

    def model(batch):
        whole = (batch[:, 0, 0, 0] == 0.3) & (batch[:, 0, 7, 7] == 0.5)
        return torch.where(whole, 0.8, batch[:, 0].amax((1, 2)))

    return {"x": x, "model": model, "crop": crop}


def thoughts() -> dict[str, Any]:
    """Two answers, to which the text alone says 1, where the picture does too or does not."""
    words = torch.tensor([5, 9, 3])

    def model(batch):
        return two_classes(0.2 * brightness(batch["seen"]) + (batch["read"][:, 2] == 3) * 0.3 + 0.1)

    x = [{"image": {"seen": each, "read": words}} for each in (squares(), squares() // 2)]
    return {"x": x, "model": model}


def concepts() -> dict[str, Any]:
    """An image's four concepts, their coefficients, and a linear head on what they make together."""
    coefficients = torch.tensor([0.5, 2.0, 1.0, 0.0])
    directions = torch.eye(4, 6) + 0.1
    head = torch.tensor([1.0, 3.0, -1.0, 2.0, 0.0, 0.5])

    def rebuilt(member, item):
        return (item.given * torch.from_numpy(member)) @ directions

    names = ["grass", "bright", "dark", "fur"]
    return {"x": coefficients, "model": lambda found: two_classes(found @ head), "names": names, "rebuilt": rebuilt,
            "target": 1}  # fmt: skip


def filters() -> dict[str, Any]:
    """A net of six filters of which the third alone carries the class."""
    torch.manual_seed(0)
    first = torch.nn.Conv2d(3, 6, 5, 4).requires_grad_(False)
    first.weight[2] = 0.02
    last = torch.zeros(6)
    last[2] = 3.0

    def gated(member, item):
        shown = torch.from_numpy(item.given).permute(2, 0, 1) / 255
        return {"x": shown.expand(len(member), *shown.shape), "gates": torch.from_numpy(member).float()}

    def model(batch):
        found = first(batch["x"]).relu() * batch["gates"][:, :, None, None]
        return two_classes(found.mean((2, 3)) @ last)

    names = [f"filter {i}" for i in range(6)]
    return {"x": squares(), "model": model, "names": names, "gated": gated, "target": 1}


def both() -> dict[str, Any]:
    """The net of filters, with its gates beside the picture."""
    net = filters()["model"]

    def model(batch):
        return net({"x": batch["seen"], "gates": batch["filters"].flatten(1)})

    return {"x": {"seen": squares(), "filters": torch.ones(1, 6)}, "model": model, "target": 1}


def pasted() -> dict[str, Any]:
    """A bright object on a scene of dark squares."""
    mask = np.zeros((SIDE, SIDE), int)
    mask[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 1
    return {**photo(), "mask": mask.astype(bool)}


def probe() -> dict[str, Any]:
    """A conflict probe of a model that follows 2 z_s + z_c."""

    def model(rows):
        logit = 2 * rows[:, 0] + rows[:, 1]
        return np.stack((1 / (1 + np.exp(logit)), 1 / (1 + np.exp(-logit))), 1)

    return {"x": np.array([1.0, -1.0]), "model": model, "columns": ["shortcut", "core"], "target": 1}


def steep() -> dict[str, Any]:
    """f(t) = t up to 0.9, then through (1, 0.8) and (1.1, 0): complete attributions say 0.8, and the next step -0.8."""

    def model(rows):
        return np.interp(rows[:, 0], [0, 0.9, 1, 1.1], [0, 0.9, 0.8, 0])

    return {"x": np.array([1.0]), "model": model, "columns": ["t"]}


def drawn() -> dict[str, Any]:
    """What is drawn is the sum of two words, and noise."""
    return {"x": torch.ones(1, 2), "errors": lambda batch: denoising_errors(batch[:, 0]), "log_snr": LOG_SNR}


def reasoned() -> dict[str, Any]:
    """Four days of weather, of which the rest goes on by chance: whether it ends in the sun."""
    weather = Weather()
    x = "Sun. Rain. Rain. Snow. "
    return {"x": x, "generate": weather.generate, "judge": weather.judge, "embed": weather.embed}


def swept() -> dict[str, Any]:
    given = photo()
    return {"x": [given["x"]], "model": given["model"]}


def people() -> dict[str, Any]:
    """Rows of two groups; of the second the model reads a product of columns, which no line fits."""
    data = np.random.default_rng(0).normal(size=(40, 3))
    groups = ["a"] * 20 + ["b"] * 20
    data[:20, 2] = 0

    def model(rows):
        return 1 / (1 + np.exp(1 - 3 * rows.prod(1)))

    return {"x": list(data), "model": model, "data": data, "groups": groups}


def seen() -> dict[str, Any]:
    """Two concepts, of which the first is the bright square."""

    def model(batch):
        return torch.stack((brightness(batch), batch.mean((1, 2, 3))), 1)

    return {"x": squares(), "model": model, "target": 0, "centres": [[31.5, 31.5]]}


GIVEN: dict[str, Callable[[], dict[str, Any]]] = {
    each.__name__: each
    for each in (
        photo, detected, answer, clip, text, opinions, sketch, chart, document, cells, row, patches, thoughts,
        concepts, filters, both, pasted, probe, steep, drawn, reasoned, swept, people, seen,
    )
}  # fmt: skip
EXPECTED = {"DiFull, CVPR 2022": 0, "RCI, 2025": 0.375, "EAGLE, CVPR 2026": [0.8606, 0.8182], "LAQuer, 2025": 4,
            "Impossibility theorems, 2022": -0.8, "Shortcuts, ICLR 2024": [2, -1],
            "Disparities of explanations, 2024": 0.0555, "Concept metrics, 2025": 1,
            "CHM-Corr++, interactive, 2024": -0.8606,
            "DiffusionPID, NeurIPS 2024": [[np.nan, 0.34657359], [0.34657359, np.nan]],
            "Holistic concepts, NeurIPS 2023": [4.65, 42.6, -2.7, 0]}  # fmt: skip
FLIPS = {"seen": 0.0, "read": 1.0}


def found(paper: Paper) -> tuple[Any, Any]:
    """What a row gives, and what is read off it."""
    if paper.given == "text":
        pytest.importorskip("transformers")
    names = {**CODE, **GIVEN[paper.given]()}
    names["e"] = eval(f"{paper.call[:-1]}, target=target)" if "target" in names else paper.call, names)
    return names["e"], eval(paper.metric, names)


def first_of(e: Any, by_name: bool) -> Any:
    """The player that comes first."""
    if isinstance(e, pysmdl.Explanation):
        return e.players[e.order[0]] if by_name else int(e.order[0])
    return e.names[0]


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_each_paper_runs_as_written_and_finds_what_the_model_depends_on(paper):
    e, value = found(paper)
    if isinstance(value, str):
        assert "region" in value
        return
    for each in value if isinstance(value, tuple) else [value]:
        numbers = np.asarray(list(each.values()) if isinstance(each, dict) else each, np.float64)
        assert np.isfinite(numbers).any()
        assert not np.isinf(numbers).any()
    if paper.given == "thoughts":
        assert value == FLIPS
    if paper.name in EXPECTED:
        assert np.allclose(value, EXPECTED[paper.name], atol=1e-3, equal_nan=True)
    if paper.first is not None:
        wanted = paper.first if isinstance(paper.first, tuple) else (paper.first,)
        assert first_of(e, isinstance(paper.first, str)) in wanted


def test_maps_of_several_scales_and_resolutions_lie_where_the_model_looks():
    for paper in PAPERS:
        if paper.door == "pysmdl.explain_scales":
            positive = np.maximum(found(paper)[1], 0)
            inside = positive[BOX[1] : BOX[3], BOX[0] : BOX[2]].sum() / positive.sum()
            assert inside > 10 * (9 / SIDE) ** 2, paper.name


def test_the_page_is_what_is_run():
    assert PAGE.read_text() == page(), "run `python tests/papers.py`"
