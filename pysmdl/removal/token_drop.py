"""Token dropping: an absent region's patches are left out of a vision transformer instead of painted over.

What the model sees is a shorter sequence, with the positions of the patches that stay. Sequences of many subsets are
packed end to end, so a subset and its complement together cost about one full input.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pysmdl import bitrows
from pysmdl.inputs.several import Several
from pysmdl.kernels import pack_tokens
from pysmdl.kernels.dispatch import serves
from pysmdl.models.towers import Packed, TowerModel
from pysmdl.regions.label_maps import snap_to_patches, squares_of
from pysmdl.removal.base import NOTHING, DeviceRows, Removal, Resident
from pysmdl.removal.visual_tokens import answer_form, side_of, visual_resident, visual_resident_of_each, visual_view
from pysmdl.scorers import Scorer
from pysmdl.scorers.answers import AnswerScorer
from pysmdl.scorers.classes import Classifier
from pysmdl.scorers.token_drop import TokenDropScorer
from pysmdl.session import SESSIONS
from pysmdl.types import Ints, Regions


class TokenDrop(Removal):
    """Leaves tokens out. Regions must be constant within the model's patches; there is no baseline."""

    name = "token-drop"
    painted = fixed_rows = False
    plans = True
    ops = ("varlen_attention",)

    @property
    def form(self) -> Hashable:
        return "token-drop"

    def serves(self, scorer: Scorer) -> Scorer:
        """The scorer on a transformer that is called on kept tokens: of classes, boxes, tokens or features alike."""
        if scorer.removal != self.name:
            scorer = SESSIONS.of(scorer).form(self.name, lambda: _form_of(scorer))
        if scorer.input.mask_at != "model":
            raise ValueError('token dropping works on the model\'s own patches; mask_at must be "model"')
        return scorer

    def divide(self, regions: Regions, scorer: Any) -> Regions:
        return snap_to_patches(regions, side_of(scorer))

    def resident(self, x: Tensor, regions: Regions, baseline: Any, scorer: Any) -> Resident:
        """Its embedded tokens, positions included, and the region of each."""
        if isinstance(scorer, AnswerScorer):
            return visual_resident(x, regions, scorer)
        tower = scorer.model.tower
        labels = token_labels(regions, tower.patch, tower.prefix)
        with torch.no_grad():
            embedded = tower.embed(x[None])
        if not isinstance(embedded, Tensor) or embedded.shape[:2] != (1, len(labels)):
            made = list(embedded.shape) if isinstance(embedded, Tensor) else type(embedded).__name__
            raise ValueError(
                f"token dropping needs tokens [1, {len(labels)}, D] of this image, {tower.prefix} and one for each "
                f"{tower.patch}x{tower.patch} patch; the model's embeddings gave {made}"
            )
        tokens = embedded[0]
        areas = np.bincount(labels[labels >= 0], minlength=regions.n)
        always = len(labels) - int(areas.sum())
        return Resident({"x": tokens, "labels": torch.from_numpy(labels)}, None, (areas.astype(np.float32), always))

    def resident_of_each(self, read: Several, baseline: Any, scorer: Any) -> Resident:
        """Of several pictures that a model answers in words."""
        if not isinstance(scorer, AnswerScorer):
            return super().resident_of_each(read, baseline, scorer)
        return visual_resident_of_each(read, scorer)

    def plan(self, bits: Sequence[Ints], hosts: Sequence[Any], size: int, few: bool) -> tuple[Ints, int]:
        """Where the tokens that each row keeps start, and where the last end [B + 1]; and room for all of them."""
        if hosts[0] is None:  # visual tokens, which are not packed
            return NOTHING, 0
        offsets = np.zeros(size + 1, np.int32)
        np.concatenate(list(map(_kept, bits, hosts))).cumsum(dtype=np.int32, out=offsets[1:])
        tokens = int(offsets[-1])
        step = 1 << max(6, (tokens // 32).bit_length() - 1) if few else 1
        return offsets, -(-tokens // step) * step

    def view(self, pool: Mapping[str, Tensor], rows: DeviceRows, out: Tensor, backend: str) -> Any:
        if "grid" in pool:
            return visual_view(pool, rows)
        x = pool["x"]
        tokens = x.new_empty((rows.room, x.shape[2]))
        packing, attending = (serves(op, backend, x.device.type) for op in ("pack_tokens", "varlen_attention"))
        pack_tokens(x, pool["labels"], rows.bits, rows.source, rows.extra, out=tokens, backend=packing)
        return Packed(tokens, rows.extra, x.shape[1], attending)


def _form_of(scorer: Scorer) -> Scorer:
    """The same reading of a model that is called on kept tokens.

    Raises:
        ValueError: the scorer's function is no transformer itself, so that its parts cannot be seen.
    """
    if isinstance(scorer, AnswerScorer):
        return answer_form(scorer)
    network = scorer.forward
    if not isinstance(network, nn.Module):
        raise ValueError(
            'removal="token-drop" needs a scorer around a vision transformer itself, not around a function that runs '
            "one; for an encoder with prototypes there is pysmdl.scorers.token_drop(vision_model, prototypes)"
        )
    if isinstance(scorer, Classifier):
        classes = TokenDropScorer(network, scorer.input)
        classes.gives, classes.head, classes.has_confidence = scorer.gives, scorer.head, scorer.has_confidence
        return classes
    form = copy.copy(scorer)
    form.model = TowerModel(network, dtype=scorer.input.dtype)
    form.removal = TokenDrop.name
    return form


def token_labels(regions: Regions, patch: int, prefix: int) -> Ints:
    """Region of each token, the prefix always shown, from a label map that is constant within patches. [P], int32.

    Raises:
        ValueError: it is not.
    """
    squares = squares_of(regions.labels, patch)
    of_patch = squares[:, 0, :, 0]
    if not (squares == of_patch[:, None, :, None]).all():
        raise ValueError(f"regions must be constant within {patch}x{patch} patches; snap_to_patches() makes them so")
    return np.concatenate((np.full(prefix, -1, np.int32), of_patch.ravel()))


def _kept(bits: Ints, host: tuple[NDArray[np.float32], int]) -> NDArray[np.float32]:
    """Tokens that each of these rows of an input keeps: of each region its own, and those that are always shown."""
    areas, always = host
    kept: NDArray[np.float32] = bitrows.unpack(bits, len(areas)).astype(np.float32) @ areas + always
    return kept
