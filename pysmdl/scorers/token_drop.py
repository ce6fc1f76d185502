"""Token dropping: an absent region's patches are left out of a vision transformer instead of painted over.

A removal of its own: what the model sees is a shorter sequence, with the positions of the patches that stay. Sequences
of many subsets are packed end to end, so a subset and its complement together cost about one full input.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pysmdl.inputs.image import InputSpec
from pysmdl.models.base import of_model
from pysmdl.models.references import modules_of
from pysmdl.models.towers import Packed, run_blocks, tower_of
from pysmdl.scorers.base import Outputs, Wanted, own_rows
from pysmdl.scorers.classes import Classifier, ClassScorer
from pysmdl.scorers.encoders import Encoder, prototype_rows
from pysmdl.session import SESSIONS


class TokenDropScorer(ClassScorer):
    """A vision transformer scored on kept tokens only. See :func:`pysmdl.scorers.token_drop`."""

    has_features = True
    removal = "token-drop"
    graph_safe = True  # the towers known here are

    def __init__(
        self,
        model: nn.Module,
        input: InputSpec,
        prototypes: Any = None,
        normalize: bool = False,
        device: str | torch.device | None = None,
    ) -> None:
        super().__init__(model, input, device)
        if input.mask_at != "model":
            raise ValueError('token dropping works on the model\'s own patches; mask_at must be "model"')
        self.tower = tower_of(model)
        self.prototypes = None if prototypes is None else prototype_rows(prototypes).to(self.device)
        self.normalize = normalize
        self.classes = None if self.prototypes is None else self.prototypes.shape[0]

    def score(self, batch: Packed | Tensor, targets: Tensor, wanted: Wanted) -> Outputs:
        """Kept tokens, or whole images [B, C, H, W], of which no token is dropped."""
        if isinstance(batch, Tensor):
            tokens = self.tower.embed(batch.to(self.dtype))
            count, length = tokens.shape[:2]
            offsets = torch.arange(count + 1, dtype=torch.int32, device=tokens.device) * length
            batch = Packed(tokens.flatten(0, 1), offsets, length)
        with of_model():
            final = run_blocks(self.tower.blocks, batch.tokens, batch.offsets, batch.longest)
            features, logits = self.tower.finish(final, batch.offsets)
        if self.prototypes is not None:
            features = features.float()
            features = nn.functional.normalize(features, dim=1) if self.normalize else features
            logits = features @ self.prototypes.T
        if logits is None:
            raise ValueError("this model has no classification head; give the scorer prototypes")
        values = self.probabilities(logits, targets, wanted)
        return Outputs(values, None if wanted.features is None else own_rows(features, wanted.features))


def token_drop_of(scorer: Any) -> TokenDropScorer:
    """The token-dropping form of a classifier or encoder around a known vision transformer.

    Raises:
        ValueError: the scorer is of another kind, or hides its model from view.
    """
    if isinstance(scorer, TokenDropScorer):
        return scorer
    modules = modules_of(scorer.forward) if isinstance(scorer, (Classifier, Encoder)) else []
    if len(modules) != 1 or scorer.forward is not modules[0] or isinstance(scorer, Encoder):
        raise ValueError(
            'removal="token-drop" needs a classifier around a vision transformer itself; for an encoder build the '
            "scorer with pysmdl.scorers.token_drop(vision_model, prototypes)"
        )
    input, device = scorer.input, scorer.device
    form: TokenDropScorer = SESSIONS.of(scorer).form(
        "token-drop", lambda: TokenDropScorer(modules[0], input, device=device)
    )
    return form
