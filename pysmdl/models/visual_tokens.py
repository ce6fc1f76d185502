"""Models that answer a picture with words, of which the language model reads only some of the visual tokens.

The vision tower sees the whole picture once. What its language model reads is shorter then, as if the picture had no
other tokens: positions that count the sequence close up; those that say where in a picture a token lies, as Qwen's do,
stay as they were, and so does what stands behind the picture.
"""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pysmdl.errors import ScorerError
from pysmdl.models.base import of_model
from pysmdl.models.image_text import ImageText, Told

SHARED = 128  # tokens before the picture that are worth reading apart: of fewer, a CPU lost as much by the longer way
FILLED = 0.75  # rows that go together have at least this share of the longest one's tokens


@dataclass(frozen=True)
class Kept:
    """Rows of kept visual tokens.

    Attributes:
        features: Of the inputs in flight. [M, V, D].
        grids: Of each, what the network is told of its picture's shape: time, height, width in patches. [M, 3], int64.
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
    """The same network with its parts called one by one.

    Args:
        whole: With `side`, and a language model of its own behind the vision tower.
    """

    def __init__(self, whole: ImageText) -> None:
        super().__init__(whole.network, whole.pictures, whole.image_token, whole.encodes, whole._device)
        self.side = whole.side
        self._image = -1 if whole.image_token is None else whole.image_token

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Visual tokens of an input [C, *grid] as the language model is given them [V, D], and its grid [3]."""
        given = self.pictures(x[None].clone())
        with of_model(), torch.no_grad():
            found = self.network.get_image_features(**given)
        found = getattr(found, "pooler_output", found)
        tokens = torch.cat(list(found)) if isinstance(found, (list, tuple)) else found
        grid = given.get("image_grid_thw")
        return tokens.flatten(0, -2), torch.zeros(3, dtype=torch.int64) if grid is None else grid[0]

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
        places = self._places(told.tokens, batch)
        found: list[tuple[list[int], Tensor]] = []
        with of_model(), torch.no_grad():
            begun = self._begun(told.tokens[:1, :shared], places) if shared else None
            for rows, length in alike(keep.sum(1).tolist()):
                some = torch.tensor(rows, device=order.device)
                chosen = order[some, shared:length]
                shown = batch.features[batch.source[some][:, None], rank[some].gather(1, chosen)]
                states = self._states(told.tokens[some].gather(1, chosen), shown)
                where = None if places is None else places[:, some].gather(2, chosen.expand(len(places), -1, -1))
                hidden = self._read(states, where, begun)
                asked = hidden[torch.arange(len(rows), device=hidden.device)[:, None], at[some].to(hidden.device)]
                found.append((rows, self._headed.get_output_embeddings()(asked)))
        back = torch.tensor([row for rows, _ in found for row in rows]).argsort()
        return torch.cat([logits for _, logits in found])[back].to(self.device)

    def _shared(self, tokens: Tensor, seen: Tensor) -> int:
        """How many tokens all rows have in common before the first visual one, but for the last of them, which may be
        asked what follows; 0 where it is not worth reading them apart.
        """
        apart = seen.any(0) | (tokens != tokens[:1]).any(0)
        shared = int(apart.byte().argmax()) - 1
        return shared if shared >= SHARED and len(tokens) > 1 else 0

    def _begun(self, tokens: Tensor, places: Tensor | None) -> Any:
        """The keys and values of the tokens before the picture [1, l], which are read once for a batch."""
        where, language = None if places is None else places[:, :1, : tokens.shape[1]], self._language()
        answer = language(inputs_embeds=self._embed(tokens), position_ids=where, use_cache=True)
        return getattr(answer, _cache_of(language))

    def _read(self, states: Tensor, where: Tensor | None, begun: Any) -> Tensor:
        """What the language model makes of states [g, l, D] that follow on what it has begun with."""
        language, words = self._language(), {}
        if begun is not None:
            own = copy.deepcopy(begun)
            own.batch_repeat_interleave(len(states))
            words[_cache_of(language)] = own
        found: Tensor = language(inputs_embeds=states, position_ids=where, use_cache=begun is not None, **words)[0]
        return found

    def _language(self) -> Any:
        inner = getattr(self.network, "model", self.network)
        return inner.text_model if hasattr(inner, "text_model") else inner.language_model

    def _embed(self, tokens: Tensor) -> Tensor:
        found: Tensor = self.network.get_input_embeddings()(tokens)
        return found

    def _states(self, tokens: Tensor, shown: Tensor) -> Tensor:
        """What the language model is given of tokens [g, l]: of visual ones what is shown [g, l, D]."""
        states = self._embed(tokens)
        return torch.where(torch.eq(tokens, self._image)[:, :, None], shown.to(states), states)

    def _places(self, tokens: Tensor, batch: Kept) -> Tensor | None:
        """Where in time, height and width each token of the whole sequence lies [3, B, L]; None: by its number."""
        place = getattr(getattr(self.network, "model", None), "get_rope_index", None)
        if place is None:
            return None
        several, of_row = torch.unique(batch.source, return_inverse=True)
        first = [int((of_row == each).nonzero()[0]) for each in range(len(several))]
        given = {"input_ids": tokens[first], "image_grid_thw": batch.grids[several]}
        given["mm_token_type_ids"] = torch.eq(given["input_ids"], self._image).int()
        takes = inspect.signature(place).parameters
        found: Tensor = place(**{name: value for name, value in given.items() if name in takes})[0]
        return found[:, of_row]


def _cache_of(language: Any) -> str:
    """What its forward calls keys and values: transformers has renamed them."""
    return "cache" if "cache" in inspect.signature(language.forward).parameters else "past_key_values"


def alike(lengths: list[int]) -> list[tuple[list[int], int]]:
    """Rows in groups of like length, and the longest of each: the shortest is at least FILLED of it."""
    groups: list[tuple[list[int], int]] = []
    for row in sorted(range(len(lengths)), key=lambda each: -lengths[each]):
        if not groups or lengths[row] < FILLED * groups[-1][1]:
            groups.append(([], lengths[row]))
        groups[-1][0].append(row)
    return groups
