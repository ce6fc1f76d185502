"""Models that answer a picture with words, of which the language model reads only some of the visual tokens.

The vision tower sees the whole picture once. What its language model reads is shorter then, as if the picture had no
other tokens: positions that count the sequence close up; those that say where in a picture a token lies, as Qwen's do,
stay as they were, and so does what stands behind the picture.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pysmdl.errors import ScorerError
from pysmdl.models.base import of_model
from pysmdl.models.image_text import ImageText, Told
from pysmdl.models.packs import Pack, begun, may_begin, next_of_parts, next_of_whole

SHARED = 128  # tokens before the picture that are worth reading apart: of fewer, a CPU lost as much by the longer way
FILLED = 0.75  # rows that go together have at least this share of the longest one's tokens


@dataclass(frozen=True)
class Kept:
    """Rows of kept visual tokens.

    Attributes:
        features: Of the inputs in flight. [M, V, D].
        grids: Of each, what the network is told of its pictures' shapes: time, height, width in patches. [M, 3], of
            several pictures [M, p, 3], int64.
        source: Which of the inputs each row shows. [B], int64.
        keep: Which of its tokens. [B, V], bool.
    """

    features: Tensor
    grids: Tensor
    source: Tensor
    keep: Tensor

    def __len__(self) -> int:
        return len(self.keep)

    @property
    def shape(self) -> tuple[int]:
        """Rows alone: they have no one size beyond that."""
        return (len(self),)


class VisualTokens(ImageText):
    """The same network, given only what is kept.

    Args:
        whole: With `side`, and a language model of its own behind the vision tower.
    """

    def __init__(self, whole: ImageText) -> None:
        super().__init__(whole.network, whole.pictures, whole.image_token, whole.encodes, whole._device)
        self.side, self.block, self.several = whole.side, whole.block, whole.several
        self._image = -1 if whole.image_token is None else whole.image_token

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Visual tokens of an input [C, *grid] as the language model is given them [V, D], and its grid [3].

        What its layers are given of them beside, as Qwen3-VL's first ones are, stands behind: D is as often more.
        """
        given = self.pictures(x[None].clone())
        with of_model(), torch.no_grad():
            found = self.network.get_image_features(**given)
        layers = getattr(found, "deepstack_features", None) or ()
        tokens = [_joined(each) for each in (getattr(found, "pooler_output", found), *layers)]
        grid = given.get("image_grid_thw")
        return torch.cat(tokens, -1), torch.zeros(3, dtype=torch.int64) if grid is None else grid[0]

    def next_tokens(self, batch: Any, told: Told) -> Tensor:
        """As :meth:`ImageText.next_tokens`, of rows of which only these visual tokens are kept.

        Rows of like length go through the language model together, filled up at the end.

        Raises:
            ScorerError: a row keeps nothing that its answer could follow on.
        """
        if not isinstance(batch, Kept):
            return super().next_tokens(batch, told)
        seen = torch.eq(told.tokens, self._image)
        rank = (seen.cumsum(1) - 1).clamp(min=0)
        keep = ~seen | batch.keep.gather(1, rank)
        shared = self._shared(told.tokens, seen)
        order = torch.argsort((~keep).byte(), dim=1, stable=True)  # what is kept, as it stood, then the rest
        at = (keep.cumsum(1) - 1).gather(1, told.at) - shared
        if not shared and int(at.min()) < 0:
            raise ScorerError(
                "token dropping needs a token beside the picture's for the answer to follow on where nothing of the "
                "picture is left: put a word into the prompt"
            )
        places, types = self._places(told.tokens, batch), self._types(told, keep)
        head, found = self._headed.get_output_embeddings(), list[tuple[list[int], Tensor]]()
        with of_model(), torch.no_grad():
            before = begun(self.network, told.tokens[:1, :shared], places) if shared else None
            for rows, length in alike(keep.sum(1).tolist()):
                some = torch.tensor(rows, device=order.device)
                chosen = order[some, shared:length]
                pack = Pack(
                    told.tokens[some].gather(1, chosen),
                    seen[some].gather(1, chosen),
                    batch.features[batch.source[some][:, None], rank[some].gather(1, chosen)],
                    None if places is None else places[:, some].gather(2, chosen.expand(len(places), -1, -1)),
                    None if types is None else types[some].gather(1, chosen),
                    at[some],
                )
                follow = (
                    next_of_parts(self.network, head, pack, before)
                    if types is None
                    else next_of_whole(self.network, head, pack)
                )
                found.append((rows, follow))
        back = torch.tensor([row for rows, _ in found for row in rows]).argsort()
        return torch.cat([logits for _, logits in found])[back].to(self.device)

    def _shared(self, tokens: Tensor, seen: Tensor) -> int:
        """How many tokens all rows have in common before the first visual one, but for the last of them, which may be
        asked what follows; 0 where it is not worth reading them apart, or cannot be: tokens see what comes after
        them, or layers keep a state.
        """
        if self.block is not None or not may_begin(self.network):
            return 0
        apart = seen.any(0) | (tokens != tokens[:1]).any(0)
        shared = int(apart.byte().argmax()) - 1
        return shared if shared >= SHARED and len(tokens) > 1 else 0

    def _types(self, told: Told, keep: Tensor) -> Tensor | None:
        """As :meth:`ImageText.types`; what fills rows up is seen by nothing that is kept. [B, L], int64."""
        if self.block is None:
            return None
        return self.types(told).masked_fill(~keep, 0 if self.block == "picture" else 1)

    def _places(self, tokens: Tensor, batch: Kept) -> Tensor | None:
        """Where in time, height and width each token of the whole sequence lies [3, B, L]; None: by its number."""
        place = getattr(getattr(self.network, "model", None), "get_rope_index", None)
        if place is None:
            return None
        several, of_row = torch.unique(batch.source, return_inverse=True)
        first = [int((of_row == each).nonzero()[0]) for each in range(len(several))]
        given = {"input_ids": tokens[first], "image_grid_thw": batch.grids[several].reshape(-1, 3)}
        given["mm_token_type_ids"] = torch.eq(given["input_ids"], self._image).int()
        takes = inspect.signature(place).parameters
        found: Tensor = place(**{name: value for name, value in given.items() if name in takes})[0]
        return found[:, of_row]


def _joined(found: Any) -> Tensor:
    """Visual tokens [V, D], of a picture or of each of its pieces."""
    whole = torch.cat(list(found)) if isinstance(found, (list, tuple)) else found
    tokens: Tensor = whole.flatten(0, -2)
    return tokens


def alike(lengths: list[int]) -> list[tuple[list[int], int]]:
    """Rows in groups of like length, and the longest of each: the shortest is at least FILLED of it."""
    groups: list[tuple[list[int], int]] = []
    for row in sorted(range(len(lengths)), key=lambda each: -lengths[each]):
        if not groups or lengths[row] < FILLED * groups[-1][1]:
            groups.append(([], lengths[row]))
        groups[-1][0].append(row)
    return groups
