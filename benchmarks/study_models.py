"""The four models of the search study, and what is explained of a scene: golden networks and a vision transformer."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import pysmdl
from pysmdl.builtin import MEAN, STD

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import golden_models
from study_data import StudyScene, chosen
from train_vit import trained


@dataclass(frozen=True)
class StudyModel:
    """A model and its part in the study.

    Attributes:
        name: As in the tables.
        scorer: Makes the scorer.
        digits: Digits in a scene: 1 or 2.
        target: What is explained of a scene.
        reads: Whether the model has that right; only then there is something to find.
        objective: The set function: both views, weighted alike.
        baseline: As its paper has it.
    """

    name: str
    scorer: Callable[[], pysmdl.scorers.Scorer]
    digits: int
    target: Callable[[StudyScene], Any]
    reads: Callable[[StudyScene], bool]
    objective: pysmdl.Objective
    baseline: str = "black"

    def scenes(self, count: int, seed: int = 100) -> list[StudyScene]:
        """The first held-out scenes that the model reads right."""
        with torch.no_grad():
            return chosen("test", self.digits, seed, count, self.reads)


def _input(scene: StudyScene) -> torch.Tensor:
    return golden_models.model_space(scene.image)[None]


def _box(scene: StudyScene) -> pysmdl.Box:
    return pysmdl.Box(scene.boxes[0], scene.digits[0])


def _class_of(scene: StudyScene) -> int:
    return int((golden_models.encode(_input(scene)) @ golden_models.prototypes().T).argmax())


def _finds_box(scene: StudyScene) -> bool:
    boxes, confidences = golden_models.detect(_input(scene))
    target = torch.tensor([scene.boxes[0]], dtype=torch.float32)
    label, mode = torch.tensor([[scene.digits[0]]], dtype=torch.int32), torch.zeros(1, dtype=torch.int32)
    return float(pysmdl.kernels.match_boxes(boxes, confidences, target, label, mode)[0, 0]) > 0.4


def _vit() -> pysmdl.scorers.Scorer:
    return pysmdl.scorers.classifier(trained(), mean=MEAN, std=STD)


CLASS = pysmdl.smdl(confidence=0, effectiveness=0, consistency=1, collaboration=1)

MODELS = {
    model.name: model
    for model in (
        StudyModel(
            "classifier",
            golden_models.encoder,
            1,
            lambda scene: scene.digits[0],
            lambda scene: _class_of(scene) == scene.digits[0],
            CLASS,
        ),
        StudyModel("detector", golden_models.detector, 2, _box, _finds_box, pysmdl.vps(), "zero"),
        StudyModel(
            "two tokens",
            golden_models.speaker,
            2,
            lambda scene: pysmdl.Tokens((0, 1), scene.digits),
            lambda scene: tuple(golden_models.speak(_input(scene)).argmax(2)[0].tolist()) == scene.digits,
            pysmdl.eagle(),
        ),
        StudyModel(
            "transformer",
            _vit,
            1,
            lambda scene: scene.digits[0],
            lambda scene: int(trained()(_input(scene)).argmax()) == scene.digits[0],
            CLASS,
        ),
    )
}  # fmt: skip
