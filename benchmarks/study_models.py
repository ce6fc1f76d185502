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
        forward: The model.
        scoring: Makes a scorer of a model.
        digits: Digits in a scene: 1 or 2.
        target: What is explained of a scene.
        reads: Whether the model has that right; only then there is something to find.
        objective: The set function: both views, weighted alike.
        baseline: As its paper has it.
    """

    name: str
    forward: Callable[[torch.Tensor], Any]
    scoring: Callable[[Callable[[torch.Tensor], Any]], pysmdl.scorers.Scorer]
    digits: int
    target: Callable[[StudyScene], Any]
    reads: Callable[[StudyScene], bool]
    objective: pysmdl.Objective
    baseline: str = "black"

    def scorer(self) -> pysmdl.scorers.Scorer:
        """A scorer whose model remembers what it has seen: searches on one scene ask for many of the same rows."""
        return self.scoring(golden_models.Remembering(self.forward))

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


CLASS = pysmdl.smdl(confidence=0, effectiveness=0, consistency=1, collaboration=1)

MODELS = {
    model.name: model
    for model in (
        StudyModel(
            "classifier",
            golden_models.encode,
            golden_models.encoder,
            1,
            lambda scene: scene.digits[0],
            lambda scene: _class_of(scene) == scene.digits[0],
            CLASS,
        ),
        StudyModel("detector", golden_models.detect, golden_models.detector, 2, _box, _finds_box, pysmdl.vps(), "zero"),
        StudyModel(
            "two tokens",
            golden_models.speak,
            golden_models.speaker,
            2,
            lambda scene: pysmdl.Tokens((0, 1), scene.digits),
            lambda scene: tuple(golden_models.speak(_input(scene)).argmax(2)[0].tolist()) == scene.digits,
            pysmdl.eagle(),
        ),
        StudyModel(
            "transformer",
            lambda batch: trained()(batch),
            lambda forward: pysmdl.scorers.classifier(forward, mean=MEAN, std=STD),
            1,
            lambda scene: scene.digits[0],
            lambda scene: int(trained()(_input(scene)).argmax()) == scene.digits[0],
            CLASS,
        ),
    )
}  # fmt: skip
