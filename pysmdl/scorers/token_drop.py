"""A vision transformer as a scorer of classes that sees kept tokens only, its pooled features beside its logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pysmdl.inputs.image import InputSpec
from pysmdl.models.towers import Packed, TowerModel
from pysmdl.scorers.base import Outputs, Wanted, own_rows
from pysmdl.scorers.classes import ClassScorer
from pysmdl.scorers.encoders import prototype_rows


class TokenDropScorer(ClassScorer):
    """Logits of its head, or of its features against class prototypes. See :func:`pysmdl.scorers.token_drop`."""

    has_features = True
    removal = "token-drop"
    model: TowerModel

    def __init__(
        self,
        model: nn.Module,
        input: InputSpec,
        prototypes: Any = None,
        normalize: bool = False,
        device: str | torch.device | None = None,
    ) -> None:
        super().__init__(TowerModel(model, device=device, dtype=input.dtype), input)
        self.prototypes = None if prototypes is None else prototype_rows(prototypes).to(self.device)
        self.normalize = normalize
        self.has_prototypes = self.prototypes is not None
        self.classes = None if self.prototypes is None else self.prototypes.shape[0]

    def score(self, batch: Packed | Tensor, targets: Tensor, wanted: Wanted) -> Outputs:
        features, logits = self.model.run(batch)
        if self.prototypes is not None:
            features = features.float()
            features = nn.functional.normalize(features, dim=1) if self.normalize else features
            logits = features @ self.prototypes.T
        if logits is None:
            raise ValueError("this model has no classification head; give the scorer prototypes")
        shown = None if wanted.features is None else own_rows(features, wanted.features)
        return self.outputs(logits, targets, wanted, shown)
